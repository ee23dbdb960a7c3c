"""Calls of the command line: in this process, in a fork of it, or as a user's."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch

from campaign import processes

Result = subprocess.CompletedProcess[str]
ENVIRONMENT = {"COLUMNS": "200", "NO_COLOR": "1"}


def called(*args: object, cwd: Path | None = None) -> Result:
    """Runs ``rlld ARGS`` in this process, without the seconds that an interpreter takes to start.

    Whatever is raised besides the exit comes out here.
    """
    from rlld.cli import main
    from rlld.utils import console

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setattr(console, "FIRST", float("inf"))  # a busy machine would tell of progress
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
    status = end.value.code
    return subprocess.CompletedProcess(args, int(status or 0), out.getvalue(), err.getvalue())


def fresh(*args: object, cwd: Path | None = None, path: Path | None = None) -> Result:
    """Runs ``rlld ARGS`` in a fork that loads rlld anew, and of the libraries what is new to it.

    What a verb forgets to load is missed as in an interpreter of its own.

    Args:
        args: What follows ``rlld``.
        cwd: Where it runs.
        path: A folder of modules that come first, as one that ``PYTHONPATH`` names.
    """

    def prepare() -> None:
        forget("rlld")
        if path is not None:
            sys.path.insert(0, str(path))

    return _forked(prepare, *args, cwd=cwd)


def forget(*packages: str) -> None:
    """Lets packages be loaded anew by this process, which is to be a fork."""
    theirs = tuple(f"{package}." for package in packages)
    for name in [name for name in sys.modules if f"{name}.".startswith(theirs)]:
        del sys.modules[name]


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """A disk that has room for so many files more, as far as this process is concerned."""
    sync, left = os.fsync, iter(range(room))

    def full(file: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


def limited(size: int, *args: object) -> Result:
    """Runs ``rlld ARGS`` in a fork that may write no file larger than so many bytes.

    It compiles nothing for others, who would find the half of it.
    """

    def limit() -> None:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return _forked(limit, *args)


def _forked(prepare: Callable[[], None], *args: object, cwd: Path | None = None) -> Result:
    def work() -> Result:
        prepare()
        return called(*args, cwd=cwd)

    return in_fork(work)


def in_fork(work: Callable[[], Any]) -> Any:
    """Runs something in a fork of this process, and returns what it returns."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def send() -> None:
        torch.set_num_threads(1)  # the others are none of the fork's
        theirs.send(work())

    process = context.Process(target=send)
    process.start()
    theirs.close()
    result = ours.recv()
    process.join()
    return result


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


class Forked:
    """``rlld ARGS`` in a fork of this process: a process to be killed, without the start of one.

    Args:
        args: What follows ``rlld``.
        log: Where its output goes.
    """

    def __init__(self, *args: object, log: Path) -> None:
        self.log = log
        processes.preload()
        self.pid = processes.spawn([str(arg) for arg in args], Path.cwd(), log)
        self.status: int | None = None

    def ended(self, seconds: float = 0) -> bool:
        """Whether it has ended, or does within so many seconds."""
        if self.status is None:
            self.status = processes.wait(self.pid, seconds)
        return self.status is not None

    def send(self, sent: signal.Signals) -> None:
        """Sends a signal, unless it has ended."""
        if not self.ended():
            os.kill(self.pid, sent)

    def end(self, seconds: float = 120) -> int:
        """Waits for the end and returns the status, negative for a signal."""
        assert self.ended(seconds), f"still there after {seconds} s: {self.log.read_text()}"
        return self.status
