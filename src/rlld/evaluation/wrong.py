"""How many tags of a class are wrong in a track, from answers and predictions of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlld.data.answers import UNKNOWN
from rlld.evaluation.pool import Pool

Floats = NDArray[np.float64]
PRIOR = 15.0
"""Answers that a prediction counts for: where an answer lies 0.4 from it, the rate of a class then
lies within 0.1 of what is predicted, as borrowed rates do."""
NORMAL = 1.96
LEAST = 0.03
"""No variance of answers is believed to be smaller: that of 3 % wrong tags."""


@dataclass(frozen=True)
class WrongRate:
    """The share of a class's tags that are wrong in a track.

    Attributes:
        tags: Tags of the class.
        share: The estimate, in [0, 1].
        spread: Variance of an answer about its prediction.
        answers: How many answers it rests on.
    """

    tags: int
    share: float
    spread: float
    answers: int

    def variance(self, more: int = 0) -> float:
        """Returns the variance of the estimate after some more answers.

        Args:
            more: How many.
        """
        answers = min(self.answers + more, self.tags)
        unseen = 1 - answers / self.tags if self.tags else 0.0
        return unseen * self.spread / (answers + PRIOR)

    @property
    def wide(self) -> float:
        """Half of the 95 percent interval."""
        return float(NORMAL * self.variance() ** 0.5)

    @property
    def interval(self) -> tuple[float, float]:
        """95 percent, within [0, 1]."""
        return max(0.0, self.share - self.wide), min(1.0, self.share + self.wide)


def residual_mean(
    residuals: Floats, chances: Floats, tags: int, prior: float = 0.0, common: float = 0.0
) -> float:
    """Returns by how much predictions are too low, on the mean of all tags.

    Without a prior this is right on the mean of all draws, whatever the predictions are, for each
    answer counts by the inverse of the probability that it was drawn with.

    Args:
        residuals: What was found less what was predicted (n,).
        chances: Probability that one draw takes each (n,); those of all tags sum to 1.
        tags: Tags in all.
        prior: Answers that ``common`` counts for.
        common: What is known of the residual beforehand.
    """
    weights = 1 / (tags * chances)
    total = float((residuals * weights).sum()) + prior * common
    count = len(residuals) + prior
    return total / count if count else 0.0


def wrong_rate(
    predicted: Floats, residuals: Floats, chances: Floats, common: float = 0.0
) -> WrongRate:
    """Returns the rate of a class in a track: the mean prediction, put right by the answers.

    Args:
        predicted: Probability that each tag of the class is wrong (N,).
        residuals: 1 or 0 (wrong or right) less what was predicted, of the answers (n,).
        chances: Chance that a question about the class fell to each of them (n,).
        common: The mean residual of other classes.
    """
    tags, count = len(predicted), len(residuals)
    if not tags:
        return WrongRate(0, 0.0, LEAST, 0)
    model = max(LEAST, float((predicted * (1 - predicted)).mean()))
    weights = 1 / (tags * chances)
    squares = float((residuals**2 * weights).sum())
    spread = (squares + PRIOR * model) / (count + PRIOR)
    moved = residual_mean(residuals, chances, tags, PRIOR, common)
    # What was answered is known, whatever is thought of the others.
    moved = (float(residuals.sum()) + (tags - count) * moved) / tags
    share = min(1.0, max(0.0, float(predicted.mean()) + moved))
    return WrongRate(tags, share, spread, count)


def wrong_rates(pool: Pool) -> tuple[tuple[WrongRate, ...], ...]:
    """Returns how many tags are wrong, by modality and class."""
    found = []
    for modality in range(pool.known.shape[1]):
        known, wrong = pool.known[:, modality], pool.wrong[:, modality]
        seen = pool.tags & (known != UNKNOWN)
        residuals = np.where(seen, (known == 0) - wrong, 0.0)
        common = float(residuals.sum() / (seen.sum() + PRIOR))
        row = []
        for label in range(pool.tags.shape[1]):
            tagged, mine = pool.tags[:, label], seen[:, label]
            drawn = pool.chances[mine, modality, label].astype(np.float64)
            # Who did not draw is taken to have drawn evenly.
            chances = np.where(drawn > 0, drawn, 1 / max(1, int(tagged.sum())))
            row.append(wrong_rate(wrong[tagged, label], residuals[mine, label], chances, common))
        found.append(tuple(row))
    return tuple(found)


def expected_gain(rates: tuple[tuple[WrongRate, ...], ...], more: NDArray[np.int64]) -> float:
    """Returns how many labels more answers are expected to put right.

    Removing a share that is wrong by d from the tags of a class decides about d squared of them
    wrongly: those at the threshold are as good as even chances.

    Args:
        rates: What is known, by modality and class.
        more: Answers to come in each track (C,).
    """
    return sum(
        rate.tags * (rate.variance() - rate.variance(count))
        for row in rates
        for rate, count in zip(row, more.tolist(), strict=True)
    )
