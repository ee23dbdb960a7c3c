"""Calls of the command line: in this process, or as a user's in a fresh interpreter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from rlld.cli import main

Result = subprocess.CompletedProcess[str]
ENVIRONMENT = {"COLUMNS": "200", "NO_COLOR": "1"}


def called(*args: object, cwd: Path | None = None) -> Result:
    """Runs ``rlld ARGS`` in this process, without the seconds that an interpreter takes to start.

    Whatever is raised besides the exit comes out here.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
    status = end.value.code
    return subprocess.CompletedProcess(args, int(status or 0), out.getvalue(), err.getvalue())


def installed(*args: object, cwd: Path | None = None) -> Result:
    """Runs ``rlld ARGS`` through the console script beside this interpreter."""
    script = Path(sys.executable).with_name("rlld")
    assert script.is_file(), f"{script} is missing: install the package (pip install -e .)"
    return subprocess.run(
        [str(script), *map(str, args)],
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
