"""The feature maps of CLAP as rows of segments."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

MAP_ROWS, MAP_FREQUENCIES, MAP_TIMES = 64, 2, 1024
"""Rows of a CLAP feature map (frequency, then time), its frequencies, its times once resized."""


def pool_maps(maps: Tensor, segments: int) -> Tensor:
    """Reduces CLAP feature maps to one row per segment.

    The published network maps all 64 rows to its width, resizes 2 x 32 to 2 x 1024 (bicubic),
    averages the 2 frequencies and pools the 1024 times to T. Every step is linear in the rows with
    weights that sum to 1, so that one matrix before the linear layer gives the same.

    Args:
        maps: (B, 64, D), row = frequency * 32 + time.
        segments: T.

    Returns:
        (B, T, D).
    """
    matrix = _pooling(segments).to(maps)
    return torch.einsum("sr,brd->bsd", matrix, maps)


@lru_cache(maxsize=8)
def _pooling(segments: int) -> Tensor:
    rows = torch.eye(MAP_ROWS, dtype=torch.float64).view(1, MAP_ROWS, MAP_FREQUENCIES, -1)
    resized = functional.interpolate(
        rows, size=(MAP_FREQUENCIES, MAP_TIMES), mode="bicubic", align_corners=False
    )
    return functional.adaptive_avg_pool1d(resized.mean(2), segments)[0].T
