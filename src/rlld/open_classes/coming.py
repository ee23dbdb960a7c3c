"""The calibrated rule on a clip that goes on: what is likely in a segment, once nothing changes it.

What scores mean must be known beforehand (``Taught``), for it is no clip's to say while it runs.
"""

from __future__ import annotations

import numpy as np

from rlld.open_classes.calibrated import WIDTH, Learned
from rlld.open_classes.similarities import Array


class Coming:
    """Says how likely classes are in the segments of a track as they come.

    A segment is settled with the last of those that are mixed into it; of a clip that is shorter
    than these, all are settled at its end.

    Args:
        learned: What the scores of the track mean.
    """

    def __init__(self, learned: Learned) -> None:
        self._learned = learned
        self._rows: Array | None = None
        self._behind = 0  # rows that are settled and held, for those that follow

    def push(self, rows: Array) -> Array:
        """Takes similarities of the next segments (n, C); returns what is settled now (m, C)."""
        self._rows = rows if self._rows is None else np.concatenate([self._rows, rows])
        count = len(self._rows)
        return self._settled(count - WIDTH // 2 + 1 if count >= WIDTH else 0)

    def finish(self) -> Array:
        """Returns the rest (m, C): the clip ends with the segments that came."""
        if self._rows is None:
            raise AssertionError("a clip has segments")
        return self._settled(len(self._rows))

    def _settled(self, end: int) -> Array:
        if self._rows is None or end <= self._behind:
            return np.zeros((0, 0 if self._rows is None else self._rows.shape[1]))
        found: Array = self._learned.probabilities(self._rows)[self._behind : end]
        dropped = max(0, end - WIDTH)
        self._rows = self._rows[dropped:]
        self._behind = end - dropped
        return found
