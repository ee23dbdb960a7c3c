"""LEAP's loss (Zhou et al., ECCV 2024): segments, the video, and what both tracks shall share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.networks._sight import sight_of
from rlld.objectives import base
from rlld.objectives._bce import clamped_bce, video_losses, weighted
from rlld.objectives.base import Objective
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.config import Share, Weight

AFTER = tuple(f"{modality}_after" for modality in MODALITIES)


@dataclass(frozen=True)
class Config(base.Config):
    """Options of the loss; the defaults are those of LEAP's ``run_leap_train.sh``.

    Attributes:
        audio_weight: Weight of the audio term of the video.
        visual_weight: Weight of its visual term.
        video_weight: Weight of its fused term, a constant where that probability has no gradient.
        segment_weight: Weight of the terms of audible and of visible segments.
        similarity_weight: Weight of what both tracks shall share.
        margin: What every sound and every picture have in common.
    """

    audio_weight: Weight = 1.0
    visual_weight: Weight = 1.0
    video_weight: Weight = 1.0
    segment_weight: Weight = 1.0
    similarity_weight: Weight = 1.0
    margin: Share = 0.01

    @property
    def needs(self) -> frozenset[str]:
        """The embeddings that are compared."""
        return frozenset(AFTER) if self.similarity_weight else frozenset()


@Config.makes
class LeapObjective(Objective):
    """Cross-entropy of the video and of every segment, and squared errors of likeness.

    A label source without segment targets lends those of the video to each of its segments.

    Attributes:
        config: The options.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts."""
        target = labels.segment
        if target is None:
            both = torch.stack([labels.audio, labels.visual], 1)
            target = both[:, None].expand(prediction.segment.shape)
        parts = video_losses(prediction, labels)
        parts["segment"] = segment_loss(prediction, target)
        if self.config.similarity_weight:
            audio, visual = (prediction.extras[name] for name in AFTER)
            shared = similarity_loss(audio, visual, target, self.config.margin, prediction.mask)
            parts["similarity"] = shared
        return {"loss": weighted(parts, self.config), **parts}


def segment_loss(prediction: Prediction, target: Tensor) -> Tensor:
    """Cross-entropy of segments, averaged over those of all videos; the sum of both modalities.

    Args:
        prediction: What the network says.
        target: (B, T, 2, C) in [0, 1].
    """
    found = prediction.segment
    if prediction.mask is not None:
        found, target = found[prediction.mask], target[prediction.mask]
    both = zip(found.unbind(-2), target.unbind(-2), strict=True)
    audio, visual = (clamped_bce(own, wanted) for own, wanted in both)
    return audio + visual


def similarity_loss(
    audio: Tensor, visual: Tensor, target: Tensor, margin: float, mask: Tensor | None = None
) -> Tensor:
    """Squared error of how alike sounds and pictures are, averaged over pairs of segments.

    Args:
        audio: Embeddings of the sounds (B, T, D).
        visual: Of the pictures (B, T, D).
        target: Labels of the segments (B, T, 2, C) in [0, 1].
        margin: See ``Config.margin``.
        mask: Which segments belong to their video (B, T), bool; all when None. Pairs are those
            that an attention sees.
    """
    with torch.autocast(audio.device.type, enabled=False):
        near = sight_of(audio, mask).of_one()
        if mask is not None:
            target = target * mask[..., None, None]
        heard, seen = target.to(audio.dtype).unbind(-2)
        events = torch.stack([heard, seen]).sum(-1).amax((0, 2))
        shared = near.asking(heard) @ near.asked(seen).transpose(-1, -2)
        # Without an event nothing is shared, whatever it is divided by.
        ratio = shared / events.clamp_min(1e-8).view(-1, *(1,) * (shared.ndim - 1))
        wanted = ratio / (1 + ratio) + margin
        sound, picture = (functional.normalize(rows, dim=-1) for rows in (audio, visual))
        alike = (near.asking(sound) @ near.asked(picture).transpose(-1, -2)).relu()
        inside = audio.new_ones(1, audio.shape[1]) if mask is None else mask.to(audio.dtype)
        pairs = near.asking(inside.unsqueeze(-1)).bool()
        if near.allowed is not None:
            pairs = pairs & near.allowed
        pairs = pairs.expand(alike.shape)
        errors = (alike - wanted).square().masked_fill(~pairs, 0)
        return errors.sum() / pairs.sum()
