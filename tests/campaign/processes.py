"""Forked children that run rlld, so that a campaign does not pay for imports each time."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

PRELOADED = (
    *(
        "rlld.cli",
        "rlld.cli.parse",
        "rlld.cli.train",
        "rlld.training.loop",
        "rlld.synthetic.features.writing",
        "tyro",
    ),
    *(
        "rlld.data.pack",
        "rlld.features.to_stores",
        "rlld.features.to_files",
        "rlld.workflows.demo",
        "av",
    ),
    *(
        "rlld.features.extractors.light",
        "rlld.bench.studies.denoisers",
        "rlld.bench.tables",
        "rlld.report.tables",
    ),
    *("rlld.denoisers.jomold", "rlld.denoisers.ma", "rlld.denoisers.reinforced"),
)


def preload() -> None:
    """Imports what the verbs need, once for all children."""
    import torch
    import torch._dynamo  # which the first step of an optimizer loads

    torch.set_num_threads(1)
    for name in PRELOADED:
        importlib.import_module(name)


def spawn(argv: list[str], cwd: Path, log: Path) -> int:
    """Forks a child that runs ``rlld ARGV`` in a session of its own; returns its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        try:
            _settle(cwd, log)
        except KeyboardInterrupt:
            raise SystemExit(130) from None  # before rlld has begun
        from rlld.cli import main

        main(argv)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    raise AssertionError("a child ends above")


def _settle(cwd: Path, log: Path) -> None:
    """Gives a child its own session, folder and output."""
    os.setsid()
    os.chdir(cwd)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The consoles were made in the parent and write to its stream objects.
    from rlld.utils import console

    console.OUT.file, console.ERR.file = sys.stdout, sys.stderr
    # Pools start fresh interpreters, which would run the campaign's main module again.
    sys.modules["__main__"].__spec__ = None
    if hasattr(sys.modules["__main__"], "__file__"):
        del sys.modules["__main__"].__file__


def wait(pid: int, seconds: float) -> int | None:
    """Returns the status of a child, or None while it runs on after that many seconds."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def spent() -> float:
    """Returns the seconds of the processor that children took which have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def members(group: int) -> list[int]:
    """Returns the living processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def end_group(group: int) -> None:
    """Kills what is left of a group that a child of ours leads."""
    for pid in members(group):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
