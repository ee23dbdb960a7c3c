"""The steps of a training, one after the other: progress, logs, resume states, interruption."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rlld.metrics.tags import TAGS
from rlld.training.checkpoint import Resumable, save_state
from rlld.training.log import Log
from rlld.training.trainer import Report, Trainer
from rlld.utils.console import ERR, Tick, progress
from rlld.utils.stopping import stop_requested


class Steered(Resumable, Protocol):
    """What ``drive`` runs: one run, or several in lockstep."""

    def require_finite(self) -> None:
        """Looks at the steps since the last call."""


@dataclass
class Keeper:
    """Keeps the resume state of a training.

    Attributes:
        folder: Where it lies.
        identity: What a resumed training has to have in common with this one.
        most: Longest time between two states, in seconds.
        started: When it began on the monotonic clock, less what earlier attempts took.
        saved: When it was saved last, on that clock.
        updates: How many updates the newest state holds.
    """

    folder: Path
    identity: Mapping[str, Any]
    most: float
    started: float
    saved: float = 0.0
    updates: int = 0

    @property
    def due(self) -> bool:
        """Whether the newest state is old."""
        return time.monotonic() - self.saved >= self.most

    def save(self, steered: Steered, logs: Sequence[Log], updates: int) -> None:
        """Saves everything that is needed to go on from here.

        Args:
            steered: What is run.
            logs: Its logs.
            updates: How many updates it made.

        Raises:
            NotFiniteError: If a number of the steps before was NaN or infinite; nothing is saved.
        """
        steered.require_finite()
        state = {
            "trainer": steered.state_dict(),
            "identity": self.identity,
            "logs": [log.text for log in logs],
            "seconds": time.monotonic() - self.started,
        }
        save_state(self.folder, state)
        self.saved, self.updates = time.monotonic(), updates


def drive(
    title: str,
    steered: Steered,
    steps: Iterator[Sequence[Report]],
    first: Trainer,
    logs: Sequence[Log],
    keeper: Keeper,
) -> None:
    """Runs what is left, with progress, logs and resume states.

    Args:
        title: What is shown.
        steered: What is run.
        steps: Its steps; each yields one report for each log where a round ended, else none.
        first: The run whose progress is shown.
        logs: Where the reports go.
        keeper: Keeps the resume state.

    Raises:
        NotFiniteError: If a loss, a reward or a gradient was NaN or infinite.
        KeyboardInterrupt: On Ctrl-C, after the state was saved, or from within a denoiser that
            learns: what it had learned is kept, or learned again.
    """
    keeper.save(steered, logs, first.updates)
    with (
        _resumable(keeper),
        stop_requested() as stopped,
        progress(title, first.total_updates, first.updates) as tick,
    ):
        round_started, videos = time.monotonic(), 0
        for reports in steps:
            videos += first.schedule.batch_size
            show_round(reports[0] if reports else None, tick)
            if reports:
                elapsed = time.monotonic() - round_started
                for log, report in zip(logs, reports, strict=True):
                    log.write({**report, "seconds": elapsed, "videos_per_second": videos / elapsed})
                round_started, videos = time.monotonic(), 0
            if stopped or keeper.due:
                keeper.save(steered, logs, first.updates)
            if stopped:
                raise KeyboardInterrupt
    for log in logs:
        log.settle()


@contextmanager
def _resumable(keeper: Keeper) -> Iterator[None]:
    """Says what is saved where the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        ERR.print(f"stopped; all is saved up to update {keeper.updates}")
        raise


def show_round(report: Report | None, tick: Tick) -> None:
    """Counts a step, and shows the scores of a round that it ended."""
    remark = ""
    if report is not None:
        scores = report["validation"]
        if TAGS in scores:
            remark = f"tags {scores[TAGS]:.1f}"
        elif scores:
            remark = f"type {scores['segment_type']:.1f} / {scores['event_type']:.1f}"
    tick(1, remark)
