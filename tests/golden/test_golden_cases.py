"""Every golden case of a method that is built, and the tool that runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import run  # noqa: E402  (the line above makes it importable)

CASES = sorted((HERE / "cases").glob("*.json"))
KNOWN = run.runners()
BUILT = [path for path in CASES if run.runner_of(path.stem, KNOWN)]
OF_LLP = [HERE / "cases" / f"metrics_{name}.json" for name in ("gating", "val")]


def holds(path: Path, annotations: Path | None) -> set[str]:
    """Runs a case; returns the outputs that were not looked at."""
    case, arrays = run.load(path)
    expected = run.Watched(arrays)
    run.runner_of(path.stem, KNOWN)(case, expected, annotations)
    return expected.ignored


@pytest.mark.parametrize(
    "path", [path for path in BUILT if path not in OF_LLP], ids=lambda path: path.stem
)
def test_case(path: Path) -> None:
    # A runner that skipped an output would pass whatever is stored there.
    assert not holds(path, None)


@pytest.mark.parametrize("path", OF_LLP, ids=lambda path: path.stem)
def test_case_of_llps_events(path: Path, shared_llp: Path) -> None:
    assert not holds(path, shared_llp)


@pytest.mark.parametrize("path", OF_LLP, ids=lambda path: path.stem)
def test_case_of_llps_events_without_them(path: Path) -> None:
    """Drawn events stand in: what was published of the real ones is left, all else is compared."""
    of_events = {"per_video", "mean", "only_mean", "classwise", "error_rates", "class_micro_f"}
    gated = {f"{rule}_mean" for rule in ("han", "jomold", "mmcse", "valor")}
    assert holds(path, None) == (of_events if path.stem == "metrics_val" else gated)


def test_longest_prefix_wins() -> None:
    known = {"han_": 1, "han_loss": 2}
    assert run.runner_of("han_loss_saturated", known) == 2
    assert run.runner_of("han_forward", known) == 1
    assert run.runner_of("hand", known) is None


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple[int, list[str]]]:
    """Runs the tool on a folder; returns its status and what it prints of the cases."""

    def told(folder: Path) -> tuple[int, list[str]]:
        status = run.main([str(folder), "--annotations", str(folder)])
        return status, capsys.readouterr().out.splitlines()

    return told


def test_a_case_of_another_file_name_is_found_by_its_own(tmp_path: Path, tool) -> None:
    for kind in ("json", "npz"):
        shutil.copy(HERE / "cases" / f"han_loss.{kind}", tmp_path / f"number_7.{kind}")
    (tmp_path / "broken.json").write_text("[1")
    assert tool(tmp_path) == (0, ["not built: broken", "1 passed, 0 failed"])


def test_outputs_that_nobody_looks_at_are_named(tmp_path: Path, tool) -> None:
    case, arrays = run.load(HERE / "cases" / "han_loss.json")
    (tmp_path / "han_loss.json").write_text(json.dumps(case))
    np.savez(tmp_path / "han_loss.npz", **arrays, unknown=np.zeros(1))
    assert tool(tmp_path) == (0, ["not compared: han_loss: unknown", "1 passed, 0 failed"])


def test_the_tool_runs_anywhere_and_needs_nothing_else(tmp_path: Path) -> None:
    for name in ("han_loss", "metrics_gating"):
        for kind in ("json", "npz"):
            shutil.copy(HERE / "cases" / f"{name}.{kind}", tmp_path)
    environment = {**os.environ, "RLLD_LLP_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = str(HERE.parents[1] / "src")
    command = [sys.executable, str(HERE / "run.py"), str(tmp_path)]
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    left, without, counted = found.stdout.splitlines()
    assert left.startswith("not compared: metrics_gating: ")
    assert "RLLD_LLP_DIR" in without
    assert counted == "2 passed, 0 failed"


def test_tool_counts_failures_and_names_methods_not_built(tmp_path: Path, tool) -> None:
    for name in ("han_loss", "han_inference"):
        for kind in ("json", "npz"):
            shutil.copy(HERE / "cases" / f"{name}.{kind}", tmp_path)
    (tmp_path / "unheard_of.json").write_text('{"case": "unheard_of"}')
    assert tool(tmp_path) == (0, ["not built: unheard_of", "2 passed, 0 failed"])
    case = json.loads((tmp_path / "han_loss.json").read_text())
    (tmp_path / "han_loss.json").write_text(json.dumps({**case, "seed": case["seed"] + 1}))
    (tmp_path / "han_inference.npz").write_bytes(b"damaged")
    status, lines = tool(tmp_path)
    assert status == 1
    assert lines[-1] == "0 passed, 2 failed"
    assert [line.split(":")[1].strip() for line in lines[:2]] == ["han_inference", "han_loss"]
