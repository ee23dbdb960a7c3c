"""Which frames and which sound samples stand for the segments of a clip, as VALOR takes them.

Roundings are half to even, as in NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def frame_indices(frames: int, segments: int) -> NDArray[np.int64]:
    """Spreads one frame per segment evenly over a clip, its first and its last frame included.

    Args:
        frames: Frames of the clip, at least 1; with fewer than ``segments`` some repeat.
        segments: Frames to choose.

    Returns:
        0-based indices (segments,). They are not in the middle of the segments.
    """
    return _spread(frames - 1, segments)


def window_bounds(samples: int, segments: int) -> NDArray[np.int64]:
    """Cuts a sound into windows of equal length.

    Args:
        samples: Samples of the clip.
        segments: Windows.

    Returns:
        First sample and the one behind the last (segments, 2). A sample between two windows may
        be left out.
    """
    starts = _spread(samples, segments + 1)[:-1]
    return np.stack([starts, starts + samples // segments], 1)


def stretch_indices(samples: int, length: int) -> NDArray[np.int64]:
    """Forces a sound to a length by taking the nearest samples, without a filter.

    Args:
        samples: Samples of the sound, at least 1.
        length: Samples wanted.

    Returns:
        0-based indices (length,).
    """
    return _spread(samples - 1, length)


def repeats_and_zeros(samples: int, length: int) -> tuple[int, int]:
    """Says how a short sound fills a length: so many whole repeats, then so many zeros.

    Args:
        samples: Samples of the sound, from 1 to ``length``.
        length: Samples wanted.
    """
    repeats = length // samples
    return repeats, length - repeats * samples


def _spread(last: int, count: int) -> NDArray[np.int64]:
    return np.round(np.linspace(0, last, count)).astype(np.int64)
