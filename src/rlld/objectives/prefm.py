"""PreFM's loss (Yu et al., NeurIPS 2025): windows and what follows them, the nearer the more."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.objectives import segment
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight, require_positive


@dataclass(frozen=True)
class Config(segment.Config):
    """Options of PreFM's loss.

    Attributes:
        audio_weight: Weight of the video-level term of sounds, where no segment has a target.
        visual_weight: The same of pictures.
        video_weight: The same of both.
        segment_weight: Weight of the cross-entropy of windows and what follows them.
        current_weight: Weight of how far a window is from what its words say.
        future_weight: Weight of how far what follows it is.
        focus: Standard deviation, in segments, of the weights around the end of a window.
    """

    segment_weight: Weight = 1.0
    current_weight: Weight = 1.0
    future_weight: Weight = 1.0
    focus: float = 4.0

    def __post_init__(self) -> None:
        require_positive("objective prefm: ", self, "focus")

    @property
    def needs(self) -> frozenset[str]:
        """The windows."""
        return frozenset({"current_logits", "future_logits"})


@Config.makes
class PreFMObjective(segment.SegmentObjective):
    """Cross-entropy of each window, and its likeness to the words of its labels.

    Before a video nothing happens, which is learned; what follows its end is not counted.

    Attributes:
        config: The options.
    """

    config: Config

    def _of_segments(
        self, prediction: Prediction, labels: ModalityLabels, segment: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        extras = prediction.extras
        with torch.autocast(segment.device.type, enabled=False):
            logits = torch.cat([extras["current_logits"], extras["future_logits"]], 2)
            past = extras["current_logits"].shape[2]
            target = windows(segment.to(logits.dtype), past, logits.shape[2] - past)
            inside = _inside(prediction, past, logits.shape[2] - past)
            weights = focus_weights(past, logits.shape[2], self.config.focus, logits.device)
            losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
            weights = weights * inside
            parts = {"segment": _mean(losses.mean((-1, -2)) * weights, inside)}
            if "words" not in extras:
                return parts
            wanted = spoken(target, extras["words"])
            for name, places in (("current", slice(past)), ("future", slice(past, None))):
                far = 1 - functional.cosine_similarity(
                    extras[f"{name}_rows"], wanted[:, :, places], dim=-1
                )
                parts[name] = _mean(far.mean(-1) * weights[..., places], inside[..., places])
        return parts


def focus_weights(
    past: int, places: int, deviation: float, device: torch.device | None = None
) -> Tensor:
    """Weighs the places of a window and of what follows it (places,).

    A Gaussian around the end of the window; over twice a window the weights have mean 1.

    Args:
        past: Segments of a window.
        places: Those and what follows them.
        deviation: Its standard deviation in segments.
        device: Where the weights are made: a copy from elsewhere could not be recorded.
    """
    place = torch.arange(max(2 * past, places), dtype=torch.float32, device=device)
    weights = torch.exp(-0.5 * ((place - (past - 0.5)) / deviation) ** 2)
    return (weights * (2 * past / weights[: 2 * past].sum()))[:places]


def windows(value: Tensor, past: int, future: int) -> Tensor:
    """Returns what belongs to each segment and those around it.

    Args:
        value: Of segments (B, T, 2, C).
        past: How many end with it, zeros before the video.
        future: How many follow it, zeros behind the video.

    Returns:
        (B, T, past + future, 2, C).
    """
    padded = functional.pad(value, (0, 0, 0, 0, past - 1, future))
    return padded.unfold(1, past + future, 1).movedim(-1, 2)


def spoken(target: Tensor, words: Tensor) -> Tensor:
    """Returns what rows should be like: the mean of their classes' words.

    Args:
        target: Labels (..., C) in [0, 1].
        words: Of each class, and of no class at all (C + 1, hidden).

    Returns:
        (..., hidden).
    """
    total = target.sum(-1, keepdim=True)
    mean = target @ words[:-1] / total.clamp_min(torch.finfo(total.dtype).tiny)
    return torch.where(total > 0, mean, words[-1])


def _inside(prediction: Prediction, past: int, future: int) -> Tensor:
    """Returns which places of each window count (B, T, past + future), 0 or 1."""
    shape = prediction.segment.shape[:2]
    mask = prediction.mask
    real = prediction.segment.new_ones(shape) if mask is None else mask.to(prediction.segment)
    before = functional.pad(real, (past - 1, 0), value=1.0)
    around = functional.pad(before, (0, future)).unfold(1, past + future, 1)
    return around * real.unsqueeze(-1)


def _mean(values: Tensor, inside: Tensor) -> Tensor:
    return values.sum() / inside.sum().clamp_min(1)
