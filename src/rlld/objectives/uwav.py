"""UWAV's loss (Lai et al., CVPR 2025): soft labels, weights against their imbalance, and mixup."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional

from rlld.objectives import segment
from rlld.objectives._bce import EPSILON, clamped_bce, segment_rows
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight, require_positive

HALF = 0.5
"""A segment label above it is counted as an event where a source of labels does not count."""


@dataclass(frozen=True)
class Config(segment.Config):
    """Options of the loss; the defaults are those of UWAV's ``train_han.sh``.

    Attributes:
        audio_weight: Weight of the term of audible segments.
        visual_weight: Weight of the term of visible segments.
        video_weight: Weight of the fused video-level term.
        mixup_weight: Weight of the terms of mixed segments of both modalities.
        balance: Whether tagged classes count more than others in the segment terms.
        tagged: How much a tagged class then counts, times the mean number of classes that are not
            in a segment; others count the mean number of those that are.
        alpha: Both parameters of the beta distribution from which shares of mixed segments are
            drawn; the larger it is, the nearer they are to one half.
    """

    mixup_weight: Weight = 1.0
    balance: bool = True
    tagged: Weight = 0.5
    alpha: float = 1.7

    def __post_init__(self) -> None:
        require_positive("objective uwav: ", self, "alpha")


@Config.makes
class UwavObjective(segment.SegmentObjective):
    """Weighted cross-entropy of every segment with its soft label, plain one of mixed segments.

    Attributes:
        config: The options.
    """

    config: Config

    def _of_segments(
        self, prediction: Prediction, labels: ModalityLabels, segment: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        mask = prediction.mask
        logits, target = (segment_rows(value, mask) for value in (_logits(prediction), segment))
        target = target.to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        if self.config.balance:
            tagged = batch.labels.bool()[:, None].expand(*segment.shape[:2], -1)
            events = labels.extras.get("events")
            if events is None:
                events = (target > HALF).sum(-1).to(target.dtype).mean(0)
            losses = losses * balanced(segment_rows(tagged, mask), events, self.config.tagged)
        parts = dict(zip(MODALITIES, losses.mean((0, 2)), strict=True))
        parts["video"] = clamped_bce(prediction.video, labels.video)
        if self.config.mixup_weight:
            parts["mixup"] = mixup_loss(logits, target, *draw(logits, self.config.alpha))
        return parts


def balanced(tagged: Tensor, events: Tensor, factor: float) -> Tensor:
    """Returns how much each label of a segment counts.

    Args:
        tagged: Tags of the video of each segment (R, C), bool.
        events: Mean number of classes that a training segment has, by modality (2,).
        factor: See ``Config.tagged``.

    Returns:
        (R, 2, C).
    """
    events = events[:, None]
    return torch.where(tagged[:, None], factor * (tagged.shape[-1] - events), events)


def draw(logits: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Draws, for each modality, how much of a segment stays and which one is mixed into it.

    Args:
        logits: Of the segments (R, 2, C).
        alpha: See ``Config.alpha``.

    Returns:
        Shares (2,) and places (2, R), int64; the rows of different videos mix.
    """
    # No distribution is asked whether its parameters are valid: a GPU that records may not answer.
    both = logits.new_full((2,), alpha)
    share = Beta(both, both, validate_args=False).sample()
    return share, torch.rand(2, len(logits), device=logits.device).argsort(1)


def mixup_loss(logits: Tensor, target: Tensor, share: Tensor, places: Tensor) -> Tensor:
    """Cross-entropy of mixed segments, the sum over both modalities of the means.

    The head is linear: logits of mixed features are mixed logits. So is the cross-entropy in its
    target: what is lost to both targets, by their shares, is lost to the mixed one.

    Args:
        logits: Of the segments (R, 2, C).
        target: Soft labels (R, 2, C).
        share: How much of a segment stays, by modality (2,).
        places: The segment that is mixed into each (2, R), int64.
    """
    total = logits.new_zeros(())
    for modality in range(len(MODALITIES)):
        own, other = share[modality], places[modality]
        mixed, wanted = (
            own * value[:, modality] + (1 - own) * value[other, modality]
            for value in (logits, target)
        )
        total = total + functional.binary_cross_entropy_with_logits(mixed, wanted)
    return total


def _logits(prediction: Prediction) -> Tensor:
    """Returns the logits of the segments, of their probabilities where a network has none."""
    known = prediction.extras.get("segment_logits")
    if known is not None:
        return known
    return prediction.segment.clamp(EPSILON, 1 - EPSILON).logit()
