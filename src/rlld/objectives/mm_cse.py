"""MM-CSE's loss (Zhao et al., AAAI 2025): segments, their parts, and which classes look where."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.objectives import segment
from rlld.objectives._bce import segment_rows
from rlld.types import AUDIO, MODALITIES, VISUAL, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight


@dataclass(frozen=True)
class Config(segment.Config):
    """Weights of the terms; a term of weight 0 is not computed.

    Attributes:
        audio_weight: Weight of the term of audible segments.
        visual_weight: Weight of the term of visible segments.
        video_weight: Weight of the fused video-level term.
        reconstruction_weight: Weight of what the parts of a segment lack of it.
        orthogonality_weight: Weight of how alike classes and background are.
        maps_weight: Weight of how far the attention is from the labels that occur together.
    """

    reconstruction_weight: Weight = 0.5
    orthogonality_weight: Weight = 0.1
    maps_weight: Weight = 0.1

    @property
    def needs(self) -> frozenset[str]:
        """What the terms are computed of."""
        needed = set[str]()
        if self.reconstruction_weight:
            needed |= {"embedded", "reconstructed"}
        if self.orthogonality_weight:
            needed.add("parts")
        if self.maps_weight:
            needed.add("maps")
        return frozenset(needed)


@Config.makes
class MmCseObjective(segment.SegmentObjective):
    """VALOR's cross-entropies, reconstruction, orthogonality and maps of the attention.

    A label source without segment targets does not teach the maps.

    Attributes:
        config: The weights.
    """

    config: Config

    def _parts(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        parts = super()._parts(prediction, labels, batch)
        extras, mask = prediction.extras, prediction.mask
        with torch.autocast(prediction.segment.device.type, enabled=False):
            if self.config.reconstruction_weight:
                whole = segment_rows(extras["embedded"], mask)
                again = segment_rows(extras["reconstructed"], mask)
                parts["reconstruction"] = len(MODALITIES) * functional.mse_loss(again, whole)
            if self.config.orthogonality_weight:
                parts["orthogonality"] = likeness(segment_rows(extras["parts"], mask))
            if self.config.maps_weight and labels.segment is not None:
                maps = segment_rows(extras["maps"], mask)
                parts["maps"] = map_loss(maps, segment_rows(labels.segment, mask))
        return parts


def likeness(parts: Tensor) -> Tensor:
    """Cosines of classes and background, added over the modalities.

    Of sounds it is the mean over the classes, of pictures the cosine of the mean class: so it is
    in the published code.

    Args:
        parts: Classes of segments, then the background (R, 2, C + 1, D).
    """
    classes, background = parts[:, :, :-1], parts[:, :, -1:]
    heard = functional.cosine_similarity(classes[:, AUDIO], background[:, AUDIO], dim=-1)
    mean = classes[:, VISUAL].mean(1, keepdim=True)
    return heard.mean() + functional.cosine_similarity(mean, background[:, VISUAL], dim=-1).mean()


def map_loss(maps: Tensor, labels: Tensor) -> Tensor:
    """Mean squares of what the maps lack of the labels that occur together, added over the maps.

    Args:
        maps: How the classes of each modality look at those of itself, then at those of the other
            one (R, 2, 2, C, C).
        labels: Of segments (R, 2, C) in [0, 1].
    """
    seen = torch.stack([labels, labels.flip(1)], 2).to(maps.dtype)
    together = labels.to(maps.dtype)[:, :, None, :, None] * seen[..., None, :]
    return len(MODALITIES) ** 2 * functional.mse_loss(maps, together)
