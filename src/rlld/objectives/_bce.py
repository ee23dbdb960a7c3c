"""Binary cross-entropy on probabilities, as the published HAN code computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add

import torch
from torch import Tensor
from torch.nn import functional

from rlld.types import ModalityLabels, Prediction

EPSILON = 1e-7
"""Probabilities are clamped to [EPSILON, 1 - EPSILON]."""

VIDEO_TERMS = ("audio", "visual", "video")


def clamped_bce(probability: Tensor, target: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Binary cross-entropy of clamped probabilities, averaged over all elements.

    Args:
        probability: Values in [0, 1], any shape. Outside the clamp the gradient is 0.
        target: Values in [0, 1] of the same shape.
        epsilon: Distance of the clamp from 0 and 1; at 0 only the logarithms are bounded, by -100.

    Returns:
        A scalar (``main_avvp.py: train`` of the released HAN), NaN if a probability is NaN.
    """
    # Autocast refuses this function because a 16-bit probability is too coarse for it.
    with torch.autocast(probability.device.type, enabled=False):
        clamped = probability.clamp(epsilon, 1 - epsilon)
        # PyTorch stops at a NaN, on a GPU for the whole process, before anyone can say where.
        unknown = clamped.isnan().any()
        known = clamped.nan_to_num(nan=0.5)
        loss = functional.binary_cross_entropy(known, target.to(clamped.dtype))
        return loss.masked_fill(unknown, torch.nan)


def video_losses(
    prediction: Prediction,
    labels: ModalityLabels,
    loss: Callable[[Tensor, Tensor], Tensor] = clamped_bce,
) -> dict[str, Tensor]:
    """Returns the losses ``audio``, ``visual`` and ``video`` of the video-level probabilities.

    Args:
        prediction: What the network says.
        labels: Targets.
        loss: Takes probabilities and targets (B, C), returns a scalar.
    """
    return {name: loss(getattr(prediction, name), getattr(labels, name)) for name in VIDEO_TERMS}


def weighted(parts: Mapping[str, Tensor], config: object) -> Tensor:
    """Returns the sum of the parts, each times the option ``NAME_weight`` of a configuration."""
    total: Tensor = reduce(
        add, (getattr(config, f"{name}_weight") * part for name, part in parts.items())
    )
    return total


def segment_rows(value: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the segments of all videos (R, ...) of (B, T, ...).

    Args:
        value: (B, T, ...).
        mask: Which segments belong to their video (B, T), bool; all when None.
    """
    return value.flatten(0, 1) if mask is None else value[mask]
