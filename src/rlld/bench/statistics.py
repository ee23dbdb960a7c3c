"""Means, standard deviations and intervals of few paired runs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Pair = TypeVar("Pair", bound=Hashable)

RESAMPLES = 10_000
CONFIDENCE = 0.95


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


def estimate(values: Sequence[float], resamples: int = RESAMPLES) -> Estimate:
    """Returns the mean of runs with its percentile bootstrap interval (Efron 1979).

    Runs are drawn with replacement; always the same ones, so that tables repeat. An interval of
    fewer than about five runs is too narrow: it knows nothing of the runs that were not made.

    Args:
        values: One value per run.
        resamples: How many samples to draw.

    Raises:
        ValueError: If there is no value.
    """
    if not len(values):
        raise ValueError("the mean of no runs is undefined")
    found = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(len(found), size=(resamples, len(found)))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(found[drawn].mean(1), tails)
    sd = float(found.std(ddof=1)) if len(found) > 1 else 0.0
    return Estimate(float(found.mean()), float(low), float(high), sd, len(found))


def paired_difference(row: Mapping[Pair, float], baseline: Mapping[Pair, float]) -> Estimate | None:
    """Returns the mean difference of two methods over the runs that both have.

    Args:
        row: Values by pair, such as (data set, seed).
        baseline: Those of the other method; what is random in common (data, seed) cancels out.

    Returns:
        Row minus baseline, None where they share no pair.
    """
    pairs = [pair for pair in row if pair in baseline]
    return estimate([row[pair] - baseline[pair] for pair in pairs]) if pairs else None
