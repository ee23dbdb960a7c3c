"""A training that is stopped and goes on, beside one that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from rlld.training.trainer import Trainer


def require_resumable(
    fresh: Callable[[], Trainer], folder: Path, stops: Iterable[int] = ()
) -> tuple[Trainer, list[dict[str, Any]]]:
    """Stops after each of these steps, every one when none is named: what follows stays the same.

    Returns:
        The training that was not stopped, and its reports.
    """
    whole = fresh()
    reports = remaining(whole)
    for stop in stops or range(1, whole.total_updates):
        second = stopped(fresh, stop, folder)
        rest = remaining(second)
        assert rest == reports[len(reports) - len(rest) :]
        for kind, network in networks(whole).items():
            states = (network.state_dict(), networks(second)[kind].state_dict())
            for name, value in states[0].items():
                assert torch.equal(value, states[1][name]), (stop, kind, name)
    return whole, reports


def stopped(fresh: Callable[[], Trainer], stop: int, folder: Path) -> Trainer:
    """Returns a training that goes on where another one was stopped."""
    first, second = fresh(), fresh()
    list(islice(first.steps(), stop))
    torch.save(first.state_dict(), folder / "state.pt")
    second.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
    return second


def remaining(trainer: Trainer) -> list[dict[str, Any]]:
    """Trains to the end and returns the reports."""
    return [report for report in trainer.steps() if report is not None]


def networks(trainer: Trainer) -> dict[str, torch.nn.Module]:
    """Returns what is trained."""
    return {"task": trainer.network, **trainer.denoiser.networks()}
