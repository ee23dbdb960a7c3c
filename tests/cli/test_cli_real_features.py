"""From mp4 files to a parser with the extractors of the published features, on random weights."""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "features"))

from clips_kit import beep, flashes, write_test_clip
from random_weights import FILES, write_random_weights

from rlld.data.annotations import write_dense, write_weak
from rlld.data.spec import DataSpec, StreamSpec, spec_text
from rlld.data.store import read_store, store_path

FEATURES = "vggish,resnet152,r2plus1d"
VIDEOS = {"train": ["a", "-b"], "validation": ["d"], "test": ["e"]}
SPEC = DataSpec(
    name="clips",
    classes=("Beep", "Flash"),
    segments=1,
    segment_seconds=1.0,
    streams={"audio": StreamSpec(1), "visual_2d": StreamSpec(1)},
    overrides={"network.hidden": 16, "schedule.updates": 4, "schedule.batch_size": 2},
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for name in FILES:
        write_random_weights(name, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLLD_WEIGHTS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    (folder / "dataset.yaml").write_text(spec_text(SPEC))
    (folder / "annotations").mkdir()
    (folder / "videos").mkdir()
    files = SPEC.annotations
    for number, (split, ids) in enumerate(VIDEOS.items()):
        for video in ids:
            sound, pictures = beep(1, 0.2, 0.8), flashes(1, 0.0, 0.6)
            path = folder / f"videos/{video}.mp4"
            write_test_clip(path, sound=sound if number else None, pictures=pictures)
        labels = np.ones((len(ids), 2), np.uint8)
        write_weak(folder / "annotations" / getattr(files, split), ids, labels, SPEC.taxonomy)
    dense = [*VIDEOS["validation"], *VIDEOS["test"]]
    heard, seen = np.zeros((2, 2, 1, 2), bool)
    heard[:, 0, 0] = seen[:, 0, 1] = True
    write_dense(folder / "annotations" / files.audio, dense, heard, SPEC)
    write_dense(folder / "annotations" / files.visual, dense, seen, SPEC)
    return folder


def succeeds(run_cli, *arguments):
    result = run_cli(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_documented_sequence(run_cli, weights, data, tmp_path):
    must = partial(succeeds, run_cli)
    must("extract", data, "--features", FEATURES, "--workers", 1)
    store = read_store(store_path(data, "train"))
    shapes = {name: tuple(value.shape) for name, value in store.streams.items()}
    assert shapes == {"audio": (2, 1, 128), "visual_2d": (2, 1, 2048), "visual_3d": (2, 1, 512)}
    assert not store.streams["audio"].any() and bool(store.streams["visual_2d"].any())
    manifest = json.loads((data / "features/manifest.json").read_text())
    assert set(manifest["parameters"]) == {"vggish", "resnet152", "r2plus1d"}

    run = tmp_path / "run"
    must("train", "han", "--data", data, "--out", run)
    scores = tmp_path / "scores.json"
    must("evaluate", run, "--split", "test", "--json", scores)
    assert 0 <= json.loads(scores.read_text())["segment"]["type"] <= 100
    assert f"features: {FEATURES}" in (data / "dataset.yaml").read_text()
    parsed = json.loads(must("parse", run, data / "videos/e.mp4", "--format", "json"))
    assert parsed["duration"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
def test_features_that_changed_since_the_training(run_cli, fails_with, tmp_path):
    data, run, others = tmp_path / "set", tmp_path / "run", tmp_path / "others"
    must = partial(succeeds, run_cli)
    must("data", "render", "--out", data, "--videos", "2,1,1", "--classes", "2")
    must("extract", data)
    small = ("--network.hidden", "16", "--schedule.updates", "2", "--schedule.batch_size", "2")
    must("train", "han", "--data", data, "--out", run, *small)
    clip = next(data.glob("videos/*.mp4"))
    must("parse", run, clip)
    shutil.copytree(data, others)
    must("extract", others, "--features", "light(rate=8000)")
    fails_with(run_cli("evaluate", run, "--data", others), "extract them as those were")
    config = json.loads((run / "config.json").read_text())
    config["dataset"]["features_version"] = "0123456789abcdef"
    (run / "config.json").write_text(json.dumps(config))
    fails_with(run_cli("parse", run, clip), "light' features of version 0123456789abcdef")
    del config["dataset"]["features_version"]
    (run / "config.json").write_text(json.dumps(config))
    must("parse", run, clip)
    must("evaluate", run, "--data", others)


@pytest.mark.slow
def test_the_documented_sequence_on_rendered_clips(run_cli, weights, tmp_path):
    data, run = tmp_path / "set", tmp_path / "run"
    small = ("--network.hidden", "32", "--schedule.updates", "8", "--schedule.batch_size", "2")
    must = partial(succeeds, run_cli)
    must("data", "render", "--out", data, "--videos", "2,1,1", "--classes", "2")
    must("extract", data, "--features", FEATURES)
    must("data", "check", data)
    must("train", "han", "--data", data, "--out", run, *small)
    must("evaluate", run, "--split", "test")
    clip, page = next(data.glob("videos/*.mp4")), tmp_path / "clip.html"
    must("parse", run, clip, "--out", page)
    assert page.stat().st_size > 10_000
    store = read_store(store_path(data, "train"))
    shapes = {name: tuple(value.shape) for name, value in store.streams.items()}
    assert shapes == {"audio": (2, 10, 128), "visual_2d": (2, 10, 2048), "visual_3d": (2, 10, 512)}


def test_files_have_the_published_shapes(run_cli, weights, data, tmp_path):
    out = tmp_path / "features"
    result = run_cli("extract", data / "videos/e.mp4", "--features", FEATURES, "--out", out)
    assert result.returncode == 0, result.stderr
    shapes = {name: np.load(out / name / "e.npy").shape for name in ("vggish", "res152")}
    assert shapes == {"vggish": (1, 128), "res152": (8, 2048)}
    assert np.load(out / "r2plus1d_18/e.npy").shape == (1, 512)


def test_a_data_set_needs_sound_and_pictures(run_cli, fails_with, weights, data):
    result = run_cli("extract", data, "--features", "vggish,r2plus1d")
    fails_with(result, "features 'vggish,r2plus1d' give a data set no stream 'visual_2d'; add an")


def test_weights_that_are_not_there(run_cli, fails_with, data, tmp_path, monkeypatch):
    monkeypatch.setenv("RLLD_WEIGHTS", str(tmp_path / "none"))
    result = run_cli("extract", data, "--features", "vggish")
    fails_with(result, f"{tmp_path}/none/vggish-10086976.pth, which is not there; fetch it with")
    listed = run_cli("weights")
    assert listed.returncode == 0, listed.stderr
    for file in FILES.values():
        assert f"{file} is missing" in listed.stdout
