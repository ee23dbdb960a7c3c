"""Mel scales and triangular filters, as the published front ends have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LINEAR = 200.0 / 3
"""Hertz per mel below ``BREAK`` on the scale of Slaney, which librosa uses."""
BREAK = 1000.0
LOG_STEP = np.log(6.4) / 27
"""Logarithm of the step from mel to mel above it."""


def triangles(bins: NDArray[np.floating[Any]], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns triangular filters (K, B) of height 1 with straight flanks on a scale.

    Args:
        bins: Places of K frequencies on the scale, (K, 1).
        corners: Where the bands begin, peak and end (B + 2,), ascending: each begins where the one
            before it peaks.
    """
    width = np.diff(corners)
    rising = (bins - corners[:-2]) / width[:-1]
    falling = (corners[2:] - bins) / width[1:]
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def htk(hertz: Any) -> Any:
    """Returns mels of HTK's scale with base 10: 1000 at about 1 kHz."""
    return 2595 * np.log10(1 + hertz / 700)


def hertz_of_htk(mel: Any) -> Any:
    """Undoes ``htk``."""
    return 700 * (10 ** (mel / 2595) - 1)


def slaney(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns mels of Slaney's scale: even below 1 kHz, logarithmic above."""
    above = BREAK / LINEAR + np.log(np.maximum(hertz, BREAK) / BREAK) / LOG_STEP
    return np.where(hertz < BREAK, hertz / LINEAR, above)


def hertz_of_slaney(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undoes ``slaney``."""
    steps = np.maximum(mel - BREAK / LINEAR, 0.0)
    return np.where(mel < BREAK / LINEAR, mel * LINEAR, BREAK * np.exp(LOG_STEP * steps))
