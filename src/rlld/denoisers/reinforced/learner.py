"""What every way of teaching the policy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rlld.denoisers.base import Context, TaskStep
from rlld.types import Batch


class Learner(ABC):
    """Turns validation into updates of a policy; one subclass for each value of ``credit``.

    Attributes:
        wants_feedback: Whether it needs validation scores after every step.
        replayable: Whether a GPU can record its steps; see ``rlld.denoisers.base.Denoiser``.
        generator: What it draws from.
    """

    replayable: bool = False
    generator: torch.Generator

    wants_feedback: bool = True

    def prepare(self, context: Context) -> None:
        """Prepares once, before the first step."""

    def before_step(self, task: TaskStep) -> None:
        """Is told that a step begins; ``revise`` may try steps on the task network."""

    @abstractmethod
    def revise(self, batch: Batch) -> Tensor:
        """Returns the labels of this step (B, 2, C), 0 or 1."""

    def after_step(self) -> dict[str, Tensor]:
        """Is told that the task network took the step; returns figures for the log."""
        return {}

    def feedback(self, scores: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Takes the validation scores (percent) after the step; returns figures for the log."""
        return {}

    def end_of_round(self) -> dict[str, Tensor]:
        """Is told that an epoch or episode ended; returns figures for the log."""
        return {}

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Returns its state between two steps, the policy's weights apart."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""


def moments(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """Returns copies of an optimizer's state by parameter number, without its settings."""
    return {
        number: {name: value.clone() for name, value in entry.items()}
        for number, entry in optimizer.state_dict()["state"].items()
    }


def restore_moments(optimizer: torch.optim.Optimizer, state: Mapping[int, Any]) -> None:
    """Restores what ``moments`` returned; the settings stay those of the recipe."""
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
