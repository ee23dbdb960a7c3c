"""What extraction will refuse is an error of the check."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_kit import called
from parse_kit import make_clip
from rlld.features.job import Where
from rlld.features.missing import missing_clips
from rlld.features.to_stores import extract_dataset

SPEC = (
    'name: x\nclasses: [Dog]\nsegments: 2\nannotations: {validation: "", test: "", audio: "", '
    'visual: ""}\n'
)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("annotations", "videos"):
        (tmp_path / name).mkdir()
    (tmp_path / "dataset.yaml").write_text(SPEC)
    make_clip(tmp_path / "videos/a.mp4", 2.0)
    return tmp_path


def weak(folder: Path, *ids: str) -> None:
    rows = "".join(f"{video}\tDog\n" for video in ids)
    (folder / "annotations/train.csv").write_text("filename\tevent_labels\n" + rows)


def test_a_video_without_a_clip_is_an_error_until_its_features_are_there(folder):
    weak(folder, "a", "clip0000.mp4", "b", "c", "d")
    (problem,) = missing_clips(folder)
    assert problem.grade == "error" and problem.path.name == "train.csv"
    assert "4 videos have no clip" in problem.text
    assert "refuses: 'clip0000.mp4', 'b', 'c' and others; a clip is called by the" in problem.text
    result = called("data", "check", folder)
    assert result.returncode == 2 and "4 videos have no clip" in result.stdout
    weak(folder, "a")
    assert missing_clips(folder) == []
    extract_dataset(folder, where=Where(1))
    (folder / "videos/a.mp4").unlink()
    assert missing_clips(folder) == [] and called("data", "check", folder).returncode == 0


def test_two_clips_of_one_video_are_an_error(folder):
    weak(folder, "a")
    make_clip(folder / "videos/a.mkv", 1.0)
    (problem,) = missing_clips(folder)
    assert "has the same id as" in problem.text


def test_a_folder_without_clips_has_nothing_to_be_missed(folder, tmp_path_factory):
    assert missing_clips(tmp_path_factory.mktemp("none")) == []
