"""How likely a class is, given its scores in a collection: two bells of one width.

The scores of a class are taken for those of segments without it and of segments with it, each
normally distributed, with one spread, so that the probability rises with the score. What is known
of some segments is left as it is; for the rest the classic steps of expectation and maximisation
find middles, spread and share, starting from what is believed before any score was seen. A small
collection so stays near that belief, a large one speaks for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlld.open_classes.similarities import Array

STEPS = 40
STARTS = (0.03, 0.1, 0.3, 0.5)
"""Shares of the segments, those of the highest scores, that are taken for a class at first; of
what is reached from each of them the best is kept."""
CERTAIN = 60.0
"""Logarithm of the odds of what is as good as certain."""
QUARTILES = 1.349
"""Spreads of a normal distribution between its quartiles."""
NEAREST = 1.0
"""Spreads that the two middles are apart at least: else both bells may be one and the same."""


@dataclass(frozen=True)
class Belief:
    """What is believed of scores, in spreads of all scores of a track around their median.

    Attributes:
        absent: Middle of the scores of a class in segments without it.
        present: The same in segments with it.
        spread: Of both.
        strength: Segments that this belief is worth.
    """

    absent: float = 0.0
    present: float = 2.5
    spread: float = 1.0
    strength: float = 100.0


@dataclass(frozen=True)
class Bells:
    """What scores mean, by class.

    Attributes:
        absent: Middles of scores of segments without the class (C,).
        present: The same with it (C,).
        spread: Of both (C,).
        share: Of the segments with the class among all (C,).
    """

    absent: Array
    present: Array
    spread: Array
    share: Array

    def odds(self, scores: Array) -> Array:
        """Returns the logarithm of the odds of classes in segments (..., C), at most 60 either way.

        Args:
            scores: (..., C).
        """
        middle = (self.absent + self.present) / 2
        slope = (self.present - self.absent) / self.spread**2
        odds = slope * (scores - middle) + np.log(self.share) - np.log1p(-self.share)
        result: Array = np.clip(odds, -CERTAIN, CERTAIN)
        return result

    def probability(self, scores: Array) -> Array:
        """Returns how likely classes are in segments.

        Args:
            scores: (..., C).

        Returns:
            (..., C) in (0, 1); 0 where a score is NaN.
        """
        result: Array = np.nan_to_num(1 / (1 + np.exp(-self.odds(scores))))
        return result


def fit(
    scores: Array, share: Array, known: Array | None = None, belief: Belief = Belief()
) -> Bells:
    """Finds what scores mean.

    Args:
        scores: Of all segments of a collection (R, C); rows of NaN count for nothing.
        share: Believed share of the segments that hold each class (C,), in (0, 1).
        known: 1 where a segment is known to hold a class, 0 where it is known not to, NaN where
            nothing is known (R, C); nothing anywhere when None.
        belief: What is believed of scores.
    """
    there = ~np.isnan(scores).any(1)
    values = scores[there]
    told = np.full(values.shape, np.nan) if known is None else known[there]
    middle = middles(values, belief)
    before = _Before(share, middle, _unit(values, middle), belief)
    fits = [_fitted(values, told, start, before) for start in STARTS]
    best = np.argmax([before.fitness(values, told, bells) for bells in fits], axis=0)
    columns = np.arange(scores.shape[1])
    parts = ("absent", "present", "spread", "share")
    return Bells(*(np.stack([getattr(each, p) for each in fits])[best, columns] for p in parts))


def _fitted(values: Array, told: Array, start: float, before: _Before) -> Bells:
    """Returns the bells that are reached from taking the highest scores for those of the class."""
    highest = np.quantile(values, 1 - start, axis=0) if len(values) else before.middle
    guess = np.where(np.isnan(told), values > highest, told)
    for _ in range(STEPS):
        bells = before.bells(values, guess)
        guess = np.where(np.isnan(told), bells.probability(values), told)
    return bells


@dataclass(frozen=True)
class _Before:
    """What is believed of every class before its scores are looked at, in their own unit."""

    share: Array
    middle: Array
    unit: float
    belief: Belief

    def bells(self, values: Array, guess: Array) -> Bells:
        """Returns the bells that fit best, given how likely each segment holds each class."""
        held, free = guess.sum(0), (1 - guess).sum(0)
        absent, present, worth = self._told()
        absent = (((1 - guess) * values).sum(0) + worth[0] * absent) / (free + worth[0])
        present = ((guess * values).sum(0) + worth[1] * present) / (held + worth[1])
        squares = (1 - guess) * (values - absent) ** 2 + guess * (values - present) ** 2
        count = len(values) + self.belief.strength
        wide = self.belief.strength * (self.belief.spread * self.unit) ** 2
        spread = np.sqrt((squares.sum(0) + wide) / count)
        present = np.maximum(present, absent + NEAREST * spread)
        return Bells(absent, present, spread, (held + self.belief.strength * self.share) / count)

    def fitness(self, values: Array, told: Array, bells: Bells) -> Array:
        """Returns how well bells fit scores and belief (C,), as the logarithm of a density."""
        absent, present, worth = self._told()
        at = np.log(1 - bells.share) - (values - bells.absent) ** 2 / (2 * bells.spread**2)
        there = np.log(bells.share) - (values - bells.present) ** 2 / (2 * bells.spread**2)
        both = np.where(np.isnan(told), np.logaddexp(at, there), np.where(told > 0, there, at))
        off = worth[0] * (bells.absent - absent) ** 2 + worth[1] * (bells.present - present) ** 2
        wide = self.belief.strength * (self.belief.spread * self.unit) ** 2
        shares = worth[1] * np.log(bells.share) + worth[0] * np.log(1 - bells.share)
        count = len(values) + self.belief.strength
        narrow = count * np.log(bells.spread) + (off + wide) / (2 * bells.spread**2)
        result: Array = both.sum(0) + shares - narrow
        return result

    def _told(self) -> tuple[Array, Array, tuple[Array, Array]]:
        """Returns the middles that are believed in, and the segments that either is worth."""
        strength = self.belief.strength
        absent = self.middle + self.belief.absent * self.unit
        present = self.middle + self.belief.present * self.unit
        return absent, present, (strength * (1 - self.share), strength * self.share)


def middles(scores: Array, belief: Belief = Belief()) -> Array:
    """Returns where the scores of each class lie without it (C,).

    Most segments lack a class, so that the median of its scores is theirs; in a small collection
    it leans to the median of all classes.

    Args:
        scores: (R, C); rows of NaN count for nothing.
        belief: How much it leans.
    """
    values = scores[~np.isnan(scores).any(1)]
    if not len(values):
        return np.zeros(scores.shape[1])
    count = len(values)
    middle: Array = count * np.median(values, axis=0) + belief.strength * np.median(values)
    return middle / (count + belief.strength)


def _unit(values: Array, middle: Array) -> float:
    """Returns one spread of the scores of all classes around their middles."""
    if not len(values):
        return 1.0
    low, high = np.quantile(values - middle, (0.25, 0.75))
    return float(high - low) / QUARTILES or 1.0
