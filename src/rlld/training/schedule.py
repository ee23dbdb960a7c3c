"""How long a run is, in what order it sees the videos, and at what learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.utils.config import Weight, Width, require_positive


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

    def build_optimizer(self, network: Network, objective: nn.Module) -> torch.optim.Optimizer:
        """Makes the optimizer; each of its steps clips the gradient first if that is asked for.

        Args:
            network: The task network, parts of which may have a rate of their own.
            objective: Its loss, which may have parameters too.
        """
        kind = torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW
        trained = [*network.parameters(), *objective.parameters()]
        made = kind(
            _groups(network, trained, self.learning_rate),
            lr=self.learning_rate,
            betas=self.betas,
            weight_decay=self.weight_decay,
            fused=True,
        )
        if self.clip_norm is not None:
            limit = self.clip_norm

            def clip(*_: Any) -> None:
                nn.utils.clip_grad_norm_(trained, limit)

            made.register_step_pre_hook(clip)
        return made


def _groups(network: Network, trained: list[nn.Parameter], rate: float) -> list[dict[str, Any]]:
    """Groups parameters by the factor of their learning rate, which a group holds."""
    factors = network.rate_factors()
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in trained:
        groups.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    return [
        {"params": members, "lr": rate * factor, "factor": factor}
        for factor, members in groups.items()
    ]


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
