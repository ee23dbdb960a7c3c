"""Co-teaching and Co-teaching+ for several labels and two modalities (Yu et al., ICML 2019).

The multi-label form is ours: no code of the published audio-visual rows exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.objectives._bce import clamped_bce
from rlld.objectives._small_loss import (
    POSITIVE,
    SmallLoss,
    SmallLossConfig,
    SmallLossObjective,
    cell_losses,
    masked_mean,
)
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config(SmallLossConfig):
    """Options of Co-teaching.

    Attributes:
        plus: Whether only labels on which the networks disagree are learnt from (Co-teaching+).
        plus_round: Round from which on that holds; plain Co-teaching before.
        agreed_steps: Where the networks disagree on no label of a batch, everything is learnt from
            in the first so many steps, and afterwards negatives alone.
        official_scaling: Whether a mean is divided by its number of cells once more, as in the
            official code. It makes the modality terms vanish beside the fused one.
        selection: What is selected, and the ramp of the forget rate.
    """

    plus: bool = True
    plus_round: int = 0
    agreed_steps: int = 5000
    official_scaling: bool = False
    selection: SmallLoss = field(default_factory=SmallLoss)

    def __post_init__(self) -> None:
        if self.plus_round < 0 or self.agreed_steps < 0:
            raise RlldError(
                "objective coteaching: plus_round and agreed_steps must not be negative, found "
                f"{self.plus_round} and {self.agreed_steps}"
            )


@Config.makes
class CoTeaching(SmallLossObjective):
    """Each of two networks learns from the labels whose losses are small for the other one.

    Attributes:
        config: Its options.
    """

    step: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config.selection)
        self.config = config
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns the sum of both networks' losses, and its parts (sums over the networks)."""
        found = super().forward(prediction, labels, batch)
        self.step += 1
        return found

    def whole(self, probability: Tensor, target: Tensor) -> Tensor:
        """Returns the sum of both networks' cross-entropies."""
        return 2 * clamped_bce(probability, target.expand_as(probability))

    def losses(self, probability: Tensor, target: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss of each network in one modality.

        Args:
            probability: What the networks say (2, B, C).
            target: Targets (B, C).
            rate: Forget rate, a scalar, float64.

        Returns:
            Losses (2,) and the cells (2, B, C), bool, that each network chose for the other one.
        """
        losses = cell_losses(probability, target)
        kept = self._chosen(losses.detach(), probability, target > POSITIVE, rate)
        exchanged = kept.flip(0)
        mean = masked_mean(losses, exchanged)
        if self.config.official_scaling:
            mean = mean / exchanged.sum((-2, -1)).clamp(min=1)
        return mean, kept

    def _chosen(
        self, losses: Tensor, probability: Tensor, positive: Tensor, rate: Tensor
    ) -> Tensor:
        selection = self.selection
        whole = selection.granularity == "video"
        free = torch.zeros_like(positive) if whole else ~positive
        everything = torch.ones_like(positive) if whole else positive
        plain = selection.chosen(losses, everything.expand_as(losses), rate) | free
        if not self.config.plus:
            return plain
        decision = probability >= POSITIVE
        differing = positive & (decision[0] != decision[1])
        among = selection.chosen(losses, differing.expand_as(losses), rate) | free
        agreed = free | (self.step < self.config.agreed_steps)
        plus = torch.where(differing.any(), among, agreed.expand_as(among))
        return torch.where(self.round >= self.config.plus_round, plus, plain)
