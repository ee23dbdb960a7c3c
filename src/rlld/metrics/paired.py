"""Differences of two methods on the same videos, with intervals over the videos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
VIDEO_RESAMPLES = 2_000
"""Of videos, where each resample makes every score anew."""
CELLS = 1 << 20
"""Weights of resampled videos that are held at once."""


@dataclass(frozen=True)
class Difference:
    """How far one method lies above another on the same videos.

    Attributes:
        value: The difference.
        low: Lower end of its 95 % bootstrap interval over the videos.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high


def resampled_videos(
    count: int, resamples: int = VIDEO_RESAMPLES
) -> Iterator[NDArray[np.floating[Any]]]:
    """Yields how often each video is in a sample of as many, drawn with replacement.

    Always the same are drawn, so that figures repeat; and all methods get the same, so that what
    makes a video easy or hard for all of them cancels out in their differences.

    Args:
        count: How many videos there are, N.
        resamples: How many samples to draw.

    Yields:
        Whole numbers (n, N) of some of the samples; each row sums to N.
    """
    generator = np.random.default_rng(0)
    left = resamples
    while left:
        rows = min(left, max(1, CELLS // count))
        places = generator.integers(count, size=(rows, count)) + np.arange(rows)[:, None] * count
        yield np.bincount(places.ravel(), minlength=rows * count).reshape(rows, count) * 1.0
        left -= rows


def difference(value: float, resampled: NDArray[np.floating[Any]]) -> Difference | None:
    """Returns a difference with its percentile interval.

    Args:
        value: The difference on all videos.
        resampled: The same on each resample, NaN where that leaves it undefined.

    Returns:
        None where the difference is undefined.
    """
    known = resampled[np.isfinite(resampled)]
    if not np.isfinite(value) or not known.size:
        return None
    low, high = np.quantile(known, TAILS)
    return Difference(float(value), float(low), float(high))
