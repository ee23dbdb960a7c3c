"""LLP from the start to the end, with its real annotation files."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

import rlld.llp
from features.clips_kit import beep, flashes, write_test_clip
from features.random_weights import FILES, write_random_weights
from rlld.cli import _main
from rlld.data.annotations import read_weak
from rlld.data.check import check
from rlld.data.dataset import load_data
from rlld.data.spec import LLP_SPEC
from rlld.data.verify import verify
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.job import Where
from rlld.llp import finished, from_clips, from_features

CLIP = "BjCEufrlXm4"
DECIMAL = "Br4mum2rWtY_9.3_19.3"
HERE = Where(1)


@pytest.fixture(scope="module")
def some(tmp_path_factory, shared_llp):
    """A folder of short clips, named in all ways that occur."""
    folder = tmp_path_factory.mktemp("llp") / "clips"
    folder.mkdir()
    test = read_weak(shared_llp / "AVVP_test_pd.csv", LLP_SPEC.taxonomy).ids
    validation = read_weak(shared_llp / "AVVP_val_pd.csv", LLP_SPEC.taxonomy).ids
    dashed = next(video for video in test if video.startswith("-"))
    names = {
        "decimal": f"{DECIMAL}.mp4",
        "dashed": f"{dashed[:11]}.MP4",
        "validation": f"{validation[0]}.mkv",
    }
    for number, name in enumerate(names.values()):
        sound, pictures = beep(3, 0.1 * number, 1), flashes(3, 0, 1 + number)
        target = folder / name.replace(".MP4", ".mp4")
        write_test_clip(target, sound=sound, pictures=pictures).rename(folder / name)
    film = folder / f"{test[1]}.mp4"
    write_test_clip(film, sound=None, pictures=[(time, 90) for time in range(21)])
    (folder / f"{test[2]}.mp4").write_text("no film")
    # Files that belong to nothing: the last is a second one of a video that has its own.
    for name in ("holiday", test[3].swapcase()[:11], f"{test[4][:11]}_0_1", DECIMAL[:11]):
        (folder / f"{name}.mp4").write_bytes(b"")
    return folder, {"dashed": dashed, "validation": validation[0], "test": test}


def test_the_real_clip_with_its_real_annotation(shared_llp, shared_media, tmp_path, capsys):
    out = tmp_path / "D"
    words = ["data", "llp", "--annotations", str(shared_llp), "--videos", str(shared_media)]
    words += ["--out", str(out), "--extractors", "light", "--workers", "1"]
    assert _main(words) == 0
    shown = capsys.readouterr().out
    assert "missing: 11,848 videos" in shown
    assert "no validation and no test split" in shown
    assert f"next: rlld train han --data {out}" in shown
    data = load_data(out)
    assert data.spec.features == "light"
    assert data.train.ids == (f"{CLIP}_20_30",)
    tags = [data.spec.classes[index] for index in data.train.labels[0].nonzero()[:, 0]]
    assert tags == ["Speech", "Dog"]
    alone = load_extractor("light").extract(shared_media / f"{CLIP}.mp4")
    for name, value in data.train.streams.items():
        np.testing.assert_array_equal(value[0].numpy(), alone.streams[name])
        stored = np.load(tmp_path / "D.features" / name / f"{CLIP}.npy")
        np.testing.assert_array_equal(stored, alone.streams[name])
    assert not check(out).problems
    with (out / "missing.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 11848 and all(row["filename"] != f"{CLIP}_20_30" for row in rows)
    decimal = next(row for row in rows if row["filename"] == DECIMAL)
    assert decimal == {
        "filename": DECIMAL,
        "split": "train",
        "url": "https://www.youtube.com/watch?v=Br4mum2rWtY",
        "start": "9.3",
        "end": "19.3",
    }
    assert _main(words) == 0
    assert f"{out} is finished, with 1 train videos" in capsys.readouterr().out


def test_what_is_there_is_used_and_what_is_not_is_said(some, shared_llp, tmp_path):
    clips, ids = some
    report = from_clips(shared_llp, clips, tmp_path / "D", "light", tmp_path / "F", HERE)
    test = ids["test"]
    assert report.wanted == {"train": 10000, "validation": 649, "test": 1200}
    assert report.found == {"train": 1, "validation": 1, "test": 3}
    assert report.packed.videos == {"train": 1, "validation": 1, "test": 1}
    assert report.missing == 11844 and report.damaged == 2
    assert set(report.failed) == {test[1][:11], test[2][:11]}
    start, end = test[1].split("_")[-2:]
    assert f"second {start} to {end}" in report.failed[test[1][:11]]
    assert "134,355" in report.packed.audio_version
    assert report.notes[DECIMAL[:11]] == ("3 segments instead of 10",)
    reasons = {name: text.split(" of ")[0] for name, text in report.foreign.items()}
    assert reasons["holiday"] == "no video"
    assert reasons[DECIMAL[:11]] == "a second clip"
    assert report.foreign[test[3].swapcase()[:11]].startswith("capital and small letters")
    assert report.foreign[f"{test[4][:11]}_0_1"] == (
        f"begins like {test[4]} but is not named so; rename it if it is that video"
    )
    data = load_data(tmp_path / "D")
    assert data.test.ids == (ids["dashed"],) and data.train.ids == (DECIMAL,)
    assert data.test.dense is not None and data.validation.dense is not None
    assert data.test.streams["audio"][0, :3].any() and not data.test.streams["audio"][0, 3:].any()
    assert (tmp_path / f"F/audio/{ids['dashed'][:11]}.npy").is_file()
    failed = (tmp_path / "D/failed.txt").read_text().splitlines()
    assert len(failed) == 2
    assert not report.checked.count("error")


def test_an_interrupted_call_goes_on(some, shared_llp, tmp_path, monkeypatch):
    clips, _ = some
    from_clips(shared_llp, clips, tmp_path / "whole", "light", None, HERE)

    def stop(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rlld.llp, "pack", stop)
        with pytest.raises(KeyboardInterrupt):
            from_clips(shared_llp, clips, tmp_path / "D", "light", None, HERE)
    assert not finished(tmp_path / "D")
    times = {file: os.stat(file).st_mtime_ns for file in (tmp_path / "D.features").rglob("*.npy")}
    assert len(times) == 9
    from_clips(shared_llp, clips, tmp_path / "D", "light", None, HERE)
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


def test_the_published_features(some, shared_llp, tmp_path):
    test = some[1]["test"]
    features = archive(tmp_path / "F", [test[0][:11], test[1][:11], "somethingel"])
    (features / "res152" / f"{test[1][:11]}.npy").write_bytes(b"half a fi")
    report = from_features(shared_llp, features, tmp_path / "D")
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


def test_refusals(some, shared_llp, tmp_path, capsys):
    clips, _ = some
    (tmp_path / "other").mkdir()
    (tmp_path / "other/holiday.mp4").write_bytes(b"")
    with pytest.raises(RlldError, match="none of its 1 clips is a video of LLP"):
        from_clips(shared_llp, tmp_path / "other", tmp_path / "D", "light")
    (tmp_path / "other/holiday.mp4").rename(tmp_path / f"other/{CLIP}.mp4")
    with pytest.raises(RlldError, match=r"none of its 1 LLP clips could be used.*failed\.txt"):
        from_clips(shared_llp, tmp_path / "other", tmp_path / "D", "light")
    with pytest.raises(RlldError, match="LLP's annotation files"):
        from_clips(tmp_path / "nothing", clips, tmp_path / "D", "light")
    with pytest.raises(RlldError, match="no video of LLP has a file in each of vggish"):
        from_features(shared_llp, archive(tmp_path / "F", []), tmp_path / "D")
    words = ["data", "llp", "--annotations", str(shared_llp), "--out", str(tmp_path / "E")]
    assert _main(words) == 2
    assert "either --videos" in capsys.readouterr().err
    both = [*words, "--features", str(tmp_path), "--features-out", str(tmp_path)]
    assert _main(both) == 2
    assert "nothing is extracted" in capsys.readouterr().err
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
