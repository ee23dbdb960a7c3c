"""Binary cross-entropy on probabilities, as the published HAN code computes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-7
"""Probabilities are clamped to [EPSILON, 1 - EPSILON]."""


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
