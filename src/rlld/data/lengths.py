"""How learning goes on in few videos, which data sets ask for and recipes decide by."""

from __future__ import annotations

import math
from typing import Any

LARGE = 5000
"""Training videos from which on the published widths, batches and epochs are right as they are."""
BATCHES = ((500, 16), (1500, 32), (LARGE, 64))
"""Batch sizes by the number of training videos that they are right below."""
USUAL = 300
"""Training videos on which learning takes 600 updates."""


def enough(videos: int | None) -> int:
    """Returns the updates that learning takes on so many training videos, None if unknown."""
    count = USUAL if videos is None else max(videos, 1)
    return 50 * round(12 * math.pow(count / USUAL, 0.3))


def schedule(videos: int) -> dict[str, Any]:
    """Returns the settings of a schedule, by dotted path, for fewer than ``LARGE`` videos."""
    return {
        "schedule.updates": enough(videos),
        "schedule.batch_size": next(size for most, size in BATCHES if videos < most),
        "schedule.learning_rate": 1e-3,
        "schedule.decay": "cosine",
    }
