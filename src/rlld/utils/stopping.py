"""Stopping when asked to: nothing is left half done, and nothing goes on for minutes."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rlld.utils.console import progress

Step = TypeVar("Step")

_listening: list[list[int]] = []
"""The signals that came, for each ``stop_requested`` that is entered."""


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that a step is never left half done.

    Who can be begun again calls ``stop_here`` meanwhile. A second signal interrupts at once,
    whatever is being done; the run then resumes from its last state.

    Yields:
        A list that is empty until a signal came. Outside the main thread, where Python delivers
        no signals, it stays empty.
    """
    received: list[int] = []
    previous = {}

    def note(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, note)
        except ValueError:
            break
    _listening.append(received)
    try:
        yield received
    finally:
        _listening.pop()
        for number, handler in previous.items():
            signal.signal(number, handler)


def stop_here() -> None:
    """Says that what is being done may end here without loss: it is done anew, or kept so far.

    Raises:
        KeyboardInterrupt: If a stop was requested.
    """
    if any(_listening):
        raise KeyboardInterrupt


def repeatable(title: str, steps: Iterable[Step], total: int) -> Iterator[Step]:
    """Yields steps of what may end after any of them, with progress.

    Args:
        title: What is being done.
        steps: The steps.
        total: How many there are.

    Raises:
        KeyboardInterrupt: After a step, if a stop was requested.
    """
    with progress(title, total) as tick:
        for step in steps:
            yield step
            tick()
            stop_here()
