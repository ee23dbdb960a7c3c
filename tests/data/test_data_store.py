"""The packed store: exact, deterministic, resumable, and refused when damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rlld import RlldError
from rlld.data import pile
from rlld.data.checks.stores import verify_store
from rlld.data.spec import DataSpec
from rlld.data.store import FeatureError, StoreWriter, read_store

Streams = dict[str, np.ndarray]


def _streams(spec: DataSpec, seed: int) -> Streams:
    random = np.random.default_rng(seed)
    return {n: random.standard_normal((spec.segments, d)) for n, d in spec.dims.items()}


def _write(path: Path, spec: DataSpec, ids: list[str], **options: str) -> None:
    with StoreWriter(path, "train", spec, **options) as writer:
        for n, video in enumerate(ids):
            writer.add(video, _streams(spec, n))
        writer.finish(ids)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_round_trip(tmp_path: Path, spec: DataSpec, dtype: str) -> None:
    path, ids = tmp_path / "train.safetensors", ["a", "-b", "ü"]
    _write(path, spec, ids, dtype=dtype, provenance="made up")
    store = read_store(path)
    assert (store.ids, store.split, store.dtype) == (tuple(ids), "train", dtype)
    assert store.provenance == "made up"
    for name, value in store.streams.items():
        expected = torch.stack([torch.from_numpy(_streams(spec, n)[name]) for n in range(3)])
        assert torch.equal(value, expected.to(getattr(torch, dtype)))
    assert verify_store(store) == []
    assert os.listdir(tmp_path) == ["train.safetensors"]


def test_order_of_adding_does_not_show(tmp_path: Path, spec: DataSpec) -> None:
    ids = ["a", "b", "c"]
    _write(tmp_path / "one", spec, ids)
    with StoreWriter(tmp_path / "two", "train", spec) as writer:
        writer.add("left out", _streams(spec, 7))
        writer.add("a", _streams(spec, 8))
        for n in (2, 0, 1):
            writer.add(ids[n], _streams(spec, n))
        writer.finish(ids)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_empty_store(tmp_path: Path, spec: DataSpec) -> None:
    _write(tmp_path / "s", spec, [])
    store = read_store(tmp_path / "s")
    assert store.ids == ()
    assert store.streams["audio"].shape == (0, 4, 3)
    assert verify_store(store) == []


def _pack_slowly(path: Path, spec: DataSpec, ids: list[str]) -> None:
    pile.COMMIT_SECONDS = 0.0
    with StoreWriter(path, "train", spec) as writer:
        for n, video in enumerate(ids):
            writer.add(video, _streams(spec, n), stamp=str(n))
            time.sleep(0.02)


def test_goes_on_after_a_kill(tmp_path: Path, spec: DataSpec) -> None:
    path, ids = tmp_path / "killed", [f"v{n}" for n in range(200)]
    process = multiprocessing.get_context("spawn").Process(
        target=_pack_slowly, args=(path, spec, ids)
    )
    process.start()
    journal = tmp_path / "killed.part" / "journal"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 10):
        assert time.monotonic() < deadline, "the writer never got going"
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not path.exists()
    with StoreWriter(path, "train", spec) as writer:
        done = writer.done
        assert 10 <= len(done) < 200
        assert done == {f"v{n}": str(n) for n in range(len(done))}
        for n, video in enumerate(ids):
            if video not in done:
                writer.add(video, _streams(spec, n))
        writer.finish(ids)
    _write(tmp_path / "whole", spec, ids)
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("damage", ["journal", "audio", "both"])
def test_goes_on_after_torn_writes(tmp_path: Path, spec: DataSpec, damage: str) -> None:
    """Whatever a power cut tears off the end, no wrong row survives."""
    path, ids = tmp_path / "torn", ["a", "bé", "c"]
    with StoreWriter(path, "train", spec) as writer:
        for n, video in enumerate(ids):
            writer.add(video, _streams(spec, n))
    aside = tmp_path / "torn.part"
    for name in ("journal", "audio") if damage == "both" else (damage,):
        data = (aside / name).read_bytes()
        (aside / name).write_bytes(data[:-5])
    with StoreWriter(path, "train", spec) as writer:
        for n, video in enumerate(ids):
            if video not in writer.done:
                writer.add(video, _streams(spec, n))
        writer.finish(ids)
    _write(tmp_path / "whole", spec, ids)
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()


def test_work_of_other_settings_is_not_continued(tmp_path: Path, spec: DataSpec) -> None:
    with StoreWriter(tmp_path / "s", "train", spec) as writer:
        writer.add("a", _streams(spec, 0))
    with pytest.raises(RlldError, match="other settings"):
        StoreWriter(tmp_path / "s", "train", spec, dtype="float16")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("audio"), "'audio' is missing"),
        (lambda s: s.update(audio=np.zeros((4, 2))), r"shape \(4, 2\), expected \(4, 3\)"),
        (lambda s: s["audio"].__setitem__((1, 1), np.nan), "no finite float16"),
        (lambda s: s["audio"].__setitem__((1, 1), 1e5), "no finite float16"),
    ],
)
def test_bad_features_are_refused_and_leave_no_row(
    tmp_path: Path, spec: DataSpec, change: object, words: str
) -> None:
    assert callable(change)
    with StoreWriter(tmp_path / "s", "train", spec, dtype="float16") as writer:
        bad = _streams(spec, 0)
        change(bad)
        with pytest.raises(FeatureError, match=words):
            writer.add("bad", bad)
        writer.add("good", _streams(spec, 1))
        assert writer.done == {"good": ""}
        writer.finish(["good"])
    expected = torch.from_numpy(_streams(spec, 1)["audio"]).half()
    assert torch.equal(read_store(tmp_path / "s").streams["audio"][0], expected)


def test_finish_needs_every_video(tmp_path: Path, spec: DataSpec) -> None:
    with (
        StoreWriter(tmp_path / "s", "train", spec) as writer,
        pytest.raises(ValueError, match="'a'"),
    ):
        writer.finish(["a"])
    assert not (tmp_path / "s").exists()


def _edit_header(path: Path, **metadata: str) -> None:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"].update(metadata)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"rlld_store": "3"}, "newer"),
        ({"rlld_store": "2"}, "numbers of segments are damaged"),
        ({"rlld_store": ""}, "no packed store of rlld"),
        ({"dtype": "float16"}, "metadata say float16"),
        ({"dtype": "float8"}, "unknown dtype"),
        ({"ids": "a\nc"}, "video ids is damaged"),
    ],
)
def test_wrong_metadata_is_refused(
    tmp_path: Path, spec: DataSpec, metadata: dict[str, str], words: str
) -> None:
    path = tmp_path / "s"
    _write(path, spec, ["a", "b"])
    _edit_header(path, **metadata)
    with pytest.raises(RlldError, match=words):
        read_store(path)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_is_refused(tmp_path: Path, spec: DataSpec, keep: int) -> None:
    path = tmp_path / "s"
    _write(path, spec, ["a", "b"])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RlldError, match="not a whole safetensors file"):
        read_store(path)


def test_missing_and_pickle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RlldError, match="no such store"):
        read_store(tmp_path / "none")
    torch.save({"a": torch.zeros(1)}, tmp_path / "p")
    with pytest.raises(RlldError, match="not a whole safetensors file"):
        read_store(tmp_path / "p")


def test_flipped_byte_is_found(tmp_path: Path, spec: DataSpec) -> None:
    path = tmp_path / "s"
    _write(path, spec, ["a", "b"])
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    (problem,) = verify_store(read_store(path))
    assert problem.startswith("stream 'visual_2d' differs from its checksum")


def test_nan_is_found(tmp_path: Path, spec: DataSpec) -> None:
    path = tmp_path / "s"
    _write(path, spec, ["a", "b"])
    data = bytearray(path.read_bytes())
    data[-4:] = np.float32(np.nan).tobytes()
    path.write_bytes(bytes(data))
    problems = verify_store(read_store(path))
    assert any("NaN or infinity in 1 videos, first 'b'" in problem for problem in problems)


def test_loaded_tensors_do_not_write_back(tmp_path: Path, spec: DataSpec) -> None:
    path = tmp_path / "s"
    _write(path, spec, ["a"])
    before = path.read_bytes()
    read_store(path).streams["audio"][0, 0, 0] = 5
    assert path.read_bytes() == before
