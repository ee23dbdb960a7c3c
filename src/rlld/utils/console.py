r"""What a person at a terminal sees: results on standard output, progress on standard error.

Names in files come from anybody: they are printed as they are, never read as markup, and what
would steer a terminal (escape codes, marks that turn the direction of text) is shown as ``\x1b``.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from rich.console import Console, ConsoleDimensions
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rlld.errors import visible
from rlld.utils.streams import end_unread, write_data

LEAST = 80
"""Columns that a table may take: in a narrower terminal its lines go on below, complete."""


class Terminal(Console):
    """A console for texts that nobody vouches for; styles are given as ``Text`` or ``style``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)
        if "width" not in options:
            self._width = None  # else COLUMNS counted as it was when rlld was imported

    def render_str(self, text: str, **options: Any) -> Text:
        """Turns text into what is printed; rich calls it for all text in whatever is printed."""
        return super().render_str(visible(text), **options)

    def on_broken_pipe(self) -> NoReturn:
        """Ends the command; no error that is caught where files are written, for that is none."""
        end_unread()

    def content(self, text: str) -> None:
        """Prints what a file would hold: to the byte into a file or pipe."""
        # print() would turn tabs into spaces.
        if self.is_terminal:
            self.file.write(visible(text))
        else:
            write_data(self.file, text)


class _Results(Terminal):
    @property  # type: ignore[misc]  # what sets it writes what Console reads
    def size(self) -> ConsoleDimensions:
        width, height = super().size
        return ConsoleDimensions(max(width, LEAST), height)


OUT = _Results(soft_wrap=True)
"""Results: tables and sentences."""

ERR = Terminal(stderr=True, soft_wrap=True)
"""Progress and problems."""


def as_text(parts: Iterable[Any]) -> str:
    """Returns tables and sentences as ``OUT`` prints them into a file: without colours."""
    out = io.StringIO()
    plain = Terminal(
        file=out, width=OUT.width, soft_wrap=True, force_terminal=False, color_system=None
    )
    for part in parts:
        plain.print(part)
    return out.getvalue().removesuffix("\n")


_shown = True


@contextmanager
def quiet() -> Iterator[None]:
    """Shows no progress bars within the block: a bar of many jobs stands for those of each."""
    global _shown
    before, _shown = _shown, False
    try:
        yield
    finally:
        _shown = before


class Tick(Protocol):
    """Reports progress: ``tick(1)``, or ``tick(0, "segment type 57.1")`` for a new remark."""

    def __call__(self, steps: int = 1, remark: str = "") -> None:
        """Advances by ``steps`` and replaces the remark unless it is empty."""


FIRST, EVERY = 5.0, 30.0
"""Seconds until progress is told where there is no terminal, and between two lines of it."""


@contextmanager
def progress(title: str, total: int | None, done: int = 0) -> Iterator[Tick]:
    """Shows a progress bar with rate and time left on a terminal; elsewhere a line now and then.

    Args:
        title: What is being done.
        total: Steps in all, None when unknown.
        done: Steps done before, of a resumed job.
    """
    if not sys.stderr.isatty():
        with _told(title, total, done) as tick:
            yield tick
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
        console=ERR,
        disable=not _shown,
    )
    with bar:
        task = bar.add_task(visible(title), total=total, completed=done, remark="", rate="")

        def tick(steps: int = 1, remark: str = "") -> None:
            bar.advance(task, steps)
            current = bar.tasks[task]
            rate = f"{current.speed:.1f}/s" if current.speed else ""
            bar.update(task, rate=rate, remark=remark or current.fields["remark"])

        yield tick


@dataclass(eq=False)
class _Told:
    """What is being done where there is no terminal."""

    title: str
    total: int | None
    done: int
    before: int
    started: float
    remark: str = ""

    def __str__(self) -> str:
        whole = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.title} {self.done:,}{whole}"]
        passed, steps = time.monotonic() - self.started, self.done - self.before
        if self.total is not None and steps > 0:
            parts.append(f"{_duration(passed * (self.total - self.done) / steps)} left")
        return ", ".join([*parts, self.remark] if self.remark else parts)


_telling: list[_Told] = []
"""What is being done, and within it what else, and so on."""
_due = 0.0
"""When the next line is."""


@contextmanager
def _told(title: str, total: int | None, done: int) -> Iterator[Tick]:
    global _due
    own = _Told(title, total, done, done, time.monotonic())
    if not _telling:
        _due = own.started + FIRST
    _telling.append(own)

    def tick(steps: int = 1, remark: str = "") -> None:
        global _due
        own.done += steps
        own.remark = remark or own.remark
        if _shown and time.monotonic() >= _due:
            ERR.print(" > ".join(map(str, _telling)))
            _due = time.monotonic() + EVERY

    try:
        yield tick
    finally:
        _telling.remove(own)


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 90 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 3600:.1f} h"
