r"""What a person at a terminal sees: results on standard output, progress on standard error.

Names in files come from anybody: they are printed as they are, never read as markup, and what
would steer a terminal (escape codes, marks that turn the direction of text) is shown as ``\x1b``.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


@contextmanager
def progress(title: str, total: int | None, done: int = 0) -> Iterator[Tick]:
    """Shows a progress bar with rate and time left on a terminal, and nothing elsewhere.

    Args:
        title: What is being done.
        total: Steps in all, None when unknown.
        done: Steps done before, of a resumed job.
    """
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
        console=ERR,
        disable=not (_shown and sys.stderr.isatty()),
    )
    with bar:
        task = bar.add_task(visible(title), total=total, completed=done, remark="", rate="")

        def tick(steps: int = 1, remark: str = "") -> None:
            bar.advance(task, steps)
            current = bar.tasks[task]
            rate = f"{current.speed:.1f}/s" if current.speed else ""
            bar.update(task, rate=rate, remark=remark or current.fields["remark"])

        yield tick
