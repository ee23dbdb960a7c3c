"""How long learning takes, which data sets ask for and recipes decide by."""

from __future__ import annotations

import math

USUAL = 300
"""Training videos on which learning takes 600 updates."""


def enough(videos: int) -> int:
    """Returns the updates that learning takes on so many training videos."""
    return 50 * round(12 * math.pow(max(videos, 1) / USUAL, 0.3))
