"""MGN's loss: the multiple-instance loss, and class tokens that are told apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.objectives import mil
from rlld.objectives.base import Objective
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight

TOKENS = ("audio_class", "visual_class")
LOGITS = tuple(f"{name}_logits" for name in TOKENS)


@dataclass(frozen=True)
class Config:
    """Weights of the parts, all 1 as released.

    Attributes:
        token_weight: Weight of both class-token terms.
        mil: Weights of the video-level terms.
    """

    token_weight: Weight = 1.0
    mil: mil.Config = field(default_factory=mil.Config)

    @property
    def needs(self) -> frozenset[str]:
        """The scores of the class tokens, and what the video-level terms need."""
        return self.mil.needs.union(LOGITS)

    def build(self, spec: DataSpec) -> MGNObjective:
        """Builds the objective; it needs to know nothing of the data set."""
        return MGNObjective(self, spec)


class MGNObjective(Objective):
    """Video-level losses plus cross-entropies of the class tokens (``main.py: train`` of MGN).

    Token c of a modality has to be classified as class c; the videos have no part in that.

    Attributes:
        config: The weights.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.mil = config.mil.build(spec)

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts."""
        parts: dict[str, Tensor] = self.mil(prediction, labels, batch)
        loss = parts.pop("loss")
        for name, key in zip(TOKENS, LOGITS, strict=True):
            logits = prediction.extras[key]
            target = torch.arange(len(logits), device=logits.device)
            parts[name] = functional.cross_entropy(logits, target)
            loss = loss + self.config.token_weight * parts[name]
        return {"loss": loss, **parts}
