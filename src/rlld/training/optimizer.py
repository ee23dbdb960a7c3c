"""The optimizer of a run, as its schedule says."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rlld.networks.base import Network
from rlld.recipes.schedule import Schedule


def build_optimizer(
    schedule: Schedule, network: Network, objective: nn.Module
) -> torch.optim.Optimizer:
    """Makes the optimizer; each of its steps clips the gradient first if that is asked for.

    Args:
        schedule: Which optimizer, and what it is set to.
        network: The task network, parts of which may have a rate of their own.
        objective: Its loss, which may have parameters too.
    """
    kind = torch.optim.Adam if schedule.optimizer == "adam" else torch.optim.AdamW
    trained = [*network.parameters(), *objective.parameters()]
    made = kind(
        _groups(network, trained, schedule.learning_rate),
        lr=schedule.learning_rate,
        betas=schedule.betas,
        weight_decay=schedule.weight_decay,
        fused=True,
    )
    if schedule.clip_norm is not None:
        limit = schedule.clip_norm

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
