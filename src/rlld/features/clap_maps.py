"""The feature maps of CLAP as rows of segments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

MAP_ROWS, MAP_FREQUENCIES, MAP_TIMES = 64, 2, 1024
"""Rows of a CLAP feature map (frequency, then time), its frequencies, its times once resized."""


def are_maps(streams: Mapping[str, Tensor], segments: int) -> bool:
    """Says whether the sound comes as feature maps (B, 64, D) and not as a row per segment.

    Args:
        streams: Features by stream name.
        segments: Those of the data set; videos of any length may have as many as a map has rows.
    """
    rows = streams["audio"].shape[1]
    return rows == MAP_ROWS != segments and streams["visual_2d"].shape[1] != MAP_ROWS


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


def resize_maps(maps: Tensor) -> Tensor:
    """Resizes CLAP feature maps (B, 64, D) to 2 x 1024 (bicubic): (B, 2, 1024, D)."""
    return torch.einsum("rft,brd->bftd", _resizing().to(maps), maps)


def pool_resized(resized: Tensor, segments: int) -> Tensor:
    """Averages the frequencies of resized maps and pools their times to T: (B, T, D)."""
    return torch.einsum("st,btd->bsd", _bins(segments).to(resized), resized.mean(1))


@lru_cache(maxsize=8)
def _pooling(segments: int) -> Tensor:
    return functional.adaptive_avg_pool1d(_resizing().mean(1), segments).T


@lru_cache(maxsize=8)
def _bins(segments: int) -> Tensor:
    times = torch.eye(MAP_TIMES, dtype=torch.float64)
    return functional.adaptive_avg_pool1d(times, segments).T


@lru_cache(maxsize=1)
def _resizing() -> Tensor:
    """How much of each row is in each place of the resized map (64, 2, 1024)."""
    rows = torch.eye(MAP_ROWS, dtype=torch.float64).view(1, MAP_ROWS, MAP_FREQUENCIES, -1)
    size = MAP_FREQUENCIES, MAP_TIMES
    return functional.interpolate(rows, size=size, mode="bicubic", align_corners=False)[0]
