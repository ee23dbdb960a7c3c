"""``rlld data render`` and ``rlld extract``."""

from __future__ import annotations

import json

import pytest

ALONE = ("--workers", 1)


@pytest.fixture(scope="module")
def rendered(fresh, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "set"
    few = ("--videos", "2,1,1", "--classes", "2")
    result = fresh("data", "render", "--out", folder, *few, *ALONE)
    assert result.returncode == 0, result.stderr
    assert "2 training, 1 validation and 1 test clips of 2 classes" in result.stdout
    return folder


def test_render_then_extract_makes_a_data_set_that_loads(run_cli, fresh, rendered):
    from rlld.data.dataset import load_data

    result = fresh("extract", rendered, *ALONE)
    assert result.returncode == 0, result.stderr
    assert "light features of 4 clips" in result.stdout
    data = load_data(rendered)
    assert len(data.train) == 2 and len(data.validation) == len(data.test) == 1
    again = run_cli("extract", rendered)
    assert again.returncode == 0, again.stderr


def test_rendered_clips_train_a_parser(run_cli, rendered, tmp_path):
    run, scores, page = (tmp_path / name for name in ("run", "scores.json", "clip.html"))
    small = ("--network.hidden", 16, "--schedule.updates", 2, "--schedule.batch_size", 2)
    clip = next(rendered.glob("videos/*.mp4"))
    for command in (
        ("extract", rendered, *ALONE),
        ("data", "check", rendered),
        ("train", "han", "--data", rendered, "--out", run, *small),
        ("evaluate", run, "--split", "test", "--json", scores),
        ("parse", run, clip, "--out", page),
    ):
        result = run_cli(*command)
        assert result.returncode == 0, result.stderr
    assert 0 <= json.loads(scores.read_text())["segment"]["type"] <= 100
    assert page.stat().st_size > 10_000


def test_extract_of_a_bare_folder(run_cli, rendered, tmp_path):
    result = run_cli("extract", rendered / "videos", "--out", tmp_path / "out", *ALONE)
    assert result.returncode == 0, result.stderr
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert len(manifest["clips"]) == 4
    assert all(facts["segments"] == 10 for facts in manifest["clips"].values())


def test_extract_lists_bad_clips_and_skips_them_on_demand(run_cli, fails_with, rendered, tmp_path):
    (tmp_path / "bad.mp4").write_text("no film")
    paths = (rendered / "videos", tmp_path / "bad.mp4", "--out", tmp_path / "out", *ALONE)
    fails_with(run_cli("extract", *paths), "bad.mp4: is no audio or video file")
    result = run_cli("extract", *paths, "--skip-failed")
    assert result.returncode == 0, result.stderr
    assert "failed: 1 clips" in result.stdout


def test_extract_refuses(run_cli, fails_with, rendered, tmp_path):
    videos = rendered / "videos"
    fails_with(run_cli("extract", tmp_path / "none", "--out", tmp_path), "no such file or folder")
    fails_with(run_cli("extract", tmp_path, "--out", tmp_path), "no clips in it")
    fails_with(run_cli("extract", videos), "--out")
    fails_with(run_cli("extract", rendered, "--out", tmp_path), "data-set folder")
    unknown = run_cli("extract", videos, "--out", tmp_path / "o", "--features", "lite")
    fails_with(unknown, "unknown extractor 'lite'")
    seconds = run_cli("extract", videos, "--out", tmp_path / "o", "--segment-seconds", "0")
    fails_with(seconds, "segment-seconds")
    assert not (tmp_path / "o").exists()


def test_render_refuses(run_cli, fails_with, rendered, tmp_path):
    out = ("data", "render", "--out")
    fails_with(run_cli(*out, tmp_path / "a", "--videos", "5"), "three whole numbers")
    fails_with(run_cli(*out, tmp_path / "a", "--classes", "40"), "classes")
    fails_with(run_cli(*out, rendered, "--videos", "9,1,1"), "other settings")
    assert not (tmp_path / "a").exists()
