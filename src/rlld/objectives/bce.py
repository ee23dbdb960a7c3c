"""Binary cross-entropy on probabilities, as the published HAN code computes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-7
"""Probabilities are clamped to [EPSILON, 1 - EPSILON]."""


def clamped_bce(probability: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of clamped probabilities, averaged over all elements.

    Args:
        probability: Values in [0, 1], any shape. Outside the clamp the gradient is 0.
        target: Values in [0, 1] of the same shape.

    Returns:
        A scalar (``main_avvp.py: train`` of the released HAN).
    """
    # Autocast refuses this function because a 16-bit probability is too coarse for it.
    with torch.autocast(probability.device.type, enabled=False):
        clamped = probability.clamp(EPSILON, 1 - EPSILON)
        return functional.binary_cross_entropy(clamped, target.to(clamped.dtype))
