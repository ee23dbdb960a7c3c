"""Features side by side with a reference: which of their statistics differ beyond chance.

A statistic differs when the difference is both far beyond what chance explains and large enough to
matter: other videos of the same kind have slightly other statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.checks.statistics import StreamStatistics

Array = NDArray[np.float64]

SIGMAS = 6.0
"""Standard errors beyond which a number differs not by chance."""
NOISE = 4.0
"""How far a whole profile of dimensions may be off, in multiples of its expected error."""
MATTERS = 0.1
"""Mean difference of dimensions that matters, in standard deviations of the dimension."""
FEWEST_GROUPS = 8
"""Groups of videos from which standard errors can be trusted."""
SHIFTS = range(-3, 4)
MOVED = 0.7
"""Likeness above which videos that agree best at another time are taken for moved."""


@dataclass(frozen=True)
class Likeness:
    """How alike the features of the same videos are.

    Attributes:
        videos: Videos in common.
        least: Least correlation of a video at the best shift, over its rows and dimensions after
            the reference's mean of each dimension is subtracted.
        typical: Median of the same.
        unshifted: Median of it without shift.
        shift: Segments by which ours come later, at the best shift.
        whole: Least cosine of a video, without shift and with the means left in.
        sorted: Median of it when the numbers of every row are sorted.
        ratio: Size of our numbers in units of the reference's.
    """

    videos: int
    least: float
    typical: float
    unshifted: float
    shift: int
    whole: float
    sorted: float
    ratio: float

    @property
    def shifted(self) -> bool:
        """Whether the videos agree once they are moved in time."""
        better = self.typical > self.unshifted + 0.02
        return self.shift != 0 and better and self.typical >= MOVED


@dataclass(frozen=True)
class Compared:
    """Statistics to be judged, and those they should equal.

    Attributes:
        ours: What is judged.
        reference: What it is compared with.
    """

    ours: StreamStatistics
    reference: StreamStatistics

    @property
    def enough(self) -> bool:
        """Whether there are enough videos to compare statistics of different ones."""
        return min(self.ours.groups, self.reference.groups) >= FEWEST_GROUPS

    def differs(self, name: str, least: float) -> bool:
        """Says whether a number differs by at least so much, and not by chance."""
        error = np.hypot(self.ours.error(name), self.reference.error(name))
        away = abs(self.ours.value(name) - self.reference.value(name))
        return self.enough and bool(away > max(least, SIGMAS * error))

    @cached_property
    def scale(self) -> float:
        """Size of our spread in units of the reference's."""
        ours, theirs = self.ours.values["dimension_stds"], self.reference.values["dimension_stds"]
        alive = theirs > 1e-3 * max(self.reference.value("std"), 1e-30)
        return float(np.median(ours[alive] / theirs[alive])) if alive.any() else 1.0

    def agree(self, *, scale: float = 1.0, ordered: bool = True) -> bool:
        """Says whether mean and spread of the dimensions agree.

        Args:
            scale: What our numbers are divided by first.
            ordered: Whether dimensions correspond; else the sorted ones are compared.
        """
        return (
            self.distance("dimension_means", scale=scale, ordered=ordered)[2]
            and self.distance("dimension_stds", scale=scale, ordered=ordered)[2]
        )

    def distance(
        self,
        name: str,
        other: str = "",
        *,
        scale: float = 1.0,
        ordered: bool = True,
    ) -> tuple[float, float, bool]:
        """Compares a statistic of all dimensions.

        Args:
            name: Ours.
            other: The reference's, when it is another one.
            scale: What our numbers are divided by first.
            ordered: Whether dimensions correspond.

        Returns:
            Root of the mean squared difference in standard deviations of the dimension, the same
            as expected by chance, and whether that is near enough.
        """
        other = other or name
        ours, our_error = self.ours.values[name] / scale, self.ours.errors[name] / scale
        theirs, their_error = self.reference.values[other], self.reference.errors[other]
        spread = self.reference.values["dimension_stds"]
        if not ordered:
            mine, right = np.argsort(ours), np.argsort(theirs)
            ours, our_error = ours[mine], our_error[mine]
            theirs, their_error, spread = theirs[right], their_error[right], spread[right]
        spread = np.maximum(spread, max(0.05 * float(np.sqrt((spread**2).mean())), 1e-12))
        away = _rms((ours - theirs) / spread)
        noise = _rms(np.hypot(our_error, their_error) / spread)
        return away, noise, away <= max(MATTERS, NOISE * noise)

    @cached_property
    def likeness(self) -> Likeness | None:
        """How alike the features of videos in common are; None without any."""
        mean = self.reference.values["dimension_means"]
        common = [
            (ours - mean, theirs - mean)
            for video, theirs in self.reference.samples.items()
            if (ours := self.ours.samples.get(video)) is not None
            and min(len(ours), len(theirs)) > 0
            and ours.shape[1] == theirs.shape[1]
        ]
        if not common:
            return None
        by_shift = {
            shift: [alike(*_overlap(ours, theirs, shift)) for ours, theirs in common]
            for shift in SHIFTS
            if all(min(len(ours), len(theirs)) > abs(shift) for ours, theirs in common)
        }
        # Of equally good shifts the smallest: a still video fits anywhere.
        best = max(by_shift, key=lambda s: (round(float(np.median(by_shift[s])), 4), -abs(s)))
        whole = [_overlap(ours + mean, theirs + mean, 0) for ours, theirs in common]
        return Likeness(
            len(common),
            min(by_shift[best]),
            float(np.median(by_shift[best])),
            float(np.median(by_shift[0])),
            best,
            min(alike(ours, theirs) for ours, theirs in whole),
            float(np.median([alike(np.sort(ours), np.sort(theirs)) for ours, theirs in whole])),
            float(np.median([_rms(ours) / max(_rms(theirs), 1e-30) for ours, theirs in whole])),
        )


def _rms(value: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(value, dtype=np.float64))))


def _overlap(ours: NDArray[Any], theirs: NDArray[Any], shift: int) -> tuple[Array, Array]:
    """Returns the rows that fall on each other when ours come so much later."""
    ours, theirs = ours[max(shift, 0) :], theirs[max(-shift, 0) :]
    length = min(len(ours), len(theirs))
    return ours[:length].astype(np.float64), theirs[:length].astype(np.float64)


def alike(ours: Array, theirs: Array) -> float:
    """Returns the cosine of two arrays."""
    norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
    if norms == 0:
        return float(np.array_equal(ours, theirs))
    return float((ours * theirs).sum() / norms)
