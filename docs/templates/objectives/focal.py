"""Cross-entropies that easy cells hardly count in: a template for an objective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.objectives import base
from rlld.objectives._bce import EPSILON
from rlld.objectives.base import Objective
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config(base.Config):
    """Options of the focal loss.

    Attributes:
        focus: Exponent of the distance to the target that weighs a cell; 0 is cross-entropy.
    """

    focus: float = 1.0

    def __post_init__(self) -> None:
        if self.focus < 0:
            raise RlldError(f"objective focal: focus must not be negative, found {self.focus}")


@Config.makes
class Focal(Objective):
    """The sum of the focal losses of audio, visual and fused probabilities.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its parts."""
        parts = {
            name: focal(getattr(prediction, name), getattr(labels, name), self.config.focus)
            for name in ("audio", "visual", "video")
        }
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def focal(probability: Tensor, target: Tensor, focus: float) -> Tensor:
    """Returns the focal loss, a scalar: mean of |p - y| ** focus times the cross-entropy."""
    with torch.autocast(probability.device.type, enabled=False):
        clamped = probability.clamp(EPSILON, 1 - EPSILON)
        entropy = -(target * clamped.log() + (1 - target) * (-clamped).log1p())
        return ((clamped - target).abs() ** focus * entropy).mean()
