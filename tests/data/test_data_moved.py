"""Videos that change their split keep their features: stores are read wherever they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cli_kit import called
from rlld.data.dataset import load_data
from rlld.data.moved import features_of
from rlld.data.spec import SPLITS, DataSpec, StreamSpec
from rlld.data.store import StoreWriter, store_path
from rlld.errors import RlldError

LENGTHS = {"a": 2, "b": 3, "c": 1, "d": 3, "e": 2}
HOMES = {"train": "abc", "validation": "de"}


def features(video: str, segments: int) -> dict[str, np.ndarray]:
    rows = 10 * (ord(video) - ord("a")) + np.arange(segments, dtype=np.float32)
    return {"audio": np.repeat(rows[:, None], 2, 1), "visual_2d": -rows[:, None]}


@pytest.fixture(params=[False, True], ids=["fixed", "ragged"])
def folder(request, tmp_path) -> Path:
    """Two stores whose every number says which video and segment it is of."""
    spec = DataSpec(
        name="moved",
        classes=("Crow",),
        segments=3,
        streams={"audio": StreamSpec(2), "visual_2d": StreamSpec(1)},
        any_length=request.param,
    )
    for split, videos in HOMES.items():
        with StoreWriter(store_path(tmp_path, split), split, spec, provenance="p") as writer:
            for video in videos:
                writer.add(video, features(video, LENGTHS[video] if request.param else 3))
            writer.finish(tuple(videos))
    return tmp_path


@pytest.mark.parametrize("ids", ["abc", "a", "cba", "ae", "dcb", "ebdac"])
def test_every_video_has_its_own_features(folder, ids):
    found = features_of(folder, "train", tuple(ids))
    assert found.ids == tuple(ids) and found.path == store_path(folder, "train")
    for row, video in enumerate(ids):
        segments = 3 if found.lengths is None else LENGTHS[video]
        for name, value in features(video, segments).items():
            assert torch.equal(found.video(row)[name], torch.from_numpy(value)), (video, name)


def test_a_split_without_a_store_is_read_from_the_others(folder):
    assert features_of(folder, "test", ("d", "a")).ids == ("d", "a")


def test_a_video_in_no_store_and_features_of_others_are_not_made_up(folder):
    assert features_of(folder, "train", ("a", "x")).ids == tuple("abc")
    with pytest.raises(RlldError, match="no such store"):
        features_of(folder, "test", ("x",))
    path = store_path(folder, "test")
    other = {"audio": StreamSpec(9), "visual_2d": StreamSpec(9)}
    spec = DataSpec(name="m", classes=("Crow",), segments=3, streams=other)
    with StoreWriter(path, "test", spec, provenance="others") as writer:
        writer.add("f", {name: np.zeros((3, 9), np.float32) for name in other})
        writer.finish(("f",))
    store_path(folder, "validation").unlink()
    assert features_of(folder, "validation", ("a", "b")).ids == ("a", "b")
    with pytest.raises(RlldError, match="no such store"):
        features_of(folder, "validation", ("a", "f"))


def test_a_corrected_video_moves_to_validation(tiny_data, tmp_path):
    data = tmp_path / "D"
    shutil.copytree(tiny_data, data, ignore=shutil.ignore_patterns("scores"))
    before = load_data(tiny_data)
    train, validation = (data / "annotations" / f"{name}.csv" for name in SPLITS[:2])
    head, moved, *rest = train.read_text().splitlines()
    train.write_text("\n".join([head, *rest]) + "\n")
    validation.write_text(validation.read_text() + moved + "\n")
    after = load_data(data)
    assert after.train.ids == before.train.ids[1:]
    assert after.validation.ids[-1] == before.train.ids[0]
    for name, value in before.train.streams.items():
        assert torch.equal(after.train.streams[name], value[1:])
        assert torch.equal(after.validation.streams[name][-1], value[0])
        assert torch.equal(after.validation.streams[name][:-1], before.validation.streams[name])
    checked = called("data", "check", data)
    assert checked.returncode == 0, checked.stdout
    assert "holds other videos than its split, of which 1 are in those of others" in checked.stdout
