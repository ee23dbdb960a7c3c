"""Videos of any length: their store, and the splits that read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld import RlldError
from rlld.data.checks.stores import verify_store
from rlld.data.dataset import check_store
from rlld.data.ragged import padded, rows_of
from rlld.data.spec import DataSpec, StreamSpec, spec_from, spec_text
from rlld.data.split import Split
from rlld.data.store import FeatureError, Store, StoreWriter, read_store
from rlld.training.predict import by_length

SPEC = DataSpec(
    "ragged", ("Crow", "Owl"), 9, streams={"audio": StreamSpec(3), "visual_2d": StreamSpec(2)}
)
ANY = replace(SPEC, any_length=True)
Streams = dict[str, np.ndarray]


def clip(segments: int, seed: int) -> Streams:
    random = np.random.default_rng(seed)
    shapes = ANY.dims.items()
    return {n: random.standard_normal((segments, d)).astype(np.float32) for n, d in shapes}


CLIPS = {"a": clip(4, 0), "b": clip(1, 1), "c": clip(9, 2), "d": clip(2, 3)}


def write(path: Path, clips: dict[str, Streams] = CLIPS, spec: DataSpec = ANY) -> Store:
    with StoreWriter(path, "train", spec) as writer:
        for name, streams in clips.items():
            writer.add(name, streams)
        writer.finish(list(clips))
    return read_store(path)


def split_of(store: Store) -> Split:
    labels = torch.eye(len(store.ids))[:, :2]
    return Split("train", ANY, store.ids, store.streams, labels, lengths=store.lengths)


def test_every_video_comes_back_with_its_own_length(tmp_path: Path) -> None:
    store = write(tmp_path / "s")
    assert store.lengths is not None and store.lengths.tolist() == [4, 1, 9, 2]
    for row, streams in enumerate(CLIPS.values()):
        for name, value in store.video(row).items():
            assert np.array_equal(value.numpy(), streams[name])
    assert verify_store(store) == []
    check_store(store, tuple(CLIPS), ANY)


def test_the_longest_may_come_later_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    first = write(tmp_path / "one")
    with StoreWriter(tmp_path / "two", "train", replace(ANY, segments=1)) as writer:
        writer.add("c", clip(5, 9), "old")
        writer.add("left out", clip(7, 8))
        for name in "dcba":
            writer.add(name, CLIPS[name])
    with StoreWriter(tmp_path / "two", "train", ANY) as writer:
        assert set(writer.done) == {*CLIPS, "left out"}
        writer.finish(list(CLIPS))
    assert first.path.read_bytes() == (tmp_path / "two").read_bytes()


def test_a_pile_that_was_cut_goes_on_before_the_cut(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", "train", ANY) as writer:
        for name, streams in CLIPS.items():
            writer.add(name, streams)
    rows = tmp_path / "s.part" / "audio"
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-5])  # in the midst of the last row of 'd'
    with StoreWriter(tmp_path / "s", "train", ANY) as writer:
        assert list(writer.done) == ["a", "b", "c"]
        writer.add("d", CLIPS["d"])
        writer.finish(list(CLIPS))
    assert (tmp_path / "s").read_bytes() == write(tmp_path / "t").path.read_bytes()


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        (clip(0, 0), "found 0 .audio., 0 .visual_2d. segments"),
        ({**clip(3, 0), "audio": clip(2, 0)["audio"]}, "as many in each stream"),
        ({**clip(3, 0), "audio": np.zeros((3, 4))}, r"shape \(3, 4\), expected \(segments, 3\)"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, streams: Streams, words: str) -> None:
    with (
        StoreWriter(tmp_path / "s", "train", ANY) as writer,
        pytest.raises(FeatureError, match=words),
    ):
        writer.add("a", streams)


def test_changed_lengths_are_found(tmp_path: Path) -> None:
    path = write(tmp_path / "s").path
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start : start + 16] = np.array([3, 2], "<i8").tobytes()  # the same sum
    path.write_bytes(data)
    (problem,) = verify_store(read_store(path))
    assert "numbers of segments differ" in problem
    data[start : start + 8] = np.array([-3], "<i8").tobytes()
    path.write_bytes(data)
    with pytest.raises(RlldError, match="numbers of segments are damaged"):
        read_store(path)


def test_nan_is_found_in_its_video(tmp_path: Path) -> None:
    store = write(tmp_path / "s")
    value = store.streams["audio"].clone()
    value[4:6] = torch.nan
    problems = verify_store(replace(store, streams={**store.streams, "audio": value}))
    assert any("in 2 videos, first 'b'" in problem for problem in problems)


def test_a_store_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    ragged = write(tmp_path / "s")
    with pytest.raises(RlldError, match="holds videos of any length"):
        check_store(ragged, tuple(CLIPS), SPEC)
    fixed = write(tmp_path / "t", {"a": clip(9, 0)}, SPEC)
    with pytest.raises(RlldError, match="holds videos of one length"):
        check_store(fixed, ("a",), ANY)
    with pytest.raises(RlldError, match=r"longest video has 9 segments, dataset\.yaml says 8"):
        check_store(ragged, tuple(CLIPS), replace(ANY, segments=8))


def test_a_fixed_store_has_format_1_and_no_lengths(tmp_path: Path) -> None:
    store = write(tmp_path / "s", {"a": clip(9, 0), "b": clip(9, 1)}, SPEC)
    data = store.path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["rlld_store"] == "1" and "lengths" not in header
    assert store.lengths is None


def test_any_length_is_written_only_where_it_is_true() -> None:
    assert "any_length" not in spec_text(SPEC)
    assert spec_from({"name": "x", "classes": ["A"], "segments": 3, "any_length": True}, "x")
    assert "any_length: true" in spec_text(ANY)


def test_a_batch_is_as_long_as_its_longest_video(tmp_path: Path) -> None:
    split = split_of(write(tmp_path / "s"))
    batch = split.batch(torch.tensor([3, 0]))
    assert batch.mask is not None
    assert batch.mask.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    for name, value in batch.streams.items():
        assert value.shape[:2] == (2, 4)
        assert np.array_equal(value[0, :2].numpy(), CLIPS["d"][name])
        assert np.array_equal(value[1].numpy(), CLIPS["a"][name])
        assert not value[0, 2:].any()
    assert split.batch(torch.tensor([2])).mask is None
    assert split.mask is not None and split.mask.sum(1).tolist() == [4, 1, 9, 2]


def test_a_subset_holds_its_videos_in_its_order(tmp_path: Path) -> None:
    split = split_of(write(tmp_path / "s"))
    part = split.subset(torch.tensor([2, 1, 3]))
    assert part.ids == ("c", "b", "d")
    for name in ANY.dims:
        expected = np.concatenate([CLIPS[video][name] for video in part.ids])
        assert np.array_equal(part.streams[name].numpy(), expected)
    nobody = split.subset(torch.empty(0, dtype=torch.int64))
    assert len(nobody) == 0 and len(nobody.streams["audio"]) == 0
    half = split.to(torch.device("cpu"), torch.float16)
    assert half.streams["audio"].dtype == torch.float16 and half.lengths is not None


lengths_of_videos = st.lists(st.integers(1, 30), min_size=1, max_size=12)


@given(lengths_of_videos)
def test_padding_and_picking_rows_agree_with_slicing(lengths: list[int]) -> None:
    packed = torch.arange(sum(lengths))
    parts = packed.split(lengths)
    spread = padded(packed, torch.tensor(lengths), 30)
    assert [row[:n].tolist() for row, n in zip(spread, lengths, strict=True)] == [
        part.tolist() for part in parts
    ]
    assert int(spread.sum()) == int(packed.sum())
    first = torch.tensor(lengths).cumsum(0) - torch.tensor(lengths)
    turned = rows_of(first.flip(0), torch.tensor(lengths).flip(0))
    assert turned.tolist() == [row for part in reversed(parts) for row in part.tolist()]


@given(lengths_of_videos, st.integers(1, 60), st.integers(1, 5))
def test_pieces_hold_every_video_once_in_bounded_memory(
    lengths: list[int], segments: int, videos: int
) -> None:
    pieces = list(by_length(torch.tensor(lengths), segments, videos))
    assert sorted(torch.cat(pieces).tolist()) == list(range(len(lengths)))
    for piece in pieces:
        longest = max(lengths[i] for i in piece.tolist())
        assert len(piece) <= videos
        assert len(piece) == 1 or len(piece) * longest <= segments
