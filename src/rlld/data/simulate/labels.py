"""Labels of one simulated split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SplitLabels:
    """Labels and events of a split.

    Attributes:
        ids: Video ids, N of them.
        weak: Weak labels (N, C), 0 or 1, uint8.
        events: True events (N, T, 2, C), bool; modality 0 is audio, 1 visual.
    """

    ids: tuple[str, ...]
    weak: NDArray[np.uint8]
    events: NDArray[np.bool_]

    def subset(self, index: NDArray[np.int64]) -> SplitLabels:
        """Returns the videos at ``index`` (n,)."""
        ids = tuple(self.ids[i] for i in index)
        return SplitLabels(ids, self.weak[index], self.events[index])


def generator(seed: int, *place: int) -> np.random.Generator:
    """Returns the random numbers of one place of a simulation, independent of all other places.

    Args:
        seed: Seed of the simulation.
        place: Whole numbers that name the place, such as split and chunk.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=place)))
