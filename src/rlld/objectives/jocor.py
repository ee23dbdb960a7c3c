"""JoCoR for several labels and two modalities (Wei et al., CVPR 2020).

The multi-label form is ours: no code of the published audio-visual rows exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.objectives._small_loss import (
    POSITIVE,
    SmallLoss,
    SmallLossConfig,
    SmallLossObjective,
    cell_losses,
    disagreement,
    masked_mean,
)


@dataclass(frozen=True)
class Config(SmallLossConfig):
    """Options of JoCoR.

    Attributes:
        agreement: Weight lambda of the networks' disagreement in the joint loss; that of the
            labels is 1 - lambda. Released: 0.1; its authors found 0.5 to 0.9 best on pictures.
        selection: What is selected, and the ramp of the forget rate.
    """

    agreement: float = 0.1
    selection: SmallLoss = field(default_factory=SmallLoss)

    def __post_init__(self) -> None:
        if not 0 <= self.agreement <= 1:
            raise RlldError(
                f"objective jocor: agreement must lie in [0, 1], found {self.agreement}"
            )


@Config.makes
class JoCoR(SmallLossObjective):
    """Two networks learn to agree, from the labels whose joint loss is small.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config.selection)
        self.config = config

    def whole(self, probability: Tensor, target: Tensor) -> Tensor:
        """Returns the mean of the joint loss over all cells."""
        return self.joint(probability, target).mean()

    def joint(self, probability: Tensor, target: Tensor) -> Tensor:
        """Returns the joint loss of every cell (B, C).

        Args:
            probability: What the networks say (2, B, C).
            target: Targets (B, C).
        """
        weight = self.config.agreement
        return (1 - weight) * cell_losses(probability, target).sum(0) + weight * disagreement(
            probability
        )

    def losses(self, probability: Tensor, target: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss of one modality.

        Args:
            probability: What the networks say (2, B, C).
            target: Targets (B, C).
            rate: Forget rate, a scalar, float64.

        Returns:
            The loss, a scalar, and the cells (B, C), bool, that were learnt from.
        """
        losses = self.joint(probability, target)
        positive, selection = target > POSITIVE, self.selection
        if selection.granularity == "video":
            kept = selection.chosen(losses.detach(), torch.ones_like(positive), rate)
        else:
            kept = selection.chosen(losses.detach(), positive, rate) | ~positive
        return masked_mean(losses, kept), kept
