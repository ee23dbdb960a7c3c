"""Every golden case of a method that is built, and the tool that runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import run  # noqa: E402  (the line above makes it importable)

CASES = sorted((HERE / "cases").glob("*.json"))
KNOWN = run.runners()
BUILT = [path for path in CASES if run.runner_of(path.stem, KNOWN)]


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.stem)
def test_case(path: Path, shared_llp: Path) -> None:
    case, arrays = run.load(path)
    expected = run.Watched(arrays)
    run.runner_of(path.stem, KNOWN)(case, expected, shared_llp)
    # A runner that skipped an output would pass whatever is stored there.
    assert not expected.ignored


def test_longest_prefix_wins() -> None:
    known = {"han_": 1, "han_loss": 2}
    assert run.runner_of("han_loss_saturated", known) == 2
    assert run.runner_of("han_forward", known) == 1
    assert run.runner_of("hand", known) is None


def test_a_case_of_another_file_name_is_found_by_its_own(tmp_path: Path) -> None:
    for kind in ("json", "npz"):
        shutil.copy(HERE / "cases" / f"han_loss.{kind}", tmp_path / f"number_7.{kind}")
    (tmp_path / "broken.json").write_text("[1")
    found = tool(tmp_path, tmp_path)
    assert found.stdout.splitlines() == ["not built: broken", "1 passed, 0 failed"]


def test_outputs_that_nobody_looks_at_are_named(tmp_path: Path) -> None:
    case, arrays = run.load(HERE / "cases" / "han_loss.json")
    (tmp_path / "han_loss.json").write_text(json.dumps(case))
    np.savez(tmp_path / "han_loss.npz", **arrays, unknown=np.zeros(1))
    found = tool(tmp_path, tmp_path)
    assert found.stdout.splitlines() == ["not compared: han_loss: unknown", "1 passed, 0 failed"]


def tool(folder: Path, where: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "run.py"), str(folder)]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)


def test_tool_counts_failures_and_names_methods_not_built(tmp_path: Path) -> None:
    for name in ("han_loss", "han_inference"):
        for kind in ("json", "npz"):
            shutil.copy(HERE / "cases" / f"{name}.{kind}", tmp_path)
    (tmp_path / "unheard_of.json").write_text('{"case": "unheard_of"}')
    good = tool(tmp_path, tmp_path)
    assert good.returncode == 0, good.stderr
    assert good.stdout.splitlines() == ["not built: unheard_of", "2 passed, 0 failed"]
    case = json.loads((tmp_path / "han_loss.json").read_text())
    (tmp_path / "han_loss.json").write_text(json.dumps({**case, "seed": case["seed"] + 1}))
    (tmp_path / "han_inference.npz").write_bytes(b"damaged")
    bad = tool(tmp_path, tmp_path)
    assert bad.returncode == 1
    lines = bad.stdout.splitlines()
    assert lines[-1] == "0 passed, 2 failed"
    assert [line.split(":")[1].strip() for line in lines[:2]] == ["han_inference", "han_loss"]
