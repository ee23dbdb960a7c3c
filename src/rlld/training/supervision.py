"""The dense loss of annotated videos, mixed into every step of a training on weak labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.objectives._bce import clamped_bce
from rlld.types import AUDIO, VISUAL, Batch, Prediction
from rlld.utils.config import Weight, Width

STREAM = 0x5EED_0003
"""Keeps these draws apart from those of the training order."""


@dataclass(frozen=True)
class Supervision:
    """How much the reward (validation) videos teach the task network directly.

    Attributes:
        weight: Weight of the dense loss in every step; 0 leaves it out.
        batch_size: Annotated videos per step; all where there are fewer.

    Raises:
        RlldError: If a value is out of range.
    """

    weight: Weight = 0.0
    batch_size: Width = 128

    def __post_init__(self) -> None:
        if self.weight < 0 or self.batch_size < 1:
            raise RlldError(
                "supervision: weight must not be negative and batch_size must be positive, found "
                f"{self.weight} and {self.batch_size}"
            )

    def lesson(self, videos: Split, index: Tensor) -> Lesson:
        """Returns what annotated videos teach in a step.

        Args:
            videos: All annotated videos, on the network's device.
            index: Those of the step (b,), as ``draw`` drew them, on that device.
        """
        return Lesson(self.weight, videos.batch(index), videos.require_dense()[index])

    def draw(self, videos: int, seed: int, update: int) -> Tensor:
        """Draws the annotated videos of a step, without repetition.

        Args:
            videos: How many there are.
            seed: Seed of the run.
            update: The step; with the seed it alone decides, so that a resumed run needs no state.

        Returns:
            Index tensor (b,), int64, on the CPU.
        """
        generator = torch.Generator().manual_seed((seed * 1_000_003 + update) ^ STREAM)
        return torch.randperm(videos, generator=generator)[: self.batch_size]


@dataclass(frozen=True)
class Lesson:
    """The annotated videos of one step.

    Attributes:
        weight: Weight of their loss.
        batch: The videos.
        dense: Their events (b, T, 2, C), bool.
    """

    weight: float
    batch: Batch
    dense: Tensor

    def added(self, losses: dict[str, Tensor], prediction: Prediction) -> dict[str, Tensor]:
        """Returns the losses of a step with the weighted dense loss in ``loss``.

        Args:
            losses: What the objective returned.
            prediction: What the task network, in training mode, says of these videos.
        """
        found = dense_loss(prediction, self.dense)
        return {**losses, "loss": losses["loss"] + self.weight * found, "supervision": found}


def dense_loss(prediction: Prediction, dense: Tensor) -> Tensor:
    """Cross-entropy of every segment, and of each video-level probability.

    Args:
        prediction: Of B videos.
        dense: Their events (B, T, 2, C), bool; a video has what any of its segments has.

    Returns:
        The sum of four means, a scalar: segments, audio, visual and fused probabilities.
    """
    present = dense.any(1)
    return (
        clamped_bce(prediction.segment, dense)
        + clamped_bce(prediction.audio, present[:, AUDIO])
        + clamped_bce(prediction.visual, present[:, VISUAL])
        + clamped_bce(prediction.video, present.any(1))
    )
