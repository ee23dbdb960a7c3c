"""Every script of ``benchmarks/`` that is called starts, from its own folder too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(
    path
    for path in (Path(__file__).parents[1] / "benchmarks").glob("*.py")
    if "__main__" in path.read_text()
)
WITH_MORE = {"extract.py": "imageio_ffmpeg", "studio.py": "playwright"}
"""What a script needs beside the package and its extras."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_benchmark_says_how_it_is_called(script):
    if script.name in WITH_MORE:
        pytest.importorskip(WITH_MORE[script.name], reason="the script needs it")
    called = [sys.executable, str(script), "--help"]
    done = subprocess.run(called, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout
