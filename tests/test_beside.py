"""What tests do where the files that they check besides are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from beside import NEEDS

FILE = Path(__file__).with_name("metrics") / "test_metrics_known.py"


def test_one_line_says_what_was_not_checked_and_how_to_bring_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FILE)]
    found = subprocess.run(
        [*command, "-k", "perfect or invented_events"],
        env={**os.environ, "RLLD_LLP_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert "2 passed, 2 skipped" in found.stdout
    (line,) = (line for line in found.stdout.splitlines() if "RLLD_LLP_DIR" in line)
    assert line.startswith("2 skipped: LLP's real annotation files were not checked")
    assert str(tmp_path) in line


def test_every_need_is_a_mark(pytestconfig) -> None:
    known = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert set(NEEDS) <= known
