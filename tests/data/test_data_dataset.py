"""Data sets that can be read and whose numbers would be wrong: they are refused when loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

import rlld
from rlld.data.checks.check import check
from rlld.data.dataset import MANY, load_split
from rlld.data.spec import FILE_NAME, read_spec
from rlld.errors import RlldError


@pytest.fixture
def folder(tiny_data: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(tiny_data, copy)
    return copy


def changed(folder: Path, **fields: object) -> None:
    """Changes fields of ``dataset.yaml``, those of ``annotations`` one by one."""
    path = folder / FILE_NAME
    spec = yaml.safe_load(path.read_text())
    files = spec["annotations"] | fields.pop("annotations", {})
    path.write_text(yaml.safe_dump({**spec, **fields, "annotations": files}))


@pytest.mark.parametrize("other", ["train", "validation"])
def test_a_test_video_that_teaches_or_steers_is_refused(folder, other, tmp_path):
    test, path = folder / "annotations/test.csv", folder / f"annotations/{other}.csv"
    path.write_text(path.read_text() + "".join(test.read_text().splitlines(True)[1:3]))
    told = f"2 videos of the test split are in the {other} split too, first "
    for split in ("test", other):
        with pytest.raises(RlldError, match=told):
            load_split(folder, split)
    if other == "train":
        with pytest.raises(RlldError, match=told):
            rlld.train("weak", folder, tmp_path / "run")


def test_the_test_split_may_not_be_the_validation_split_by_another_name(folder):
    changed(folder, annotations={"test": "validation.csv"})
    with pytest.raises(RlldError, match="of the test split are in the validation split too"):
        load_split(folder, "test")
    assert len(load_split(folder, "train"))


@pytest.mark.parametrize("named", ["audio", "visual"])
def test_events_of_one_track_alone_are_not_passed_over(folder, named):
    other = "visual" if named == "audio" else "audio"
    changed(folder, annotations={other: ""})
    told = f"annotations.{named} is named and annotations.{other} is not, so that neither"
    with pytest.raises(RlldError, match=told):
        read_spec(folder)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"classes": ["Crow", "Crow"]}, "dataset.yaml: class 'Crow' is listed twice"),
        ({"classes": []}, "dataset.yaml: a taxonomy needs 1 to"),
    ],
)
def test_what_is_wrong_with_a_specification_names_its_file(folder, fields, told):
    changed(folder, **fields)
    with pytest.raises(RlldError, match=told):
        read_spec(folder)


def test_a_file_without_a_video_says_so(folder):
    path = folder / "annotations/train.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    (error,) = [
        each
        for each in check(folder / "annotations", read_spec(folder)).problems
        if each.grade == "error"
    ]
    assert str(error) == f"{path}: lists no video; add a row for each"


def test_seconds_taken_for_milliseconds_are_no_silence(folder):
    rows = len((folder / "annotations/audio.csv").read_text().splitlines()) - 1
    assert rows >= MANY
    changed(folder, segment_seconds=1000.0)
    with pytest.raises(RlldError, match=f"none of its {rows} events covers a segment of 1000 s"):
        load_split(folder, "validation")
