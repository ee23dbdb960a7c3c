"""Extraction of clips that keep their length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips_kit import beep, flashes, write_test_clip

from rlld.data.checks.check import check
from rlld.data.checks.verify import verify
from rlld.data.dataset import load_data
from rlld.data.spec import read_spec
from rlld.data.store import store_path
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.job import Where
from rlld.features.to_stores import extract_dataset
from rlld.parsing.sources import stored_features

SECONDS = {"aa": 2, "bb": 5, "cc": 1, "dd": 3, "ee": 7}
SPLITS = {"train": ("aa", "bb", "cc"), "validation": ("dd",), "test": ("ee",)}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, seconds in SECONDS.items():
        sound, pictures = beep(seconds, 0.2, 1), flashes(seconds, 0.3, seconds - 0.5)
        write_test_clip(folder / f"{name}.mp4", sound=sound, pictures=pictures)
    return folder


def write_dense(folder: Path, rows: str) -> None:
    for name in ("audio", "visual"):
        text = "filename\tonset\toffset\tevent_labels\n" + rows
        (folder / f"annotations/{name}.csv").write_text(text)


def make(folder: Path, clips: Path, line: str = "any_length: true\n") -> Path:
    (folder / "annotations").mkdir(parents=True)
    (folder / "videos").symlink_to(clips)
    for split, names in SPLITS.items():
        rows = "".join(f"{name}\tDog\n" for name in names)
        (folder / f"annotations/{split}.csv").write_text("filename\tevent_labels\n" + rows)
    write_dense(folder, "dd\t0\t3\tDog\nee\t6\t7.2\tDog\n")
    text = "name: own\nclasses: [Dog, Cat]\nsegments: 1\n"
    (folder / "dataset.yaml").write_text(text + line)
    return folder


@pytest.fixture(scope="module")
def made(clips, tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("sets") / "own", clips)
    report = extract_dataset(folder, where=Where(1))
    assert report.clips == 5 and not report.notes and not report.remarks
    return folder


def test_every_clip_keeps_its_length_and_the_longest_is_written_down(made, clips):
    data = load_data(made)
    assert data.spec.segments == 7 and data.spec.any_length
    assert data.train.lengths.tolist() == [2, 5, 1]
    for place, name in enumerate(SPLITS["train"]):
        alone = load_extractor("light").extract(clips / f"{name}.mp4")
        batch = data.train.batch(data.train.labels.new_tensor([place]).long())
        for stream, value in alone.streams.items():
            np.testing.assert_array_equal(batch.streams[stream][0].numpy(), value)
            found = stored_features(store_path(made, "train"), name, data.spec)
            np.testing.assert_array_equal(found[stream], value)
    # The only validation video is shorter than the longest of all, the test video is the longest.
    assert data.validation.lengths.tolist() == [3] and data.test.lengths is None
    assert data.validation.dense[0, :, 0, 0].tolist() == [True] * 3 + [False] * 4
    assert data.test.dense[0, :, 0, 0].nonzero().flatten().tolist() == [6]


def test_a_second_call_changes_nothing(made):
    before = {file: file.read_bytes() for file in sorted(made.rglob("*.*")) if file.is_file()}
    extract_dataset(made, where=Where(1))
    assert before == {f: f.read_bytes() for f in sorted(made.rglob("*.*")) if f.is_file()}


def test_check_and_verify_read_it(made):
    assert check(made).count("error") == 0
    assert verify(made).found.streams["audio"].segments == (1, 7)


def test_an_event_behind_the_end_is_a_problem_at_its_line(made):
    write_dense(made, "dd\t0\t3\tDog\ndd\t2\t3.6\tDog\nee\t6\t7.2\tDog\n")
    with pytest.raises(RlldError, match=r"audio\.csv:3: .* 2 to 3\.6 s lies outside the video"):
        _ = load_data(made).validation
    errors = [problem for problem in check(made).problems if problem.grade == "error"]
    assert [(problem.path.name, problem.line) for problem in errors] == [
        ("audio.csv", 3),
        ("visual.csv", 3),
    ]
    write_dense(made, "dd\t0\t3\tDog\nee\t6\t7.2\tDog\n")


def test_a_fixed_length_says_what_it_costs(clips, tmp_path):
    folder = make(tmp_path / "own", clips, "")
    write_dense(folder, "dd\t0\t1\tDog\n")
    report = extract_dataset(folder, where=Where(1))
    assert report.remarks == (
        "4 clips are longer than 1 s: what comes after was left out; to keep clips as long as they "
        "are, write 'any_length: true' into dataset.yaml and extract again",
    )
    assert "any_length" not in (folder / "dataset.yaml").read_text()
    text = (folder / "dataset.yaml").read_text()
    (folder / "dataset.yaml").write_text(text + "any_length: true\n")
    extract_dataset(folder, where=Where(1))
    assert read_spec(folder).segments == 7


def test_a_failed_clip_is_one_silent_segment(clips, tmp_path):
    folder = make(tmp_path / "own", clips)
    (folder / "videos").unlink()
    (folder / "videos").mkdir()
    for name in SECONDS:
        (folder / f"videos/{name}.mp4").write_bytes(
            b"no clip" if name == "bb" else (clips / f"{name}.mp4").read_bytes()
        )
    report = extract_dataset(folder, where=Where(1), skip_failed=True)
    assert list(report.failed) == ["bb"]
    train = load_data(folder).train
    assert train.lengths.tolist() == [2, 1, 1]
    assert not train.subset(train.labels.new_tensor([1]).long()).streams["audio"].any()
