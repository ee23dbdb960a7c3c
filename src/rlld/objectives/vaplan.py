"""VAPLAN's loss (Zhou et al., IJCV 2024): how many labels a segment, and segments a label, has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.networks._blocks import time_mean
from rlld.objectives import base
from rlld.objectives._bce import clamped_bce, video_losses, weighted
from rlld.objectives.base import Objective
from rlld.objectives.segment import segment_bce
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight


@dataclass(frozen=True)
class Config(base.Config):
    """Weights of the terms.

    Attributes:
        audio_weight: Weight of the audible video-level term.
        visual_weight: Weight of the visible video-level term.
        video_weight: Weight of the fused video-level term.
        segment_weight: Weight of the cross-entropy of all segments with their pseudo labels.
        richness_weight: Weight of the richness-aware term.
    """

    audio_weight: Weight = 1.0
    visual_weight: Weight = 1.0
    video_weight: Weight = 1.0
    segment_weight: Weight = 1.0
    richness_weight: Weight = 0.5


@Config.makes
class VaplanObjective(Objective):
    """The multiple-instance loss, and two terms for segments where there are labels of them.

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
        parts = video_losses(prediction, labels)
        if labels.segment is not None:
            parts["segment"] = torch.stack(segment_bce(prediction, labels.segment)).sum()
            richness = prediction.segment, labels.segment, labels.video, prediction.mask
            parts["richness"] = richness_loss(*richness)
        return {"loss": weighted(parts, self.config), **parts}


def richness_loss(
    probability: Tensor, segment: Tensor, labels: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the category richness and of the segment richness.

    The category richness of a segment is the share of the video's labels that it has; the segment
    richness of a label is the share of the segments that have it.

    Args:
        probability: Segment probabilities (B, T, 2, C).
        segment: Segment labels (B, T, 2, C), 0 outside the video's labels.
        labels: Labels of the videos (B, C), 0 or 1; videos without any have no category richness.
        mask: Which segments belong to their video (B, T), bool; all when None.

    Returns:
        A scalar, the sum over both kinds of richness and both modalities.
    """
    own = labels[:, None, None]
    count = own.sum(-1).clamp(min=1)
    found, wanted = ((value * own).sum(-1) / count for value in (probability, segment))
    labelled = (labels.sum(1) > 0)[:, None, None]
    if mask is not None:
        labelled = labelled.expand_as(found)[mask]
        found, wanted = found[mask], wanted[mask]
    by_category = _counted_bce(found, wanted, labelled)
    means = time_mean(probability, mask), time_mean(segment, mask)
    by_segment = _counted_bce(*means, labels[:, None] > 0)
    return by_category + by_segment


def _counted_bce(probability: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Mean over the counted elements of each modality, added up over the two modalities."""
    mask = counted.expand_as(target).to(target.dtype)
    # Others get probability and target 0, whose cross-entropy the clamp makes negligible.
    mean = clamped_bce(probability * mask, target * mask)
    return 2 * mean * mask.numel() / mask.sum().clamp(min=1)
