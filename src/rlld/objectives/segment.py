"""Segment-level cross-entropies beside the video-level one, as VALOR and LSLD train."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.objectives import base
from rlld.objectives._bce import clamped_bce, video_losses, weighted
from rlld.objectives.base import Objective
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight


@dataclass(frozen=True)
class Config(base.Config):
    """Weights of the terms; all 1 in VALOR, audio 3 in LSLD.

    Attributes:
        audio_weight: Weight of the term of audible segments.
        visual_weight: Weight of the term of visible segments.
        video_weight: Weight of the fused video-level term.
    """

    audio_weight: Weight = 1.0
    visual_weight: Weight = 1.0
    video_weight: Weight = 1.0


@Config.makes
class SegmentObjective(Objective):
    """Cross-entropy of every segment with its pseudo label, and of the video with its label.

    A label source without segment targets teaches each modality by its video-level probability
    instead, as the multiple-instance loss does; so any source drives a network of this objective.

    Attributes:
        config: The weights.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts."""
        parts = self._parts(prediction, labels, batch)
        return {"loss": weighted(parts, self.config), **parts}

    def _parts(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns the unweighted parts."""
        if labels.segment is None:
            return video_losses(prediction, labels)
        return self._of_segments(prediction, labels, labels.segment, batch)

    def _of_segments(
        self, prediction: Prediction, labels: ModalityLabels, segment: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns the unweighted parts where segments (B, T, 2, C) have targets."""
        audio, visual = segment_bce(prediction, segment)
        video = clamped_bce(prediction.video, labels.video)
        return {"audio": audio, "visual": visual, "video": video}


def segment_bce(prediction: Prediction, target: Tensor) -> tuple[Tensor, ...]:
    """Binary cross-entropy of segments, averaged over all elements of a modality.

    What lies behind the end of a video is not counted: a long video weighs more than a short one.

    Args:
        prediction: From its logits where its extras have ``segment_logits`` (VALOR), else from its
            probabilities, whose logarithms are bounded by -100 (LSLD).
        target: (B, T, 2, C) in [0, 1].

    Returns:
        One scalar per modality.
    """
    logits = prediction.extras.get("segment_logits")
    found = prediction.segment if logits is None else logits
    if prediction.mask is not None:
        found, target = found[prediction.mask], target[prediction.mask]
    with torch.autocast(found.device.type, enabled=False):
        losses = []
        for number in range(len(MODALITIES)):
            value = found[..., number, :]
            wanted = target[..., number, :].to(value.dtype)
            if logits is None:
                losses.append(clamped_bce(value, wanted, epsilon=0.0))
            else:
                losses.append(functional.binary_cross_entropy_with_logits(value, wanted))
        return tuple(losses)
