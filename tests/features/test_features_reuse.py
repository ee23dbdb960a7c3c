"""Features stay when videos are divided anew, and go when their clip is another."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from parse_kit import make_clip
from rlld.data.dataset import load_split
from rlld.data.spec import AnnotationFiles, DataSpec, spec_text
from rlld.errors import RlldError
from rlld.features.job import Where
from rlld.features.to_stores import extract_dataset


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {seconds: make_clip(folder / f"{seconds}.mp4", seconds) for seconds in (1.0, 2.0, 3.0)}


SPEC = DataSpec("own", ("Dog",), 2, annotations=AnnotationFiles(test="", audio="", visual=""))


def folder_of(tmp_path: Path, spec: DataSpec = SPEC, **splits: str) -> Path:
    (tmp_path / "annotations").mkdir(exist_ok=True)
    for split, videos in splits.items():
        rows = "".join(f"{video}\tDog\n" for video in videos)
        (tmp_path / f"annotations/{split}.csv").write_text("filename\tevent_labels\n" + rows)
    (tmp_path / "dataset.yaml").write_text(spec_text(spec))
    return tmp_path


def put(tmp_path: Path, clip: Path, *videos: str) -> None:
    (tmp_path / "videos").mkdir(exist_ok=True)
    for video in videos:
        (tmp_path / f"videos/{video}.mp4").write_bytes(clip.read_bytes())


def streams(folder: Path, split: str, video: str):
    found = load_split(folder, split)
    row = found.ids.index(video)
    return {
        name: value[0].tolist() for name, value in found.batch(torch.tensor([row])).streams.items()
    }


@pytest.mark.parametrize("any_length", [False, True])
def test_a_video_that_moves_to_another_split_keeps_its_features(clips, tmp_path, any_length):
    spec = replace(SPEC, any_length=any_length)
    put(tmp_path, clips[2.0], "a", "b")
    put(tmp_path, clips[3.0], "c")
    folder = folder_of(tmp_path, spec, train="abc", validation="")
    spec = replace(spec, annotations=replace(spec.annotations, validation=""))
    (folder / "dataset.yaml").write_text(spec_text(spec))
    assert extract_dataset(folder, where=Where(1)).made == 3
    before = {video: streams(folder, "train", video) for video in "abc"}
    moved = replace(spec, annotations=SPEC.annotations)
    folder_of(tmp_path, moved, train="b", validation="ca")
    assert extract_dataset(folder, where=Where(1)).made == 0
    assert load_split(folder, "validation").ids == ("c", "a")
    for split, videos in (("train", "b"), ("validation", "ca")):
        for video in videos:
            assert streams(folder, split, video) == before[video]


def test_only_new_and_replaced_clips_are_extracted(clips, tmp_path):
    put(tmp_path, clips[2.0], "a", "b")
    folder = folder_of(tmp_path, train="a", validation="b")
    assert extract_dataset(folder, where=Where(1)).made == 2
    assert extract_dataset(folder, where=Where(1)).made == 0
    before = streams(folder, "validation", "b")
    put(tmp_path, clips[1.0], "b")
    put(tmp_path, clips[2.0], "c")
    folder_of(tmp_path, train="ac", validation="b")
    assert extract_dataset(folder, where=Where(1)).made == 2
    assert streams(folder, "train", "c") == before != streams(folder, "validation", "b")
    other = load_split(folder, "validation").streams["audio"].clone()
    put(tmp_path, clips[2.0], "b")
    os.utime(folder / "videos/b.mp4", (1, 1))
    assert extract_dataset(folder, where=Where(1)).made == 1
    assert (load_split(folder, "validation").streams["audio"] != other).any()


def test_stores_of_before_stamps_are_believed(clips, tmp_path):
    put(tmp_path, clips[2.0], "a", "b")
    folder = folder_of(tmp_path, train="a", validation="b")
    extract_dataset(folder, where=Where(1))
    (folder / "features/stamps.tsv").unlink()
    folder_of(tmp_path, train="b", validation="a")
    assert extract_dataset(folder, where=Where(1)).made == 0


def test_a_clip_that_failed_is_tried_again_when_its_split_changes(clips, tmp_path):
    put(tmp_path, clips[2.0], "a", "b")
    (tmp_path / "videos/b.mp4").write_bytes(b"no clip")
    folder = folder_of(tmp_path, train="a", validation="b")
    assert extract_dataset(folder, where=Where(1), skip_failed=True).made == 1
    put(tmp_path, clips[2.0], "b", "c")
    folder_of(tmp_path, train="a", validation="bc")
    assert extract_dataset(folder, where=Where(1)).made == 2
    assert any(map(any, streams(folder, "validation", "b")["audio"]))


def test_other_features_are_not_kept(clips, tmp_path):
    put(tmp_path, clips[2.0], "a", "b")
    folder = folder_of(tmp_path, train="a", validation="b")
    extract_dataset(folder, where=Where(1))
    folder_of(tmp_path, replace(SPEC, segments=3), train="a", validation="b")
    assert extract_dataset(folder, where=Where(1)).made == 2


def test_damaged_stamps_are_refused(clips, tmp_path):
    put(tmp_path, clips[2.0], "a")
    spec = replace(SPEC, annotations=replace(SPEC.annotations, validation=""))
    folder = folder_of(tmp_path, spec, train="a")
    extract_dataset(folder, where=Where(1))
    (folder / "features/stamps.tsv").write_text("video\tstamp\nx\ty\tz\n")
    with pytest.raises(RlldError, match=r"stamps.tsv: cannot be read .* extracted again"):
        extract_dataset(folder, where=Where(1))
