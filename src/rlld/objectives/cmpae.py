"""CMPAE's objective: video-level losses, JoMoLD's contrast, and mutual learning.

The branch that predicts the fused video level and the two modalities teach each other by turns, as
far as whoever teaches is certain (Gao, Chen and Xu, CVPR 2023; ``mutual_loss.py`` and ``main.py``
of MengyuanChen21/CVPR2023-CMPAE).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.objectives import mil
from rlld.objectives._bce import EPSILON
from rlld.objectives._contrastive import Contrastive
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight

UNCERTAIN = ("video_uncertainty", "audio_uncertainty", "visual_uncertainty")
"""The extras of which mutual learning is made."""
LEAST_UNCERTAINTY = 0.9
"""The fused branch always counts as at least so uncertain."""


@dataclass(frozen=True)
class Mutual:
    """Options of mutual learning.

    Attributes:
        weight: Weight in the total loss; 0 leaves it out.
        negative_weight: Weight of the classes that are no label (``lamb``).

    Raises:
        RlldError: If a weight is negative.
    """

    weight: Weight = 1.0
    negative_weight: Weight = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0 or self.negative_weight < 0:
            raise RlldError(
                "objective cmpae: the weights of mutual must not be negative, found "
                f"{self.weight} and {self.negative_weight}"
            )

    def loss(self, prediction: Prediction, labels: Tensor, odd: Tensor) -> Tensor:
        """Returns the unweighted loss of a batch, a scalar.

        Args:
            prediction: Of a network that gives uncertainties.
            labels: Targets of the fused probability (B, C).
            odd: Whether the step has an odd number within its epoch, a bool scalar: then the
                fused branch learns from the modalities, otherwise they learn from it.

        Raises:
            RlldError: If the network gives no uncertainties.
        """
        own = prediction.extras[UNCERTAIN[0]].clamp(min=LEAST_UNCERTAINTY)[:, None]
        fused = prediction.video.clamp(EPSILON, 1 - EPSILON)
        modality = torch.stack([prediction.audio, prediction.visual], -1)
        modality = modality.clamp(EPSILON, 1 - EPSILON)
        uncertainty = torch.stack([prediction.extras[name] for name in UNCERTAIN[1:]], -1)
        largest, where = modality.max(-1)
        # Uncertainties are not detached: disagreement raises them, as published.
        positive = labels * (1 - uncertainty.gather(-1, where[..., None])[..., 0])
        negative = self.negative_weight * (1 - labels) * (1 - uncertainty.mean(-1))
        mean = modality.mean(-1)

        def apart(fused: Tensor, largest: Tensor, mean: Tensor) -> Tensor:
            return positive * (fused - largest) ** 2 + negative * (fused - mean) ** 2

        to_fused = own * apart(fused, largest.detach(), mean.detach())
        to_modalities = (1 - own) * apart(fused.detach(), largest, mean)
        return torch.where(odd, to_fused, to_modalities).mean()


@dataclass(frozen=True)
class Config(mil.Config):
    """Weights of the parts, as released.

    Attributes:
        audio_weight: Weight of the audio term.
        visual_weight: Weight of the visual term.
        video_weight: Weight of the fused video-level term.
        contrastive: The contrast between the segments of a video.
        mutual: Mutual learning of the fused branch and the modalities.
    """

    audio_weight: Weight = 2.0
    visual_weight: Weight = 0.6
    video_weight: Weight = 0.6
    contrastive: Contrastive = field(default_factory=lambda: Contrastive(1.0))
    mutual: Mutual = field(default_factory=Mutual)

    @property
    def needs(self) -> frozenset[str]:
        """What the contrast compares, and the uncertainties of mutual learning."""
        return super().needs.union(UNCERTAIN if self.mutual.weight else ())


@Config.makes
class CMPAEObjective(mil.MILObjective):
    """The sum of the video-level losses, the contrast and mutual learning.

    Attributes:
        config: The weights.
        round: Round of the next step, int64; -1 before the first.
        step: Number of the next step within its round, int64.
    """

    config: Config
    round: Tensor
    step: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.register_buffer("round", torch.tensor(-1))
        self.register_buffer("step", torch.tensor(0))

    def start_round(self, number: int) -> None:
        """Counts steps from 0 again in a new round; in a resumed one counting goes on."""
        if int(self.round) != number:
            self.round.fill_(number)
            self.step.zero_()

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts, only those that are used; counts the step."""
        losses = super().forward(prediction, labels, batch)
        options, odd = self.config.mutual, self.step % 2 == 1
        self.step.add_(1)
        if options.weight:
            mutual = options.loss(prediction, labels.video, odd)
            loss = losses["loss"] + options.weight * mutual
            losses = {**losses, "loss": loss, "mutual": mutual}
        return losses
