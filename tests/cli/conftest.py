"""The installed command line, as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Runs ``rlld ARGS`` through the console script beside this interpreter."""
    script = Path(sys.executable).with_name("rlld")
    assert script.is_file(), f"{script} is missing: install the package (pip install -e .)"

    def run(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        return subprocess.run(
            [str(script), *map(str, args)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def fails_with() -> Callable[[subprocess.CompletedProcess[str], str], None]:
    """Asserts that a command was refused in one sentence that says ``words``."""

    def check(result: subprocess.CompletedProcess[str], words: str) -> None:
        assert result.returncode == 2, (result.stdout, result.stderr)
        assert "Traceback" not in result.stderr + result.stdout
        assert result.stderr.startswith("rlld: ")
        assert result.stderr.count("\n") == 1
        assert words in result.stderr

    return check
