"""The loss of DHHN: cross-entropies, lessons of the guides, and apartness of the modalities.

Source: ``main_avvp.py`` of CFM-MSG/Code_DHHN, functions ``train``, ``retrain`` and
``retrain_MGN_single``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from rlld.objectives import base
from rlld.objectives._bce import EPSILON, clamped_bce
from rlld.objectives.base import Objective
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config(base.Config):
    """Options of the loss; its terms all have weight 1.

    Attributes:
        guide_targets: What the guides learn: the ``weak`` labels of the videos, as in the released
            training on weak labels, or the denoiser's labels of their ``modality``, as in the
            released retraining.
        reverse: Whether audio and visual probabilities are pushed apart, in the main network and
            between two guides (a negative mean squared error, "L_rmse" in the publication). The
            released trainings without guides or with one leave it out.
    """

    guide_targets: Literal["weak", "modality"] = "modality"
    reverse: bool = True


@Config.makes
class DHHNObjective(Objective):
    """The sum of the losses of the main network and of the guides.

    The main network learns from guides whose answers count as given, so that nothing of its loss
    reaches them. Guides that the network does not have leave out their terms.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its parts.

        ``audio``, ``visual`` and ``video`` are the cross-entropies; for each guide there are the
        cross-entropy ``audio_guide`` and what it teaches, ``audio_lesson`` (or ``visual_...``);
        ``reverse`` and ``guide_reverse`` are negative.
        """
        said = {"audio": prediction.audio, "visual": prediction.visual}
        targets = {"audio": labels.audio, "visual": labels.visual}
        parts = {name: clamped_bce(said[name], targets[name]) for name in MODALITIES}
        parts["video"] = clamped_bce(prediction.video, labels.video)
        guides = {
            name: prediction.extras[f"{name}_guide"]
            for name in MODALITIES
            if f"{name}_guide" in prediction.extras
        }
        for name, guide in guides.items():
            weak = self.config.guide_targets == "weak"
            parts[f"{name}_guide"] = clamped_bce(guide, batch.labels if weak else targets[name])
            parts[f"{name}_lesson"] = difference(said[name], guide.detach())
        if self.config.reverse:
            parts["reverse"] = -difference(said["audio"], said["visual"])
            if len(guides) == len(MODALITIES):
                parts["guide_reverse"] = -difference(guides["audio"], guides["visual"])
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def difference(first: Tensor, second: Tensor) -> Tensor:
    """Returns the mean squared difference of clamped probabilities (B, C), a scalar."""
    limits = EPSILON, 1 - EPSILON
    # Autocast must not round probabilities to 16 bits before they are compared.
    with torch.autocast(first.device.type, enabled=False):
        return functional.mse_loss(first.clamp(*limits), second.clamp(*limits))
