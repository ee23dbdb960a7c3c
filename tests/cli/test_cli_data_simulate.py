"""``rlld data simulate``."""

from __future__ import annotations

from pathlib import Path

from rlld.data.dataset import load_data


def test_makes_a_data_set(fresh, tmp_path: Path) -> None:
    out = tmp_path / "sim"
    result = fresh("data", "simulate", "--out", out, "--videos", 12, 3, 4, "--seed", 7)
    assert result.returncode == 0, result.stderr
    assert "12 train, 3 validation, 4 test videos (audio 40, visual_2d 40)" in result.stdout
    assert str(out) in result.stdout
    data = load_data(out, with_truth=True)
    assert len(data.test) == 4
    assert data.train.truth is not None


def test_llp_preset(run_cli, tmp_path: Path) -> None:
    options = ("--preset", "llp", "--videos", 3, 1, 1, "--dtype", "bfloat16")
    result = run_cli("data", "simulate", "--out", tmp_path / "sim", *options)
    assert result.returncode == 0, result.stderr
    assert load_data(tmp_path / "sim").train.streams["visual_2d"].shape == (3, 10, 2048)


def test_refuses_a_folder_in_use(run_cli, fails_with, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = run_cli("data", "simulate", "--out", tmp_path)
    fails_with(result, "exists and is no empty folder; give another --out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_refuses_a_missing_annotation_folder(run_cli, fails_with, tmp_path: Path) -> None:
    result = run_cli(
        "data", "simulate", "--out", tmp_path / "sim", "--annotations", tmp_path / "none"
    )
    fails_with(result, "no such annotation file")
    assert not list(tmp_path.iterdir())
