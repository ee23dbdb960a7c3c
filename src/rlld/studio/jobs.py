"""Training in the background: one at a time, with progress, cancelled and gone on with."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlld.data.spec import ANNOTATIONS, FILE_NAME, read_spec
from rlld.errors import RlldError
from rlld.studio.training import OUTCOME
from rlld.utils.files import write_text
from rlld.utils.plain import json_text, json_value

CONFIG = "config.json"
"""What a finished run folder holds."""
ASKED = "asked.txt"
"""What a run was asked to be trained on, in its folder."""
FAILED = "failed.txt"
"""Why a run failed, in its folder."""
PATIENCE = 30
"""Seconds that a training has to save its state when it is cancelled."""
STEP = re.compile(r"(.+?) ([\d,]*\d) of ([\d,]*\d)")
CLEANING = 0.6
"""Share of the bar for what comes before the first update of the network."""
INTERRUPTED = (
    "It was interrupted: the next training goes on where it was, unless answers or corrections "
    "have come since."
)


@dataclass(frozen=True)
class Job:
    """A training.

    Attributes:
        state: ``running``, ``done``, ``failed`` or ``cancelled``.
        run: Number of its run folder.
        progress: How much of it is done, 0 to 1.
        text: What it is doing.
        started: When, UTC.
        scored: Number of the newest run folder that is finished, to which all the following
            but ``error`` belongs; None where there is none.
        before: Scores of the run before, None where there is none.
        after: Scores of the new run, None where no clip tells.
        gains: ``low`` and ``high`` of the interval of each score's change, and whether it is
            ``clear`` of 0; None where nothing was compared, or before intervals were kept.
        on: What they were measured on.
        changed: Labels that changed their mind; None where none were compared.
        error: Why it failed.
    """

    state: str
    run: int
    progress: float = 0.0
    text: str = ""
    started: str = ""
    scored: int | None = None
    before: dict[str, float] | None = None
    after: dict[str, float] | None = None
    gains: dict[str, dict[str, Any]] | None = None
    on: str = ""
    changed: tuple[dict[str, Any], ...] | None = None
    error: str | None = None


class Jobs:
    """The trainings of a studio.

    Args:
        data: The data-set folder.
        runs: Folder of the runs.
        trained: Called with the folder of a run that has ended well.
    """

    def __init__(self, data: Path, runs: Path, trained: Callable[[Path], None]) -> None:
        self.data, self.runs, self._trained = data, runs, trained
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._watcher: threading.Thread | None = None
        self._cancelled = False
        self._job = self._last()

    def state(self) -> dict[str, Any] | None:
        """Returns the training that runs, or the last one; None where there was none."""
        return None if self._job is None else asdict(self._job)

    def require_free(self) -> None:
        """Refuses a second training.

        Raises:
            RlldError: If one is running.
        """
        if self._process is not None:
            raise RlldError("a training is running; wait for it, or cancel it")

    def start(self, before: str | None) -> dict[str, Any]:
        """Starts a training; where an unfinished one was asked the same, it goes on.

        Args:
            before: The run of before; None where there is none.

        Raises:
            RlldError: If one is running.
        """
        with self._lock:
            self.require_free()
            number = self._place(self._asked(before))
            (self.runs / str(number) / FAILED).unlink(missing_ok=True)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            job = Job("running", number, text="beginning", started=started)
            self._job = replace(job, **self._finished())
            self._cancelled = False
            words = [str(self.data), str(self.runs / str(number)), *([before] if before else [])]
            self._process = subprocess.Popen(  # noqa: S603  (this program, by its own path)
                [sys.executable, "-m", "rlld.studio.training", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the server, which ends it in peace
            )
            self._watcher = threading.Thread(target=self._watch, args=(self._process,), daemon=True)
            self._watcher.start()
        found = self.state()
        assert found is not None  # noqa: S101  (it was just started)
        return found

    def cancel(self) -> dict[str, Any] | None:
        """Ends a training that runs, which saves its state; returns what became of it."""
        with self._lock:
            process, watcher = self._process, self._watcher
            if process is None or watcher is None:
                return self.state()
            self._cancelled = True
            if process.stdin is not None:
                process.stdin.close()
        watcher.join(PATIENCE)
        if watcher.is_alive():
            process.kill()
            watcher.join(PATIENCE)
        return self.state()

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Follows a training to its end."""
        last = ""
        for line in process.stderr or ():
            last = line.strip() or last
            self._tell(last)
        status = process.wait()
        ended = self._changed(state="failed", error=f"the run of {self.runs} cannot be used")
        try:
            ended = self._ended(status, last)
        except RlldError as error:
            ended = replace(ended, error=str(error))
        finally:
            with self._lock:
                self._process, self._job = None, ended

    def _ended(self, status: int, last: str) -> Job:
        if self._cancelled:
            return self._changed(state="cancelled", text=INTERRUPTED)
        if status:
            told = last.removeprefix("rlld: ") if last.startswith("rlld: ") else ""
            return self._failed(told or _unexpected(status, last), refused=bool(told))
        job = self._changed(state="done", progress=1.0, text="")
        self._trained(self.runs / str(job.run))
        return replace(job, **self._finished())

    def _failed(self, error: str, *, refused: bool) -> Job:
        """Keeps why a training failed for the next session.

        What was refused before it did anything would be again, a damaged state for instance: the
        next training begins anew.
        """
        job = self._changed(state="failed", error=error)
        folder = self.runs / str(job.run)
        with suppress(OSError, RlldError):  # of a full disk, which the page tells in any case
            if refused and not job.progress:
                (folder / ASKED).unlink(missing_ok=True)
            write_text(folder / FAILED, error)
        return job

    def _tell(self, line: str) -> None:
        found = progress_of(line)
        if found is not None and self._job is not None:
            done = max(self._job.progress, found)
            self._job = replace(self._job, progress=round(done, 4), text=doing(line))

    def _changed(self, **fields: Any) -> Job:
        assert self._job is not None  # noqa: S101  (there is one while it is watched)
        return replace(self._job, **fields)

    def _last(self) -> Job | None:
        """Returns the last training of an earlier session."""
        numbers = self._numbers()
        if not numbers:
            return None
        newest, found = max(numbers), self._finished()
        if found.get("scored") == newest:
            return Job("done", newest, 1.0, **found)
        with suppress(FileNotFoundError):
            error = (self.runs / str(newest) / FAILED).read_text(encoding="utf-8")
            return Job("failed", newest, error=error, **found)
        return Job("cancelled", newest, text=INTERRUPTED, **found)

    def _finished(self) -> dict[str, Any]:
        """Returns what the newest finished training came to, which a cancelled one leaves."""
        done = [
            number for number in self._numbers() if (self.runs / str(number) / OUTCOME).is_file()
        ]
        return {"scored": max(done), **_outcome(self.runs / str(max(done)))} if done else {}

    def _place(self, asked: str) -> int:
        """Returns the number of the run folder to train in."""
        last = max(self._numbers(), default=0)
        mark = self.runs / str(last) / ASKED
        done = (mark.parent / OUTCOME).is_file()
        if last and not done and mark.is_file() and mark.read_text(encoding="utf-8") == asked:
            return last
        write_text(self.runs / str(last + 1) / ASKED, asked)
        return last + 1

    def _numbers(self) -> list[int]:
        if not self.runs.is_dir():
            return []
        return [int(entry.name) for entry in self.runs.iterdir() if entry.name.isdecimal()]

    def _asked(self, before: str | None) -> str:
        """Returns what tells whether a training would be the same: its files and its recipe.

        One that would not be is refused as the continuation of another one, as ``rlld train
        --resume`` refuses it, and could never be begun here.
        """
        from rlld.data.fingerprint import held_in  # which imports torch

        files = [self.data / FILE_NAME, *sorted((self.data / ANNOTATIONS).iterdir())]
        held = held_in(self.data, read_spec(self.data))  # features, too
        known = hashlib.sha256(json_text([before, held], FILE_NAME).encode())
        for file in files:
            if file.is_file():
                known.update(f"\0{file.name}\0".encode() + file.read_bytes())
        return known.hexdigest()


def _unexpected(status: int, last: str) -> str:
    """Says how a training ended that did not say why; a negative status is that of a signal."""
    if status >= 0:
        return f"the training ended unexpectedly (status {status}): {last}"
    return (
        f"the training was killed (signal {-status}), perhaps for want of memory; close other "
        "programs and try again, it goes on where it was"
    )


def progress_of(line: str) -> float | None:
    """Reads how far a training is, 0 to 1; None where a line does not tell it.

    Args:
        line: ``training NAME 3 of 40 > cleaning labels 1 of 2``: what is done within what.
    """
    share = 0.0
    steps = [STEP.match(part) for part in line.split(" > ")]
    if not steps or steps[0] is None or not steps[0][1].startswith("training"):
        return None
    for step in reversed([step for step in steps[1:] if step]):
        share = _part(step, share)
    done = _part(steps[0], 0.0)
    return CLEANING * share if done == 0 else CLEANING + (1 - CLEANING) * done


def doing(line: str) -> str:
    """Says what a training does, from a line that ``progress_of`` reads.

    Only the updates of the recipe itself, which come last, say how much time is left: the steps
    before are many, and each tells of its own end alone.

    Args:
        line: The line.
    """
    first, *inner = line.split(" > ")
    begun = STEP.match(first)
    if not inner or (begun and begun[2] != "0"):
        return first
    return ", ".join(step[0] if (step := STEP.match(part)) else part for part in inner)


def _part(step: re.Match[str], inner: float) -> float:
    done, whole = (int(number.replace(",", "")) for number in step.groups()[1:])
    return min(1.0, (done + inner) / max(1, whole))


def _outcome(folder: Path) -> dict[str, Any]:
    """Returns what a training came to, as its process wrote it."""
    path = folder / OUTCOME
    found = json_value(path.read_text(encoding="utf-8"), str(path))
    told = {key: found[key] for key in ("before", "after", "on", "changed")}
    return {**told, "gains": found.get("gains")}
