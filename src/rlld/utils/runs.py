"""Runs of true cells: what makes an event of decided segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns the maximal runs of true cells as (first, one past the last).

    Args:
        active: One decision per segment (S,).

    Examples:
        >>> runs(np.array([True, True, False, True]))
        [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
