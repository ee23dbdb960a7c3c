"""What both rules read of a clip, and what they find in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlld.types import Modality

Array = NDArray[np.float64]

TRACKS: tuple[Modality, ...] = ("audio", "visual", "audio_visual")
"""Order of the maps of ``Found``."""


@dataclass(frozen=True)
class Similarities:
    """Cosines of the segments of a clip with the names of classes.

    Attributes:
        audio: Of its sounds (S, C), NaN in segments without sound.
        visual: Of its pictures (S, C), NaN in segments without picture.
        steady: Cosine of the pictures of each segment with those of the next (S - 1,), 0 where
            one of both has none.
    """

    audio: Array
    visual: Array
    steady: Array

    def __len__(self) -> int:
        return len(self.audio)

    def part(self, modality: int) -> Array:
        """Returns the cosines of a modality, 0 audio, 1 visual."""
        return self.visual if modality else self.audio


@dataclass(frozen=True)
class Found:
    """What a rule finds in a clip; maps in the order of ``TRACKS``.

    Attributes:
        active: Which segments hold an event (3, S, C).
        scores: What was compared with thresholds (3, S, C), in [0, 1], 0 where nothing was.
    """

    active: NDArray[np.bool_]
    scores: Array


Rule = Callable[[Sequence[Similarities]], list[Found]]
"""Reads the clips of a collection, and finds the events of each."""


def from_scores(audio: Array, visual: Array, steady: Array) -> Similarities:
    """Returns a clip as stored scores have it; a row that says the same of all classes is none.

    Args:
        audio: Scores of its sounds (S, C): cosines, or any multiple of them.
        visual: The same of its pictures.
        steady: See ``Similarities``.
    """
    return Similarities(_told(audio), _told(visual), steady)


def _told(rows: Array) -> Array:
    same = (rows == rows[:, :1]).all(axis=1, keepdims=True)
    told: Array = np.where(same & (rows.shape[1] > 1), np.nan, rows)
    return told
