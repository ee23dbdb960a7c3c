"""Draws by lot whose probabilities are known: of some things, more likely where they are larger."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def inclusion(sizes: Floats, count: int) -> Floats:
    """Returns with which probability each thing is drawn: in proportion to its size, at most 1.

    What is too large to be drawn in proportion is drawn for certain, and the rest shares what is
    left.

    Args:
        sizes: Positive sizes (n,).
        count: How many are drawn; all when there are fewer.

    Returns:
        Probabilities (n,); they sum to the number of things that are drawn.
    """
    chances = np.ones(len(sizes))
    free = np.ones(len(sizes), bool)
    while count < len(sizes):
        rest = count - int((~free).sum())
        chances[free] = rest * sizes[free] / sizes[free].sum()
        certain = free & (chances >= 1)
        chances[certain] = 1.0
        if not certain.any():
            break
        free &= ~certain
    return chances


def systematic(chances: Floats, rng: np.random.Generator) -> Counts:
    """Draws so that each thing is drawn with exactly its probability, and none twice.

    The things lie in random order on a line, each as long as its probability; a comb with teeth at
    distance 1, laid on it at random, picks those that it meets.

    Args:
        chances: Probabilities (n,) that sum to a whole number.
        rng: The lot.

    Returns:
        Positions of what is drawn, as many as the sum, in random order.
    """
    certain = np.flatnonzero(chances >= 1)
    order = rng.permutation(np.flatnonzero(chances < 1))
    ends = np.cumsum(chances[order])
    teeth = rng.random() + np.arange(round(float(ends[-1])) if len(ends) else 0)
    # A sum of decimals may end a hair below the last tooth.
    met = np.minimum(np.searchsorted(ends, teeth, side="right"), len(ends) - 1)
    return rng.permutation(np.concatenate([certain, order[met]]))


def apportioned(worth: Floats, before: Floats, room: Counts, count: int) -> Counts:
    """Gives each next question to the cell where it is worth most.

    A cell of worth w that has n questions loses w / n to ignorance: the next one saves
    w / n - w / (n + 1).

    Args:
        worth: What the cells lose with one question each (c,).
        before: Questions that they have already, what is known beforehand included (c,), positive.
        room: Most questions that each can still take (c,).
        count: How many to give.

    Returns:
        The cells in the order in which they get them, fewer where there is no more room.
    """
    has, left = before.astype(np.float64), room.copy()
    given = []
    for _ in range(min(count, int(room.sum()))):
        saved = np.where(left > 0, worth / (has * (has + 1)), -1.0)
        cell = int(saved.argmax())
        given.append(cell)
        has[cell] += 1
        left[cell] -= 1
    return np.array(given, np.int64)
