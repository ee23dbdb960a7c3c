"""The multiple-instance loss of HAN: video-level cross-entropies, optionally contrastive."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from rlld.objectives import base
from rlld.objectives._bce import video_losses, weighted
from rlld.objectives._contrastive import Contrastive
from rlld.objectives.base import Objective
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight


@dataclass(frozen=True)
class Config(base.Config):
    """Weights of the parts; all 1 in HAN, audio 2 in JoMoLD's denoising stage.

    Attributes:
        audio_weight: Weight of the audio term (guided loss).
        visual_weight: Weight of the visual term (guided loss).
        video_weight: Weight of the fused video-level term.
        contrastive: The "+CL" loss, off by default.
    """

    audio_weight: Weight = 1.0
    visual_weight: Weight = 1.0
    video_weight: Weight = 1.0
    contrastive: Contrastive = field(default_factory=Contrastive)

    @property
    def needs(self) -> frozenset[str]:
        """What the contrastive loss compares."""
        return self.contrastive.needs


@Config.makes
class MILObjective(Objective):
    """Weighted sum of the video-level losses (HAN section 4.4, RLLD equations 6-8).

    Attributes:
        config: The weights.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts, ``contrastive`` only where it is used."""
        config = self.config
        parts = video_losses(prediction, labels)
        loss = weighted(parts, config)
        if config.contrastive.weight:
            parts["contrastive"] = config.contrastive.loss(prediction)
            loss = loss + config.contrastive.weight * parts["contrastive"]
        return {"loss": loss, **parts}
