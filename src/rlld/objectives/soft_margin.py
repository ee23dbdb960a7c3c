"""The multi-label soft-margin loss of the released AVE and of CPSP's code for AVE's data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.objectives import base
from rlld.objectives._bce import video_losses, weighted
from rlld.objectives.base import Objective
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight


@dataclass(frozen=True)
class Config(base.Config):
    """Weights of the parts; the released code has the fused term only.

    Attributes:
        audio_weight: Weight of the audio term.
        visual_weight: Weight of the visual term.
        video_weight: Weight of the fused term.
    """

    audio_weight: Weight = 1.0
    visual_weight: Weight = 1.0
    video_weight: Weight = 1.0


@Config.makes
class SoftMarginObjective(Objective):
    """Cross-entropy of sigmoid(probability), as ``weak_supervised_main.py`` of AVE trains.

    The released code hands probabilities to a loss that expects scores and applies a sigmoid to
    them. A probability in [0, 1] so becomes one in [0.5, 0.73]: the loss of a correct prediction
    stays near 0.69 and gradients are small. It is kept because the published numbers rest on it.

    Attributes:
        config: The weights.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts ``audio``, ``visual`` and ``video``."""
        parts = video_losses(prediction, labels, soft_margin)
        return {"loss": weighted(parts, self.config), **parts}


def soft_margin(probability: Tensor, target: Tensor) -> Tensor:
    """Returns -mean[y log s(p) + (1 - y) log(1 - s(p))] with the sigmoid s, a scalar.

    Args:
        probability: Values p in [0, 1], any shape.
        target: Values y in [0, 1] of the same shape.
    """
    with torch.autocast(probability.device.type, enabled=False):
        return functional.binary_cross_entropy_with_logits(
            probability, target.to(probability.dtype)
        )
