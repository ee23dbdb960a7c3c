"""How long a run is, and at what learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from rlld.errors import RlldError
from rlld.utils.config import YOUNG, Count, Share, Weight, Width, require_positive


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
        learning_rate: The largest learning rate.
        decay: How the rate falls: in ``steps`` at the milestones, or along half a ``cosine`` from
            the end of the warm-up to ``final_rate`` in the last round.
        milestones: Shares of the run in (0, 1) after which the rate is multiplied by ``gamma``;
            applied at the end of the round in which they fall.
        gamma: Factor of the learning rate at each milestone.
        final_rate: Rate of the last round of a cosine, as a share of ``learning_rate``.
        warm_up: Share of the run in [0, 1) over which the rate rises to ``learning_rate`` in equal
            steps, one per round.
        optimizer: ``adam``, whose weight decay is part of the gradient, or ``adamw``, whose is not.
        betas: Decay of the optimizer's two running means, each in [0, 1).
        weight_decay: The optimizer's weight decay.
        clip_norm: Largest norm of the whole gradient; a larger one is scaled down to it.
        mixing: Share of the videos of a batch that are trained on with the pictures of another
            one: as many new videos as there are pairs, for labels that are right for each
            modality by itself.
        ensemble: Task networks that are trained side by side, from weights of their own; what they
            say is averaged.

    Raises:
        RlldError: If a value is out of range.
    """

    round: Literal["epoch", "episode"] = "epoch"
    rounds: int = 25
    updates: int | None = None
    batch_size: Width = 128
    steps: int = 32
    carry: float = 0.25
    learning_rate: float = 5e-4
    decay: Literal["steps", "cosine"] = "steps"
    milestones: tuple[float, ...] = (0.24, 0.48, 0.72, 0.96)
    gamma: float = 0.25
    final_rate: float = 0.0
    warm_up: float = 0.0
    optimizer: Literal["adam", "adamw"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: Weight = 0.0
    clip_norm: float | None = None
    mixing: Share = field(default=0.0, metadata=YOUNG)
    ensemble: Count = field(default=1, metadata=YOUNG)

    def __post_init__(self) -> None:
        sizes = ("rounds", "updates", "batch_size", "steps", "learning_rate", "gamma", "clip_norm")
        require_positive("schedule.", self, *sizes)
        if not 0 <= self.carry < 1:
            raise RlldError(f"schedule.carry must lie in [0, 1), found {self.carry}")
        if any(not 0 < share < 1 for share in self.milestones):
            raise RlldError(f"schedule.milestones must lie in (0, 1), found {self.milestones}")
        if not 0 <= self.final_rate <= 1:
            raise RlldError(f"schedule.final_rate must lie in [0, 1], found {self.final_rate}")
        if not 0 <= self.warm_up < 1:
            raise RlldError(f"schedule.warm_up must lie in [0, 1), found {self.warm_up}")
        if any(not 0 <= beta < 1 for beta in self.betas):
            raise RlldError(f"schedule.betas must lie in [0, 1), found {self.betas}")

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
        rising = round(self.warm_up * rounds)
        if round_number + 1 < rising:
            return self.learning_rate * (round_number + 1) / rising
        if self.decay == "cosine":
            passed = (round_number + 1 - rising) / max(rounds - rising, 1)
            share = (1 + math.cos(math.pi * passed)) / 2
            return self.learning_rate * (self.final_rate + (1 - self.final_rate) * share)
        # Rounding first: 0.24 of 25 epochs is 6, whatever the last bit of the product.
        reached = sum(
            round_number >= math.ceil(round(share * rounds, 6)) for share in self.milestones
        )
        return self.learning_rate * self.gamma**reached
