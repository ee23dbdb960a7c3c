"""The command line, and what its refusals look like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import cli_kit
from cli_kit import Result

RunCli = Callable[..., Result]


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Runs ``rlld ARGS`` in this process."""
    return cli_kit.called


@pytest.fixture(scope="session")
def installed() -> RunCli:
    """Runs ``rlld ARGS`` as installed, in a fresh interpreter: where that makes a difference."""
    return cli_kit.installed


@pytest.fixture(scope="session")
def fresh() -> RunCli:
    """Runs ``rlld ARGS`` in a fork that loads rlld anew: once for every verb, not more."""
    return cli_kit.fresh


@pytest.fixture
def fails_with() -> Callable[[Result, str], None]:
    """Asserts that a command was refused in one sentence that says ``words``."""

    def check(result: Result, words: str) -> None:
        assert result.returncode == 2, (result.stdout, result.stderr)
        assert "Traceback" not in result.stderr + result.stdout
        assert result.stderr.startswith("rlld: ")
        assert result.stderr.count("\n") == 1
        assert words in result.stderr

    return check
