"""LFAV: its files read with their traps, written, and made a data set."""

from __future__ import annotations

from collections import Counter

import pytest

from cli_kit import called
from rlld.data.dataset import load_data
from rlld.data.problems import Problem
from rlld.data.sets import lfav
from rlld.data.sets.base import repaired
from rlld.errors import RlldError
from sets_kit import write_lfav, write_lfav_features


def test_every_trap_is_read_or_told(tmp_path):
    told: list[Problem] = []
    given = lfav.read(write_lfav(tmp_path), told.append)
    assert list(given.videos)[:2] == ["-aTrain_0001", "bTrain_00002"]
    assert given.videos["-aTrain_0001"].heard == ("speech", "dog")  # a space before it is none
    assert given.videos["-aTrain_0001"].seen == ("dog",)
    assert given.videos["bTrain_00002"].heard == ()  # silent
    assert [given.videos[v].split for v in given.of("test")] == ["test", "test"]
    assert [str(problem).rpartition("/")[2] for problem in told] == [
        "train_visual_weakly.csv:2: video '-aTrain_0001' repeats a label (dog,dog); it counts once",
        "val_visual_weakly.csv:2: video '_bValid0001' has 'train', which is none of the 35 "
        "classes; left out",
        "val_visual.csv:2: 'train' of '_bValid0001' is none of the 35 classes; left out",
    ]
    kept, faults = repaired(given.events, {"_bValid0001": 12.0})
    assert [(e.label, e.onset, e.offset) for e in kept if e.video == "_bValid0001"] == [
        ("dog", 0, 4),
        ("speech", 6, 9),
        ("dog", 10, 12),
        ("dog", 2, 9),
    ]
    assert len(faults) == 4


def test_what_is_written_is_read_again(tmp_path):
    given = lfav.read(write_lfav(tmp_path / "a"))
    lfav.write(tmp_path / "b", given)
    again = lfav.read(tmp_path / "b")
    assert again.videos == given.videos
    assert [e[:5] for e in again.events] == [e[:5] for e in given.events]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train/train_weakly.csv", "violin", "violine", r"csv:3: unknown class 'violine'; did you"),
        ("train/train_weakly.csv", "filename", "file", "has no column 'filename'"),
        ("val/val_audio.csv", "\t9\t", "\tnine\t", r"csv:3: onset is 'nine', expected seconds"),
        ("val/val_audio.csv", "\tspeech", "", r"csv:3: expected 4 cells"),
        ("test/test_weak_av.csv", "dTest_00002", "cTest-00001", r"csv:3: video .* stands there tw"),
        ("test/test_weak_av.csv", "dTest_00002", "bTrain_00002", "is in two splits"),
    ],
)
def test_other_files_are_refused(file, old, new, message, tmp_path):
    write_lfav(tmp_path)
    path = tmp_path / file
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(RlldError, match=message):
        lfav.read(tmp_path)


def test_from_features_to_a_run(tmp_path):
    out = tmp_path / "D"
    words = ["data", "published", "lfav", "--annotations", write_lfav(tmp_path / "a")]
    words += ["--features", write_lfav_features(tmp_path / "f"), "--out", out]
    done = called(*words)
    assert done.returncode == 0, done.stderr
    assert "missing: 1 videos" in done.stdout
    assert "note on -aTrain_0001: its tracks differ in length: audio 8 s, visual_2d 7 s" in (
        done.stdout
    )
    assert "left out: 1 more" in done.stdout and "not used holiday: no video of lfav" in done.stdout
    skipped = (out / "skipped.txt").read_text()
    assert "bTrain_00002\ttrain: its tracks disagree in length: audio 90 s, visual_2d 30" in skipped
    data = load_data(out, with_truth=True)
    assert data.train.ids == ("-aTrain_0001",) and data.spec.any_length
    assert data.spec.dims == {"audio": 128, "visual_2d": 512, "visual_3d": 512}
    dog, speech = data.spec.classes.index("dog"), data.spec.classes.index("speech")
    assert data.train.truth is not None
    assert data.train.truth[0, :7, 0, speech].all() and not data.train.truth[0, :, 1, speech].any()
    assert data.train.truth[0, :7, :, dog].all()
    assert data.validation.dense is not None
    assert data.validation.dense[0, :, 0, dog].int().tolist() == [1] * 4 + [0] * 6 + [1] * 2
    assert "seconds" not in (out / "missing.tsv").read_text()
    assert "cTrain-00003\ttrain\thttps://www.youtube.com/watch?v=cTrain-00003" in (
        (out / "missing.tsv").read_text()
    )
    assert (out / "repaired.txt").read_text().count("\n") == 7
    again = called(*words)
    assert again.returncode == 0 and "is finished" in again.stdout
    small = ("--network.hidden", 16, "--schedule.updates", 2, "--device", "cpu")
    trained = called("train", "weak", "--data", out, "--out", tmp_path / "R", *small)
    assert trained.returncode == 0, trained.stderr
    assert called("evaluate", tmp_path / "R").returncode == 0


def test_the_real_files(shared_sets):
    told: list[Problem] = []
    given = lfav.read(shared_sets / "lfav", told.append)
    splits = Counter(known.split for known in given.videos.values())
    assert splits == {"train": 3721, "validation": 486, "test": 968}
    assert len(given.events) == 3845 + 3734 + 8384 + 7519
    faults = Counter(text.partition(" (")[0] for _, text in repaired(given.events, {})[1])
    assert faults == {"has no length": 388, "ends before it begins": 37}
    assert max(event.offset for event in given.events) == 116_117
    train = [known for known in given.videos.values() if known.split == "train"]
    tags = sum(len(known.tags) for known in train)
    assert round(tags / len(train), 2) == 2.96
    shares = [sum(len(getattr(known, track)) for known in train) for track in ("heard", "seen")]
    assert [round(share / tags, 3) for share in shares] == [0.818, 0.694]


def test_real_files_are_written_as_they_are_published(shared_sets, tmp_path):
    given = lfav.read(shared_sets / "lfav")
    lfav.write(tmp_path, given)
    changed = {}
    for file in sorted(tmp_path.rglob("*.csv")):
        name = file.relative_to(tmp_path)
        there = (shared_sets / "lfav" / name).read_text().splitlines()
        changed[str(name)] = len(set(there) ^ set(file.read_text().splitlines())) // 2
    # Rows that were told: a space, a repeated label, classes that are none of the 35.
    assert {name: count for name, count in changed.items() if count} == {
        "train/train_audio_weakly.csv": 1,
        "train/train_visual_weakly.csv": 1,
        "val/val_visual_weakly.csv": 3,
        "test/test_visual_weakly.csv": 5,
    }
