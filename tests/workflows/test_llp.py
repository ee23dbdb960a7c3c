"""LLP from the start to the end, with annotation files like its own and with these."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

import rlld.workflows.llp
from beside import CLIP
from cli_kit import called
from features.clips_kit import beep, flashes, write_test_clip
from features.random_weights import FILES, write_random_weights
from rlld.cli import _main
from rlld.data.annotations import read_weak
from rlld.data.checks.check import check
from rlld.data.checks.verify import verify
from rlld.data.dataset import DataSet, load_data
from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.job import Where
from rlld.workflows.llp import finished, from_clips, from_features

HERE = Where(1)
FILES_OF_LLP = ["invented_llp", pytest.param("shared_llp", marks=pytest.mark.llp)]


def ids_of(annotations: Path, split: str) -> tuple[str, ...]:
    return read_weak(annotations / f"AVVP_{split}.csv", LLP_SPEC.taxonomy).ids


def write_clips(folder: Path, annotations: Path) -> dict[str, str]:
    """Writes short clips, named in all ways that occur; returns the videos by what is odd."""
    folder.mkdir()
    test = ids_of(annotations, "test_pd")
    names = {
        "decimal": next(video for video in ids_of(annotations, "train") if "." in video),
        "dashed": next(video for video in test if video.startswith("-")),
        "validation": ids_of(annotations, "val_pd")[0],
    }
    files = (f"{names['decimal']}.mp4", f"{names['dashed'][:11]}.MP4", f"{names['validation']}.mkv")
    for number, name in enumerate(files):
        sound, pictures = beep(3, 0.1 * number, 1), flashes(3, 0, 1 + number)
        target = folder / name.replace(".MP4", ".mp4")
        write_test_clip(target, sound=sound, pictures=pictures).rename(folder / name)
    film = folder / f"{test[1]}.mp4"
    write_test_clip(film, sound=None, pictures=[(time, 90) for time in range(21)])
    (folder / f"{test[2]}.mp4").write_text("no film")
    # Files that belong to nothing: the last is a second one of a video that has its own.
    for name in ("holiday", test[3].swapcase()[:11], f"{test[4][:11]}_0_1", names["decimal"][:11]):
        (folder / f"{name}.mp4").write_bytes(b"")
    return names


@pytest.fixture(scope="module")
def clips(tmp_path_factory, invented_llp):
    folder = tmp_path_factory.mktemp("llp") / "clips"
    write_clips(folder, invented_llp)
    return folder


def test_the_real_clip_with_its_real_annotation(shared_llp, shared_media, tmp_path):
    data = made_of_one(shared_llp, shared_media / f"{CLIP}.mp4", f"{CLIP}_20_30", 11848, tmp_path)
    tags = [data.spec.classes[index] for index in data.train.labels[0].nonzero()[:, 0]]
    assert tags == ["Speech", "Dog"]


def test_a_clip_with_its_annotation(invented_llp, tmp_path):
    (tmp_path / "clips").mkdir()
    clip = tmp_path / "clips" / "-aTrain_001.mp4"
    write_test_clip(clip, sound=beep(10, 2, 5), pictures=flashes(10, 3, 8))
    made_of_one(invented_llp, clip, "-aTrain_001_30_40", 21, tmp_path)


def made_of_one(annotations: Path, clip: Path, video: str, missing: int, folder: Path) -> DataSet:
    """Makes a data set of one training clip with the command, and returns it."""
    out = folder / "D"
    words = ["data", "llp", "--annotations", annotations, "--videos", clip.parent]
    words += ["--out", out, "--extractors", "light", "--workers", "1"]
    done = called(*words)
    assert done.returncode == 0, done.stderr
    assert f"missing: {missing:,} videos" in done.stdout
    assert "no validation and no test split" in done.stdout
    assert f"next: rlld train han --data {out}" in done.stdout
    data = load_data(out)
    assert data.spec.features == "light"
    assert data.train.ids == (video,)
    alone = load_extractor("light").extract(clip)
    for name, value in data.train.streams.items():
        np.testing.assert_array_equal(value[0].numpy(), alone.streams[name])
        stored = np.load(folder / "D.features" / name / f"{video[:11]}.npy")
        np.testing.assert_array_equal(stored, alone.streams[name])
    assert not check(out).problems
    with (out / "missing.tsv").open() as file:
        rows = {row["filename"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert len(rows) == missing and video not in rows
    decimal = next(other for other in ids_of(annotations, "train") if "." in other)
    assert rows[decimal] == {
        "filename": decimal,
        "split": "train",
        "url": f"https://www.youtube.com/watch?v={decimal[:11]}",
        "start": decimal.split("_")[-2],
        "end": decimal.split("_")[-1],
    }
    assert f"{out} is finished, with 1 train videos" in called(*words).stdout
    return data


@pytest.mark.parametrize("files", FILES_OF_LLP)
def test_what_is_there_is_used_and_what_is_not_is_said(files, request, tmp_path):
    annotations, clips = request.getfixturevalue(files), tmp_path / "clips"
    ids, test = write_clips(clips, annotations), ids_of(annotations, "test_pd")
    report = from_clips(annotations, clips, tmp_path / "D", "light", tmp_path / "F", HERE)
    real = files == "shared_llp"
    numbers = (10000, 649, 1200) if real else (8, 6, 8)
    assert report.wanted == dict(zip(("train", "validation", "test"), numbers, strict=True))
    assert report.found == {"train": 1, "validation": 1, "test": 3}
    assert report.packed.videos == {"train": 1, "validation": 1, "test": 1}
    assert report.missing == sum(numbers) - 5 and report.damaged == 2
    assert set(report.failed) == {test[1][:11], test[2][:11]}
    start, end = test[1].split("_")[-2:]
    assert f"second {start} to {end}" in report.failed[test[1][:11]]
    assert ("134,355" in report.packed.audio_version) is real
    decimal = ids["decimal"]
    assert report.notes[decimal[:11]] == ("3 segments instead of 10",)
    reasons = {name: text.split(" of ")[0] for name, text in report.foreign.items()}
    assert reasons["holiday"] == "no video"
    assert reasons[decimal[:11]] == "a second clip"
    assert report.foreign[test[3].swapcase()[:11]].startswith("capital and small letters")
    assert report.foreign[f"{test[4][:11]}_0_1"] == (
        f"begins like {test[4]} but is not named so; rename it if it is that video"
    )
    data = load_data(tmp_path / "D")
    assert data.test.ids == (ids["dashed"],) and data.train.ids == (decimal,)
    assert data.test.dense is not None and data.validation.dense is not None
    assert data.test.streams["audio"][0, :3].any() and not data.test.streams["audio"][0, 3:].any()
    assert (tmp_path / f"F/audio/{ids['dashed'][:11]}.npy").is_file()
    failed = (tmp_path / "D/failed.txt").read_text().splitlines()
    assert len(failed) == 2
    assert not report.checked.count("error")


def test_an_interrupted_call_goes_on(clips, invented_llp, tmp_path, monkeypatch):
    from_clips(invented_llp, clips, tmp_path / "whole", "light", None, HERE)

    def stop(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rlld.workflows.llp, "pack", stop)
        with pytest.raises(KeyboardInterrupt):
            from_clips(invented_llp, clips, tmp_path / "D", "light", None, HERE)
    assert not finished(tmp_path / "D")
    times = {file: os.stat(file).st_mtime_ns for file in (tmp_path / "D.features").rglob("*.npy")}
    assert len(times) == 9
    from_clips(invented_llp, clips, tmp_path / "D", "light", None, HERE)
    assert {file: os.stat(file).st_mtime_ns for file in times} == times
    for file in ("dataset.yaml", "missing.tsv", "failed.txt", "features/test.safetensors"):
        assert (tmp_path / "D" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert finished(tmp_path / "D") == {"train": 1, "validation": 1, "test": 1}


def archive(folder: Path, names: list[str]) -> Path:
    random = np.random.default_rng(0)
    for stream in LLP_SPEC.streams.values():
        (folder / stream.folder).mkdir(parents=True)
        for name in names:
            rows = random.random((10 * stream.frames, stream.dim), np.float32)
            np.save(folder / stream.folder / f"{name}.npy", rows)
    return folder


@pytest.mark.parametrize("files", FILES_OF_LLP)
def test_the_published_features(files, request, tmp_path):
    annotations = request.getfixturevalue(files)
    test = ids_of(annotations, "test_pd")
    features = archive(tmp_path / "F", [test[0][:11], test[1][:11], "somethingel"])
    (features / "res152" / f"{test[1][:11]}.npy").write_bytes(b"half a fi")
    report = from_features(annotations, features, tmp_path / "D")
    assert report.found == {"train": 0, "validation": 0, "test": 2}
    assert report.packed.videos == {"test": 1} and report.damaged == 1
    assert report.foreign == {"somethingel": "no video of LLP"}
    assert "not a whole .npy file" in (tmp_path / "D/skipped.txt").read_text()
    data = load_data(tmp_path / "D")
    assert data.spec.features == "published"
    frames = np.load(features / "res152" / f"{test[0][:11]}.npy").reshape(10, 8, 2048)
    np.testing.assert_array_equal(data.test.streams["visual_2d"][0], frames.mean(1))
    with pytest.raises(RlldError, match="no train split"):
        data.train  # noqa: B018


def test_refusals(clips, invented_llp, tmp_path):
    first = ids_of(invented_llp, "train")[0]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/holiday.mp4").write_bytes(b"")
    with pytest.raises(RlldError, match="none of its 1 clips is a video of LLP"):
        from_clips(invented_llp, tmp_path / "other", tmp_path / "D", "light")
    (tmp_path / "other/holiday.mp4").rename(tmp_path / f"other/{first}.mp4")
    with pytest.raises(RlldError, match=r"none of its 1 LLP clips could be used.*failed\.txt"):
        from_clips(invented_llp, tmp_path / "other", tmp_path / "D", "light")
    with pytest.raises(RlldError, match="LLP's annotation files"):
        from_clips(tmp_path / "nothing", clips, tmp_path / "D", "light")
    with pytest.raises(RlldError, match="no video of LLP has a file in each of vggish"):
        from_features(invented_llp, archive(tmp_path / "F", []), tmp_path / "D")
    words = ["data", "llp", "--annotations", invented_llp, "--out", tmp_path / "E"]
    for more, said in (
        ([], "either --videos"),
        (["--features", tmp_path, "--features-out", tmp_path], "nothing is extracted"),
    ):
        done = called(*words, *more)
        assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "E").exists()


@pytest.mark.slow
def test_the_real_clip_with_the_published_extractors(
    shared_llp, shared_media, tmp_path, monkeypatch, capsys
):
    """Random weights, in the published layout: shapes, packing and parsing, not numbers."""
    monkeypatch.setenv("RLLD_WEIGHTS", str(tmp_path / "weights"))
    for name in FILES:
        write_random_weights(name, tmp_path / "weights")
    out, run = tmp_path / "D", tmp_path / "run"
    clip = shared_media / f"{CLIP}.mp4"
    words = ["data", "llp", "--annotations", str(shared_llp), "--videos", str(shared_media)]
    assert _main([*words, "--out", str(out), "--workers", "1"]) == 0
    data = load_data(out)
    assert data.spec.features == "vggish,resnet152,r2plus1d"
    assert data.spec.streams == LLP_SPEC.streams
    for name, stream in LLP_SPEC.streams.items():
        rows = np.load(tmp_path / "D.features" / stream.folder / f"{CLIP}.npy")
        assert rows.shape == (10 * stream.frames, stream.dim)
        mean = rows.reshape(10, stream.frames, -1).mean(1)
        np.testing.assert_array_equal(data.train.streams[name][0], mean)
    assert verify(tmp_path / "D.features").agrees and verify(out).agrees
    again = tmp_path / "E"
    words = ["data", "llp", "--annotations", str(shared_llp), "--out", str(again)]
    assert _main([*words, "--features", str(tmp_path / "D.features")]) == 0
    for name, value in load_data(again).train.streams.items():
        np.testing.assert_array_equal(value, data.train.streams[name])
    short = ["--schedule.updates", "2", "--schedule.batch_size", "1"]
    assert _main(["train", "han", "--data", str(out), "--out", str(run), *short]) == 0
    capsys.readouterr()
    assert _main(["parse", str(run), str(clip), "--format", "json"]) == 0
    parsed = json.loads(capsys.readouterr().out)
    assert parsed["duration"] == pytest.approx(10.0, abs=0.1)
