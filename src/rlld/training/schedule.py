"""How long a run is, in what order it sees the videos, and at what learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlld.errors import RlldError


@dataclass(frozen=True)
class Schedule:
    """The schedule of a run.

    A round is what lies between two validations: an epoch (every training video once, shuffled)
    or an episode (``steps`` batches, of which ``carry`` stays from the batch before).

    Attributes:
        round: ``epoch`` or ``episode``.
        rounds: Epochs or episodes in all.
        updates: Task-network updates in all; when given it replaces ``rounds`` as the length of
            the run, the last round may then be short.
        batch_size: Videos per batch; the last batch of an epoch may be smaller.
        steps: Batches per episode (RLLD section 4.5).
        carry: Share of a batch that the next batch of the episode keeps (RLLD section 4.1).
        learning_rate: Adam's learning rate at the start.
        milestones: Shares of the run in (0, 1) after which the rate is multiplied by ``gamma``;
            applied at the end of the round in which they fall.
        gamma: Factor of the learning rate at each milestone.
        weight_decay: Adam's weight decay.

    Raises:
        RlldError: If a value is out of range.
    """

    round: Literal["epoch", "episode"] = "epoch"
    rounds: int = 25
    updates: int | None = None
    batch_size: int = 128
    steps: int = 32
    carry: float = 0.25
    learning_rate: float = 5e-4
    milestones: tuple[float, ...] = (0.24, 0.48, 0.72, 0.96)
    gamma: float = 0.25
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rounds", "batch_size", "steps", "learning_rate", "gamma"):
            if getattr(self, name) <= 0:
                raise RlldError(f"schedule.{name} must be positive, found {getattr(self, name)}")
        if self.updates is not None and self.updates < 1:
            raise RlldError(f"schedule.updates must be positive, found {self.updates}")
        if not 0 <= self.carry < 1:
            raise RlldError(f"schedule.carry must lie in [0, 1), found {self.carry}")
        if any(not 0 < share < 1 for share in self.milestones):
            raise RlldError(f"schedule.milestones must lie in (0, 1), found {self.milestones}")

    def steps_per_round(self, videos: int) -> int:
        """Returns the batches of one round over a training split of that many videos."""
        if self.round == "episode":
            return self.steps
        return math.ceil(videos / self.batch_size)

    def total_updates(self, videos: int) -> int:
        """Returns the task-network updates of the whole run."""
        return self.updates or self.rounds * self.steps_per_round(videos)

    def total_rounds(self, videos: int) -> int:
        """Returns the rounds of the whole run, counting a short last one."""
        return math.ceil(self.total_updates(videos) / self.steps_per_round(videos))

    def rate(self, round_number: int, videos: int) -> float:
        """Returns the learning rate of a round (0-based)."""
        rounds = self.total_rounds(videos)
        # Rounding first: 0.24 of 25 epochs is 6, whatever the last bit of the product.
        passed = sum(
            round_number >= math.ceil(round(share * rounds, 6)) for share in self.milestones
        )
        return self.learning_rate * self.gamma**passed


def round_batches(schedule: Schedule, videos: int, seed: int, number: int) -> Iterator[Tensor]:
    """Yields the video indices of each batch of one round.

    The order is a function of the seed and the round alone, so that a resumed run needs no state.

    Args:
        schedule: The schedule.
        videos: Videos in the training split.
        seed: Seed of the run.
        number: Round, 0-based.

    Yields:
        Index tensors (B,), int64, on the CPU.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    if schedule.round == "epoch":
        yield from torch.split(torch.randperm(videos, generator=generator), schedule.batch_size)
        return
    yield from _episode(schedule, videos, generator)


def _episode(schedule: Schedule, videos: int, generator: torch.Generator) -> Iterator[Tensor]:
    size = min(schedule.batch_size, videos)
    kept = int(schedule.carry * size)
    batch = torch.empty(0, dtype=torch.int64)
    unseen = torch.randperm(videos, generator=generator)
    for _ in range(schedule.steps):
        stay = batch[torch.randperm(len(batch), generator=generator)[:kept]]
        needed = size - len(stay)
        fresh = unseen[~torch.isin(unseen, stay)]
        if len(fresh) < needed:
            # A small training split is exhausted before the episode ends: deal it out anew.
            again = torch.randperm(videos, generator=generator)
            fresh = torch.cat([fresh, again[~torch.isin(again, torch.cat([stay, fresh]))]])
        unseen, fresh = fresh[needed:], fresh[:needed]
        batch = torch.cat([stay, fresh])
        yield batch
