"""What a person at a terminal sees: results on standard output, progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

OUT = Console(soft_wrap=True, highlight=False, emoji=False)
"""Results: tables and sentences."""

ERR = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
"""Progress and problems."""


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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
        console=ERR,
        disable=not (_shown and sys.stderr.isatty()),
    )
    with bar:
        task = bar.add_task(title, total=total, completed=done, remark="", rate="")

        def tick(steps: int = 1, remark: str = "") -> None:
            bar.advance(task, steps)
            current = bar.tasks[task]
            rate = f"{current.speed:.1f}/s" if current.speed else ""
            bar.update(task, rate=rate, remark=remark or current.fields["remark"])

        yield tick
