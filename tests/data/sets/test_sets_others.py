"""The other data sets: each read with its traps, written, and made a data set."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli_kit import called
from features.clips_kit import beep, flashes, write_test_clip
from rlld.data.dataset import load_data
from rlld.data.problems import Problem
from rlld.data.sets import annotate, as_published, load_set, spec_of
from rlld.data.sets.base import PublishedSet
from rlld.errors import RlldError
from rlld.features.job import Where
from rlld.workflows import published_set
from rlld.workflows.published_set import from_clips
from sets_kit import (
    AUDIOSET,
    DESED,
    OV_AVE,
    VGGSOUNDER,
    write_ave,
    write_lfav,
    write_texts,
    write_unav,
    write_unav_features,
)


def texts(files: dict[str, str]) -> Callable[[Path], Path]:
    return lambda folder: write_texts(folder, files)


WRITERS = {
    "ave": write_ave,
    "lfav": write_lfav,
    "unav-100": write_unav,
    "ov-ave": texts(OV_AVE),
    "vggsounder": texts(VGGSOUNDER),
    "vggsound": texts(VGGSOUNDER),
    "audioset-strong": texts(AUDIOSET),
    "desed": texts(DESED),
}


def events(given: PublishedSet) -> list[tuple[object, ...]]:
    return sorted(event[:5] for event in given.events)


JUNK = [b"\t", b"\n", b",", b'"', b"&", b"\0", b"-", b"nan", b"1e999", b"{", b"]", b"null", b"\xff"]
JUNK += [b"'", b"=", b" ", b"../", b"9" * 20, b"\r", b"_", b"true"]


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_damaged_files_are_refused_in_a_sentence(name, tmp_path):
    """Bytes are put in, taken out and overwritten at random; what is still read can be used."""
    draw = random.Random(name)  # noqa: S311 - cases are drawn, not encrypted
    files = [p for p in WRITERS[name](tmp_path).rglob("*.*") if p.is_file() and p.suffix != ".h5"]
    for number in range(60):
        path = draw.choice(files)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(damaged) + 1)
            damaged[at : at + draw.choice((0, 0, 1, 6, 12))] = draw.choice(JUNK)
        path.write_bytes(damaged)
        try:
            given = load_set(name).read(tmp_path, lambda problem: None)
            lengths = dict.fromkeys(given.videos, 12.0)
            annotate(tmp_path / f"D{number}", given, spec_of(given), lengths)
            load_set(name).write(tmp_path / f"W{number}", given)
        except RlldError as error:
            assert str(error)
        path.write_bytes(whole)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_what_is_written_is_read_again(name, tmp_path):
    module = load_set(name)
    given = module.read(WRITERS[name](tmp_path / "a"))
    module.write(tmp_path / "b", given)
    again = module.read(tmp_path / "b")
    assert dict(again.videos) == dict(given.videos)
    assert events(again) == events(given)
    assert (again.classes, again.spelled) == (given.classes, given.spelled)
    assert (again.modalities, again.any_length) == (given.modalities, given.any_length)


def test_unav_repeats_and_subsets(tmp_path):
    told: list[Problem] = []
    given = load_set("unav-100").read(write_unav(tmp_path), told.append)
    assert given.classes == ("man speaking", "dog barking", "bell small")
    assert given.spelled == {"bell small": "bell, small"}
    assert [known.split for known in given.videos.values()] == [
        "train",
        "validation",
        "test",
        "train",
    ]
    assert [p.text for p in told] == [
        "annotation 1 of video 'b2UnAVvid02' repeats another; it counts once"
    ]
    assert [e[3:5] for e in given.events if e.video == "b2UnAVvid02"] == [(1, 2)]
    assert given.videos["d4UnAVvid04"].tags == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("database"), "has no videos under 'database'"),
        (lambda data: data["database"]["c3UnAVvid03"].update(subset="dev"), "subset is 'dev'"),
        (
            lambda data: data["database"]["c3UnAVvid03"]["annotations"][0].update(segment=[1]),
            "'c3UnAVvid03': expected subset, duration",
        ),
        (
            lambda data: data["database"]["b2UnAVvid02"]["annotations"][0].update(label_id=7),
            "'dog barking' has label_id 7, elsewhere 1",
        ),
    ],
)
def test_another_unav_is_refused(change, message, tmp_path):
    path = write_unav(tmp_path) / "unav100_annotations.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(RlldError, match=message):
        load_set("unav-100").read(tmp_path)


def test_unav_from_features(tmp_path):
    out = tmp_path / "D"
    words = ("--annotations", write_unav(tmp_path / "a"), "--out", out)
    done = called(
        "data", "published", "unav-100", *words, "--features", write_unav_features(tmp_path / "f")
    )
    assert done.returncode == 0, done.stderr
    assert "missing: 1 videos" in done.stdout
    data = load_data(out, with_truth=True)
    assert data.spec.dims == {"audio": 128, "visual_2d": 2048} and data.spec.any_length
    rows = np.load(tmp_path / "f/c3UnAVvid03_vggish.npy")
    second = [int((at + 0.5) * 0.32) for at in range(len(rows))]
    means = [rows[np.array(second) == s].mean(0) for s in sorted(set(second))]
    np.testing.assert_allclose(data.test.streams["audio"], np.array(means), atol=1e-6)
    bell = data.spec.classes.index("bell small")
    assert data.test.dense is not None and data.train.truth is not None
    assert data.test.dense[0, :, :, bell].sum(0).tolist() == [5, 5]  # 0.5 to 5 s of 5
    assert "ends behind its video (0.5 to 9.9 s of 5 s); cut there" in (
        (out / "repaired.txt").read_text()
    )

    again = as_published(out)
    load_set("unav-100").write(tmp_path / "w", again)
    written = load_set("unav-100").read(tmp_path / "w")
    assert set(written.videos) == {"b2UnAVvid02", "c3UnAVvid03"} | {"a1-_xUnAV01"}
    known = {"b2UnAVvid02", "c3UnAVvid03"}
    assert [e for e in events(written) if e[0] in known] == [
        ("b2UnAVvid02", "dog barking", "audio_visual", 1, 2),
        ("c3UnAVvid03", "bell small", "audio_visual", 0.5, 5),
    ]
    assert written.videos["a1-_xUnAV01"].split == "train"


def test_events_heard_alone_are_not_written_as_joint_ones(tmp_path):
    given = load_set("desed").read(write_texts(tmp_path, DESED))
    for name in ("ave", "unav-100", "ov-ave"):
        with pytest.raises(RlldError, match=f"which the files of {name} cannot tell"):
            load_set(name).write(tmp_path / name, given)


def test_vggsounder_from_clips_answers_questions(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("aClip-_0001_000030", "-bClip_0002", "cClip_00003_000012"):
        write_test_clip(clips / f"{name}.mp4", sound=beep(10, 2, 5), pictures=flashes(10, 3, 8))
    out = tmp_path / "D"
    words = ("data", "published", "vggsounder", "--videos", clips, "--extractors", "light")
    words += ("--annotations", write_texts(tmp_path / "a", VGGSOUNDER), "--workers", 1)
    done = called(*words, "--out", out)
    assert done.returncode == 0, done.stderr
    data = load_data(out)
    assert data.train.ids == ("cClip_00003_000012",) and data.spec.priors.tags == "heard"
    assert data.validation.ids == ("aClip-_0001_000030", "-bClip_0002_000007")
    names = data.spec.classes
    answers = data.validation.answers
    assert answers is not None
    crowd, mouse = names.index("people crowd"), names.index("mouse clicking")
    assert answers[0, :, crowd].tolist() == [1, 0] and answers[1, :, mouse].tolist() == [0, 1]
    missing = (out / "missing.tsv").read_text().splitlines()
    assert missing[1] == (
        "dClip_00004_000000\ttrain\thttps://www.youtube.com/watch?v=dClip_00004\t0\t10"
    )


def test_an_interrupted_call_goes_on(tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("Ya_30_40", "Yb_0_10", "Yd_1_11"):
        write_test_clip(clips / f"{name}.mp4", sound=beep(10, 2, 5), pictures=flashes(10, 3, 8))
    annotations, where = write_texts(tmp_path / "a", DESED), Where(1)
    made = [from_clips("desed", annotations, clips, tmp_path / "whole", "light", where)]
    extract = published_set.extract_dataset

    def stop(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(published_set, "extract_dataset", stop)
    with pytest.raises(KeyboardInterrupt):
        from_clips("desed", annotations, clips, tmp_path / "cut", "light", where)
    assert not published_set.finished(tmp_path / "cut")
    monkeypatch.setattr(published_set, "extract_dataset", extract)
    made.append(from_clips("desed", annotations, clips, tmp_path / "cut", "light", where))
    for file in ("features/train.safetensors", "annotations/audio.csv", "dataset.yaml"):
        whole, cut = ((tmp_path / name / file).read_bytes() for name in ("whole", "cut"))
        assert whole == cut
    assert made[0].packed.videos == made[1].packed.videos == {"train": 1, "validation": 2}


def test_ov_ave_counts_runs_and_refuses_others(tmp_path):
    given = load_set("ov-ave").read(write_texts(tmp_path, OV_AVE))
    assert [e[3:5] for e in given.events] == [(0, 2), (4, 5), (0, 10), (9, 10)]
    assert given.videos["-OvAveVid02"].tags == ("bell small",)
    path = tmp_path / "released_ovavel_dataset_anno.json"
    path.write_text(path.read_text().replace("[1, 1, 0", "[1, 2, 0"))
    with pytest.raises(RlldError, match=r"'aOvAveVid01': label is .* expected ten zeros and ones"):
        load_set("ov-ave").read(tmp_path)


def test_vggsounder_answers_without_times(tmp_path):
    given = load_set("vggsounder").read(write_texts(tmp_path, VGGSOUNDER))
    assert given.of("train") == ["cClip_00003_000012", "dClip_00004_000000"]
    crowd = given.videos["aClip-_0001_000030"]
    assert crowd.youtube == "aClip-_0001" and (crowd.start, crowd.end) == (30, 40)
    assert crowd.heard == ("bird chirping tweeting", "people crowd")
    assert crowd.seen == ("bird chirping tweeting",)


def test_audioset_is_heard_and_says_what_it_does_not(tmp_path):
    given = load_set("audioset-strong").read(write_texts(tmp_path, AUDIOSET))
    assert given.classes == ("Dog", "Gurgling burble", "Speech")
    assert [e[:5] for e in given.events][-2:] == [
        ("cClip_00003_10000", "Speech", "audio", 0, 0.96),
        ("cClip_00003_10000", "Gurgling burble", "audio", 0, 0.96),
    ]
    assert given.videos["-aClip_0001_30000"].start == 30  # milliseconds
    path = tmp_path / "audioset_train_strong.tsv"
    path.write_text(path.read_text().replace("/m/09x0r", "/m/nothing"))
    with pytest.raises(RlldError, match=r"train_strong.tsv:2: unknown class '/m/nothing'"):
        load_set("audioset-strong").read(tmp_path)


def test_desed_tables_are_told_apart(tmp_path):
    told: list[Problem] = []
    given = load_set("desed").read(write_texts(tmp_path, DESED), told.append)
    assert {video: known.split for video, known in given.videos.items()} == {
        "Yc_5_15": "test",
        "Ya_30_40": "validation",
        "Yb_0_10": "validation",
        "Yd_1_11": "train",
        "Ye_2_12": "train",
    }
    assert given.videos["Yb_0_10"].timed and given.videos["Yb_0_10"].tags == ()
    assert not given.any_length and given.videos["Yb_0_10"].seconds == 9.98
    assert len(told) == 1 and "none of DESED's" in told[0].text
    (tmp_path / "strong.tsv").write_text(
        "filename\tonset\toffset\tevent_label\nYz.wav\t0\t1\tDog\n"
    )
    with pytest.raises(RlldError, match="its name does not say what it is for"):
        load_set("desed").read(tmp_path)


def test_from_clips_to_a_data_set(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name, seconds in {"Ya_30_40": 10, "Yb_0_10": 10, "Yd_1_11": 10, "Ye_2_12": 40}.items():
        sound, pictures = beep(seconds, 2, 5), flashes(seconds, 3, 8)
        write_test_clip(clips / f"{name}.mp4", sound=sound, pictures=pictures)
    (clips / "holiday.mp4").write_bytes(b"no clip")
    (clips / "Yc_5_15.mp4").write_bytes(b"no clip either")
    out = tmp_path / "D"
    words = ("data", "published", "desed", "--annotations", write_texts(tmp_path / "a", DESED))
    words += ("--videos", clips, "--extractors", "light", "--workers", 1, "--out", out)
    done = called(*words)
    assert done.returncode == 0, done.stderr
    assert "not used holiday: no video of desed" in done.stdout
    assert "failed Yc_5_15" in done.stdout and "Ye_2_12.mp4: lasts 40 s and not 10 s" in done.stdout
    data = load_data(out)
    assert data.spec.modalities == "audio" and data.spec.annotations.test == ""
    assert data.train.ids == ("Yd_1_11",)
    assert data.validation.dense is not None
    dog = data.spec.classes.index("Dog")
    assert (
        data.validation.dense[0, :, 0, dog].int().tolist() == [1, 1] + [0] * 8
    )  # half of second 0
    presence = data.validation.presence
    assert (presence[:, 1] == -1).all() and (presence[:, 0] >= 0).all()
    assert called("data", "check", out).returncode == 0
    again = called(*words)
    assert again.returncode == 0 and "is finished" in again.stdout


def test_the_real_vggsounder(shared_sets, tmp_path):
    given = load_set("vggsounder").read(shared_sets / "vggsounder")
    assert len(given.videos) == 14_717 and len(given.classes) == 309
    told = Counter(
        (tag in known.heard, tag in known.seen)
        for known in given.videos.values()
        if known.heard is not None and known.seen is not None
        for tag in known.tags
    )
    assert told == {(True, True): 21_644, (True, False): 10_551, (False, True): 729}
    load_set("vggsounder").write(tmp_path, given)
    there, here = (
        [line.rsplit(",", 3)[0] for line in path.read_text().splitlines()]
        for path in (shared_sets / "vggsounder/vggsounder.csv", tmp_path / "vggsounder.csv")
    )
    assert here == there  # but for its flags, which are not read


def test_the_real_splits_of_ov_ave(shared_sets, tmp_path):
    table = (shared_sets / "ovave/ovave_dataset_meta.csv").read_text()
    rows = [line.split(",") for line in table.splitlines()[1:]]
    labels = {video: {"category": label, "label": str([0] * 10)} for _, label, _, video in rows}
    write_texts(
        tmp_path,
        {"ovave_dataset_meta.csv": table, "ovavel_dataset_anno.json": json.dumps(labels)},
    )
    given = load_set("ov-ave").read(tmp_path)
    splits = Counter(known.split for known in given.videos.values())
    assert splits == {"train": 13_182, "validation": 5_798, "test": 5_820}
    assert len(given.classes) == 67
    load_set("ov-ave").write(tmp_path / "again", given)
    assert (tmp_path / "again/ovave_dataset_meta.csv").read_text().split() == table.split()
