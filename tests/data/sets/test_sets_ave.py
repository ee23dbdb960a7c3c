"""AVE: samples by row, splits in two forms, features of all samples in one file."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import h5py
import numpy as np
import pytest

from cli_kit import called
from rlld.data.dataset import load_data
from rlld.data.sets import ave
from rlld.data.sets.ave import PUBLISHED
from rlld.errors import RlldError
from sets_kit import AVE_SPLITS, write_ave, write_ave_features


@pytest.mark.parametrize("lists", ["h5", "txt"])
def test_samples_are_known_by_their_row(lists, tmp_path):
    given = ave.read(write_ave(tmp_path, lists))
    assert list(given.videos) == [
        "-aClip_0001",
        "bClip_00002_1",
        "cClip-00003",
        "bClip_00002_3",
        "dClip_00004",
    ]
    assert given.of("train") == ["-aClip_0001", "bClip_00002_3"]
    assert given.of("validation") == ["bClip_00002_1", "cClip-00003"]
    violin = given.videos["bClip_00002_1"]
    assert violin.tags == ("Violin fiddle",) and violin.youtube == "bClip_00002"
    assert given.videos["cClip-00003"].tags == ("Bark",)
    assert [e[1:5] for e in given.events][1:3] == [
        ("Violin fiddle", "audio_visual", 2, 5),
        ("Bark", "audio_visual", 0, 0),
    ]
    ave.write(tmp_path / "again", given)
    again = ave.read(tmp_path / "again")
    assert again.videos == given.videos
    assert [e[:5] for e in again.events] == [e[:5] for e in given.events]
    first = (tmp_path / "again/Annotations.txt").read_text().splitlines()[2]
    assert first == "Violin, fiddle&bClip_00002&good&2&5"


def test_splits_that_do_not_fit_are_refused(tmp_path):
    write_ave(tmp_path)
    (tmp_path / "val_order.h5").unlink()
    with pytest.raises(RlldError, match=r"has neither val_order.h5 .* nor valSet.txt"):
        ave.read(tmp_path)
    for numbers, message in (
        ([1], r"row 2 of Annotations.txt is in no split \(1 such rows\)"),
        ([1, 2, 3], "row 3 of Annotations.txt is in train too"),
        ([1, 99], "order must be numbers of the 5 rows"),
    ):
        with h5py.File(tmp_path / "val_order.h5", "w") as file:
            file["order"] = np.array(numbers)
        with pytest.raises(RlldError, match=message):
            ave.read(tmp_path)
    (tmp_path / "val_order.h5").write_text("no HDF5")
    with pytest.raises(RlldError, match="no HDF5 file with 'order'"):
        ave.read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Bark&c", "Barks&c", r"txt:3: unknown class 'Barks'; did you mean 'Bark'"),
        ("&good&7", "&7", r"txt:5: expected 5 cells separated by '&'"),
        ("&7&", "&-7&", r"txt:5: StartTime is '-7', expected seconds"),
    ],
)
def test_other_rows_are_refused(old, new, message, tmp_path):
    path = write_ave(tmp_path) / "Annotations.txt"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(RlldError, match=message):
        ave.read(tmp_path)


def test_from_features_to_a_data_set(tmp_path):
    write_ave_features(write_ave(tmp_path / "a"))
    out = tmp_path / "D"
    words = ("data", "published", "ave", "--annotations", tmp_path / "a", "--out", out)
    done = called(*words, "--features", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert "repaired or dropped: 1 annotations" in done.stdout
    data = load_data(out, with_truth=True)
    assert data.spec.modalities == "joint" and len(data.spec.classes) == 28
    with h5py.File(tmp_path / "a/visual_feature.h5") as file:
        expected = file["avadataset"][AVE_SPLITS["train"][1]].mean((1, 2))
    found = data.train.streams["visual_2d"][data.train.ids.index("-aClip_0001")]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    dense, bark = data.validation.dense, data.spec.classes.index("Bark")
    assert dense is not None
    assert dense[0].sum((0, 2)).tolist() == [3, 3] and not dense[1].any()
    assert data.train.truth is not None and data.train.truth[0].all((0, 1)).any()
    # Of what is not heard and seen at once, nothing is known: it may be heard alone.
    assert data.validation.presence[0].unique().tolist() == [-1, 1]
    assert data.validation.presence[1, :, bark].tolist() == [-1, -1]


def test_a_joint_set_shows_what_it_knows(tmp_path):
    write_ave_features(write_ave(tmp_path / "a"))
    out, run = tmp_path / "D", tmp_path / "R"
    words = ("data", "published", "ave", "--annotations", tmp_path / "a", "--out", out)
    assert called(*words, "--features", tmp_path / "a").returncode == 0
    small = ("--network.hidden", 16, "--schedule.updates", 2, "--device", "cpu")
    trained = called("train", "weak", "--data", out, "--out", run, *small)
    assert trained.returncode == 0, trained.stderr
    done = called(
        "evaluate", run, "--metrics", "accuracy,map,collar", "--json", tmp_path / "s.json"
    )
    assert done.returncode == 0, done.stderr
    head = next(line for line in done.stdout.splitlines() if "seg " in line)
    assert head.split() == ["seg", "AV", "ev", "AV"]
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["lanes"] == ["audio_visual"]
    names = ["accuracy", "mAP", *(f"mAP@0.{n}" for n in range(1, 10)), "collar F"]
    assert list(scores["further"]) == names
    assert all(set(own) == {"audio_visual"} for own in scores["further"].values())
    # The one test sample has three seconds of an event; a run that finds nothing names the others.
    assert scores["further"]["accuracy"]["audio_visual"] % 10 == 0
    wrong = called("evaluate", run, "--metrics", "accuracies")
    assert wrong.returncode == 2 and "did you mean 'accuracy'" in wrong.stderr


def test_features_of_another_version_are_refused(tmp_path):
    write_ave_features(write_ave(tmp_path / "a"))
    with h5py.File(tmp_path / "a/audio_feature.h5", "w") as file:
        file["avadataset"] = np.zeros((6, 10, 128), np.float32)
    words = ("data", "published", "ave", "--annotations", tmp_path / "a", "--out", tmp_path / "D")
    done = called(*words, "--features", tmp_path / "a")
    assert done.returncode == 2
    assert "holds 6 samples, Annotations.txt has 5" in done.stderr
    assert not (tmp_path / "D").exists()


def test_the_real_rows(shared_sets, tmp_path):
    shutil.copy(shared_sets / "ave/Annotations.txt", tmp_path)
    for split, places in {"train": (0, 3339), "val": (3339, 3741), "test": (3741, 4143)}.items():
        with h5py.File(tmp_path / f"{split}_order.h5", "w") as file:
            file["order"] = np.arange(*places)
    given = ave.read(tmp_path)
    assert len(given.videos) == 4143
    ids = Counter(known.youtube for known in given.videos.values())
    assert len(ids) == 4097 and sum(count > 1 for count in ids.values()) == 45
    assert Counter(e.offset - e.onset for e in given.events)[10] == 2750
    assert sum(e.offset == e.onset for e in given.events) == 1
    order = dict.fromkeys(given.spelling(known.tags[0]) for known in given.videos.values())
    assert tuple(order) == PUBLISHED
