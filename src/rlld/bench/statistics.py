"""Means, standard deviations and intervals of few paired runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlld.metrics.paired import TAILS

RESAMPLES = 10_000

Pair = tuple[str, int]
"""Data-set fingerprint and seed: what two methods have in common when they are compared."""


@dataclass(frozen=True)
class Estimate:
    """A mean over runs.

    Attributes:
        mean: The mean.
        low: Lower end of its 95 % bootstrap interval.
        high: Upper end.
        sd: Standard deviation between runs (n - 1), 0 of a single run.
        runs: How many runs.
    """

    mean: float
    low: float
    high: float
    sd: float
    runs: int

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval: some data set has two runs, and they differ."""
        return self.low < self.high

    @property
    def ends(self) -> tuple[float, float] | tuple[None, None]:
        """The interval, None twice where there is none."""
        return (self.low, self.high) if self.has_interval else (None, None)

    @property
    def spread(self) -> float | None:
        """The standard deviation, None of a single run."""
        return self.sd if self.runs > 1 else None

    def as_dict(self) -> dict[str, float | None]:
        """Returns the attributes JSON-ready, None for what a single run does not tell."""
        low, high = self.ends
        return {
            "mean": self.mean,
            "low": low,
            "high": high,
            "sd": self.spread,
            "runs": self.runs,
        }


def estimate(values: Mapping[Pair, float], resamples: int = RESAMPLES) -> Estimate:
    """Returns the mean of runs with its stratified percentile bootstrap interval.

    Seeds are drawn with replacement within each data set (Agarwal et al., NeurIPS 2021; Efron
    1979), since seeds are a sample and the data sets are those that were chosen. Always the same
    are drawn, so that tables repeat. An interval of fewer than about five seeds is too narrow: it
    knows nothing of the runs that were not made; one seed on each data set has none.

    Args:
        values: One value per run, by data set and seed.
        resamples: How many samples to draw.

    Raises:
        ValueError: If there is no value.
    """
    if not values:
        raise ValueError("the mean of no runs is undefined")
    found = np.asarray(list(values.values()), dtype=np.float64)
    places: dict[str, list[int]] = {}
    for place, (data, _) in enumerate(values):
        places.setdefault(data, []).append(place)
    generator = np.random.default_rng(0)
    drawn = [
        np.asarray(own)[generator.integers(len(own), size=(resamples, len(own)))]
        for own in places.values()
    ]
    low, high = np.quantile(found[np.concatenate(drawn, axis=1)].mean(1), TAILS)
    sd = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    return Estimate(float(found.mean()), float(low), float(high), sd, len(found))


def paired_difference(row: Mapping[Pair, float], baseline: Mapping[Pair, float]) -> Estimate | None:
    """Returns the mean difference of two methods over the runs that both have.

    Args:
        row: Values by data set and seed.
        baseline: Those of the other method; what is random in common (data, seed) cancels out.

    Returns:
        Row minus baseline, None where they share no pair.
    """
    pairs = [pair for pair in row if pair in baseline]
    return estimate({pair: row[pair] - baseline[pair] for pair in pairs}) if pairs else None
