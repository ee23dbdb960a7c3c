"""Our rule: probabilities by what scores mean in the whole collection.

Differs from AV2A's rule where that cannot be right: each sound is heard by itself, a score is
compared with the scores of its class in all clips instead of with other classes, so that an
irrelevant class moves no other, and what is heard and seen at once is what is both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.rates.borrow import borrowed
from rlld.errors import RlldError
from rlld.open_classes.mixture import Belief, Bells, fit, middles
from rlld.open_classes.similarities import Array, Found, Similarities
from rlld.types import MODALITIES
from rlld.utils.runs import runs

NAME = "open classes"
"""What the collection is called where rates are borrowed: no data set that has counted its own."""
LASTING = 0.6
"""Share of a clip, as a rule, that an event of it lasts: that of LLP."""
WIDTH = 10
"""Segments around one that are mixed into it, itself among them."""
MOST = 0.5
"""Share of the segments that a class is believed to hold at most."""


@dataclass(frozen=True)
class Calibrated:
    """Settings of the rule.

    Attributes:
        events: Classes of the list that a clip holds, as a rule, before anything is seen of it.
        around: Weight of the ten seconds around a segment in its score, in [0, 1].
        beside: Weight of each of its two neighbours in the rest, in [0, 0.5].
        common: Classes that say as much about a clip, in which all similarities are high or low,
            as the belief that there is nothing of the kind; 0 or more.
        threshold: Probability above which a segment holds a class, in [0, 1].
        again: Mean probability that an event must reach, in [0, 1].
        belief: What is believed of scores before any are seen.

    Raises:
        RlldError: If a setting is out of range.
    """

    events: float = 1.5
    around: float = 0.5
    beside: float = 0.25
    common: float = 10.0
    threshold: float = 0.35
    again: float = 0.6
    belief: Belief = field(default_factory=Belief)

    def __post_init__(self) -> None:
        limits = {"around": 1.0, "threshold": 1.0, "again": 1.0, "beside": 0.5}
        for name, most in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise RlldError(f"calibrated rule: {name} {value} is out of range; 0 to {most}")
        for name in ("events", "common"):
            value = getattr(self, name)
            if not value >= 0:
                raise RlldError(f"calibrated rule: {name} {value} is out of range; 0 or more")

    def share(self, classes: Sequence[str], modality: int) -> Array:
        """Returns the believed share of the segments that hold each class (C,).

        It is smaller where other data sets tell that the class is often not heard, or not seen.
        """
        rates = borrowed(NAME, classes)
        wrong = np.array([rates.rate(MODALITIES[modality], name).share for name in classes])
        share: Array = np.clip(LASTING * self.events / len(classes) * (1 - wrong), 1e-4, MOST)
        return share


@dataclass(frozen=True)
class Learned:
    """What the scores of a track mean in a collection.

    Attributes:
        middle: Usual similarities of the classes (C,).
        bells: What their evidence means.
        config: The settings it was learned by.
    """

    middle: Array
    bells: Bells
    config: Calibrated

    def odds(self, rows: Array) -> Array:
        """Returns the logarithm of the odds of classes (S, C), NaN where there is nothing to tell.

        Args:
            rows: Similarities of a clip in the track (S, C).
        """
        return self.bells.odds(evidence(rows, self.middle, self.config))

    def probabilities(self, rows: Array) -> Array:
        """Returns how likely classes are in the segments of a clip (S, C)."""
        return self.bells.probability(evidence(rows, self.middle, self.config))


@dataclass(frozen=True)
class Taught:
    """What scores mean in a collection whose events are known.

    Attributes:
        learned: It by track, of all classes of the list.
        classes: Which of these the collection knows (C,).
    """

    learned: tuple[Learned, Learned]
    classes: NDArray[np.bool_]


class CalibratedRule:
    """The rule for a list of classes.

    Args:
        config: Its settings.
        classes: The C class names.
        known: Of some clips, by position, which segments hold which classes (S, 2, C): 1, 0, or
            NaN where that is not known. They calibrate the scores of all.
        taught: What scores mean in another collection. Of the classes that it knows, clips then say
            nothing.
    """

    def __init__(
        self,
        config: Calibrated,
        classes: Sequence[str],
        known: Mapping[int, NDArray[Any]] | None = None,
        taught: Taught | None = None,
    ) -> None:
        self.config = config
        self.classes = classes
        self.known = known or {}
        self.taught = taught
        self._shares = [config.share(classes, modality) for modality in range(len(MODALITIES))]

    def __call__(self, clips: Sequence[Similarities]) -> list[Found]:
        """Finds the events of the clips of a collection."""
        tracks = [self._probabilities(clips, modality) for modality in range(len(MODALITIES))]
        return [self._found(heard, seen) for heard, seen in zip(*tracks, strict=True)]

    def _probabilities(self, clips: Sequence[Similarities], modality: int) -> list[Array]:
        """Returns how likely classes are in a track of each clip (S, C)."""
        rows = [clip.part(modality) for clip in clips]
        if self.taught is None:
            learned = self.learned(clips, modality)
            return [learned.probabilities(each) for each in rows]
        taught = [self.taught.learned[modality].probabilities(each) for each in rows]
        if self.taught.classes.all():
            return taught
        own = self.learned(clips, modality)
        return [
            np.where(self.taught.classes, told, own.probabilities(each))
            for told, each in zip(taught, rows, strict=True)
        ]

    def learned(self, clips: Sequence[Similarities], modality: int) -> Learned:
        """Returns what the scores of a track mean in the clips of a collection."""
        raw = [clip.part(modality) for clip in clips]
        belief = self.config.belief
        middle = middles(np.concatenate(raw), belief)
        values = [evidence(rows, middle, self.config) for rows in raw]
        told = [
            self.known[number][:, modality].astype(float)
            if number in self.known
            else np.full(rows.shape, np.nan)
            for number, rows in enumerate(values)
        ]
        bells = fit(np.concatenate(values), self._shares[modality], np.concatenate(told), belief)
        return Learned(middle, bells, self.config)

    def _found(self, heard: Array, seen: Array) -> Found:
        active = [self.events(part) for part in (heard, seen)]
        both = active[0] & active[1]
        return Found(np.stack([*active, both]), np.stack([heard, seen, np.minimum(heard, seen)]))

    def events(self, probability: Array) -> NDArray[np.bool_]:
        """Returns the runs above the threshold that are likely enough as a whole.

        Args:
            probability: How likely something is in each segment (S, ...).
        """
        active = probability > self.config.threshold
        for label in np.flatnonzero(active.any(0)):
            for start, end in runs(active[:, label]):
                if probability[start:end, label].mean() < self.config.again:
                    active[start:end, label] = False
        return active


def evidence(rows: Array, middle: Array, config: Calibrated) -> Array:
    """Returns what is compared within a collection (S, C), NaN where there is nothing.

    What all classes of a segment have in common is taken off, as far as there are enough of them to
    tell; then it is mixed with the segments around it.

    Args:
        rows: Similarities of a clip (S, C).
        middle: Usual similarities of the classes (C,).
        config: The settings.
    """
    classes = rows.shape[1]
    there = np.asarray(~np.isnan(rows).any(axis=1))
    values = np.where(there[:, None], rows, 0.0)
    shared = np.median(values - middle, axis=1, keepdims=True)
    values = values - shared * classes / (classes + config.common)
    near = _weighted(values, there, (config.beside, 1 - 2 * config.beside, config.beside))
    wide = _around(values, there)
    mixed = (1 - config.around) * near + config.around * wide
    result: Array = np.where(there[:, None], mixed, np.nan)
    return result


def _weighted(values: Array, there: NDArray[np.bool_], weights: tuple[float, ...]) -> Array:
    """Mixes each segment with its two neighbours, for which it stands in where one is missing."""
    result = weights[1] * values
    for step, weight in ((-1, weights[0]), (1, weights[2])):
        index = np.clip(np.arange(len(values)) + step, 0, len(values) - 1)
        index = np.where(there[index], index, np.arange(len(values)))
        result = result + weight * values[index]
    return result


def _around(values: Array, there: NDArray[np.bool_]) -> Array:
    """Returns the mean of the ``WIDTH`` segments around each one, of all in a shorter clip."""
    count = len(values)
    first = np.clip(np.arange(count) - WIDTH // 2, 0, max(0, count - WIDTH))
    last = np.minimum(first + WIDTH, count)
    sums = np.vstack([np.zeros(values.shape[1]), np.cumsum(values * there[:, None], 0)])
    seen = np.concatenate([[0], np.cumsum(there)])
    number = np.maximum(seen[last] - seen[first], 1)
    mean: Array = (sums[last] - sums[first]) / number[:, None]
    return mean
