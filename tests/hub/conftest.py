"""A finished run, a hub on this machine, and the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rlld
from hub_kit import Hub, serving, use
from rlld.cli import main
from rlld.utils.compute import Compute

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def finished(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of RLLD on the tiny data set; tests only read it."""
    out = tmp_path_factory.mktemp("runs") / "rlld"
    compute = Compute(device="cpu", threads=1)
    settings = {"schedule.rounds": 2, "fit": False}
    rlld.train("rlld-labelwise", tiny_data, out, compute=compute, overrides=settings)
    return out


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub whose writer this process is, with a cache of its own."""
    with serving() as found:
        use(found, tmp_path / "cache", monkeypatch)
        yield found


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls ``rlld ARGS`` in this process; returns status, output and errors."""
    monkeypatch.setitem(os.environ, "COLUMNS", "200")

    def run(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return run
