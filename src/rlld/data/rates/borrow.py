"""What the classes of other data sets tell of the classes of one without annotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlld.data.rates.likes import Like, likes_of
from rlld.data.rates.table import SOURCES, Origin, Row, load_table, taken_for
from rlld.types import MODALITIES

CAP = 0.5
"""Of a rate that was borrowed for tags of which nobody knows how they were found."""
CLEAR = {"heard": "audio", "seen": "visual"}
"""The track in which tags are right that were found so."""
SHOWN = 3
LEAST = 20
"""Tags of a class from which on its rate counts for the classes that nobody counted."""


@dataclass(frozen=True)
class Rate:
    """The share of a class's tags that is taken to be wrong in a track.

    Attributes:
        share: In [0, 1].
        because: Where it comes from, for the reader.
    """

    share: float
    because: str


@dataclass(frozen=True)
class Beta:
    """How rates are distributed over classes.

    Attributes:
        wrong: Its first parameter: wrong tags seen before any.
        right: Its second: right ones.
    """

    wrong: float
    right: float

    def after(self, wrong: float, right: float) -> Beta:
        """Returns what is believed after some tags were seen."""
        return Beta(self.wrong + wrong, self.right + right)

    def median(self, below: float = 1.0) -> float:
        """Returns the median of what lies below a bound; half a chance of removing too many.

        Args:
            below: The bound, in (0, 1].
        """
        # In log odds the density has no pole, whatever the parameters.
        highest = 60.0 if below >= 1 else float(np.log(below / (1 - below)))
        odds = np.linspace(min(-60.0, highest - 60), highest, 24_001)
        shares = 1 / (1 + np.exp(-odds))
        wrong, right = np.logaddexp(0, -odds), np.logaddexp(0, odds)
        density = np.exp(-self.wrong * wrong - self.right * right)
        # Half of a step lies on either side of it: beside a bound, few steps may hold everything.
        chance = np.cumsum(density) - density / 2
        if chance[-1] <= 0:
            return below
        return float(np.interp(0.5, chance / chance[-1], shares))


def fallback(rows: Sequence[Row], modality: int) -> Beta:
    """Returns the distribution of rates over the counted classes, by the method of moments.

    Args:
        rows: The classes; each source counts for as much, whatever its number of classes.
        modality: 0 audio, 1 visual.
    """
    kept = [row for row in rows if row.tags >= LEAST]
    if len(kept) < 2:
        return Beta(0.5, 2.5)
    rates = np.array([row.absent[modality] / row.tags for row in kept])
    sizes = Counter(row.source for row in kept)
    weights = np.array([1 / sizes[row.source] for row in kept])
    mean = float(np.average(rates, weights=weights))
    variance = float(np.average((rates - mean) ** 2, weights=weights))
    mean = min(max(mean, 1e-3), 1 - 1e-3)
    strength = min(max(mean * (1 - mean) / max(variance, 1e-6) - 1, 0.5), 50.0)
    return Beta(mean * strength, (1 - mean) * strength)


@dataclass(frozen=True)
class Borrowed:
    """What is believed of the classes of a data set.

    Attributes:
        beliefs: By modality and class: its distribution and where it comes from.
        start: By modality: the distribution over all counted classes.
        origin: Where the tags come from: ``heard``, ``seen``, ``unknown``.
        left_out: Sources that the data set is taken for.
    """

    beliefs: dict[str, dict[str, tuple[Beta, str]]]
    start: dict[str, Beta]
    origin: Origin
    left_out: tuple[str, ...]

    def rate(self, modality: str, label: str, below: float = 1.0) -> Rate:
        """Returns the rate of a class in a track.

        Args:
            modality: ``audio`` or ``visual``.
            label: The class.
            below: What the rate cannot exceed.
        """
        if CLEAR.get(self.origin) == modality:
            return Rate(0.0, f"its tags were {self.origin}")
        belief, because = self.beliefs[modality][label]
        share = belief.median(below)
        if self.origin == "unknown" and share > CAP:
            return Rate(CAP, f"{because}; at most {CAP:.0%} while nobody says how tags were found")
        return Rate(share, because)


def borrowed(
    name: str, classes: Sequence[str], tags: Origin = "unknown", table: Sequence[Row] | None = None
) -> Borrowed:
    """Says what other data sets tell of the classes of one.

    Args:
        name: Name of the data set.
        classes: Its classes; counts of a source that it is taken for tell nothing.
        tags: How its tags were found, where somebody says so.
        table: The counts; those that the package ships when None.
    """
    every = load_table() if table is None else table
    same = taken_for(name, classes, every)
    names = {source.name for source in same}
    rows = [row for row in every if row.source not in names]
    if tags == "unknown" and len({source.tags for source in same}) == 1:
        tags = same[0].tags
    beliefs: dict[str, dict[str, tuple[Beta, str]]] = {}
    start = {modality: fallback(rows, number) for number, modality in enumerate(MODALITIES)}
    for number, modality in enumerate(MODALITIES):
        beliefs[modality] = {
            label: _belief(start[modality], likes_of(label, rows), number) for label in classes
        }
    return Borrowed(beliefs, start, tags, tuple(sorted(names)))


def _belief(start: Beta, likes: Sequence[Like], modality: int) -> tuple[Beta, str]:
    """Adds to a fallback what the classes that one is like say; a source counts as one row."""
    if not likes:
        return start, "no counted class has a similar name; classes differ widely"
    belief, told = start, []
    for source in dict.fromkeys(like.row.source for like in likes):
        of = [like for like in likes if like.row.source == source]
        tags = sum(like.row.tags for like in of)
        wrong = sum(like.row.absent[modality] for like in of)
        weight = min(tags, SOURCES[source].strength[modality] * of[0].similarity)
        belief = belief.after(weight * wrong / tags, weight * (1 - wrong / tags))
        names = ", ".join(like.row.label for like in of[:SHOWN])
        names += " ..." if len(of) > SHOWN else ""
        told.append(f"{source} {names}: {wrong:,} of {tags:,}")
    return belief, "; ".join(told)
