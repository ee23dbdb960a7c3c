"""Other worlds than LLP: noise of other kinds, more or fewer classes, a track without features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from rlld.data.rates.likes import likes_of
from rlld.data.rates.table import SOURCES, load_table
from rlld.errors import RlldError
from rlld.synthetic.features.presets import CONFUSED
from rlld.synthetic.features.statistics import (
    LabelStatistics,
    Table,
    load_statistics,
    restrict,
    taken,
)
from rlld.taxonomy import LLP

Noise = Literal["llp", "mirrored", "both", "none", "nobody", "lfav", "vggsounder"]
TABLES = {name.casefold(): name for name in SOURCES if name != "LLP"}
"""Data sets whose counted rates may be the noise, by the word for it."""
Missing = Literal["none", "audio", "visual"]

MOST_CLASSES = 1000
NOBODY = 10
"""How many times as many tags are seen and heard by nobody where that is the noise."""


@dataclass(frozen=True)
class Conditions:
    """What a simulated data set is like besides its sizes; the defaults are LLP.

    Attributes:
        noise: Which tags are wrong: as in ``llp``, where most of them are not seen; ``mirrored``,
            where they are not heard instead; ``both``, where as many are not heard as not seen;
            ``none``, where every tag is seen and heard and no event lacks one; ``nobody``, where
            ten times as many as in LLP are neither seen nor heard; ``lfav`` and ``vggsounder``,
            where classes have the rates that these data sets have for them, and one without a
            counterpart there those of another.
        classes: How many; the first of LLP, and beyond its 25 others that occur alike.
        missing: A track whose features are all zeros, as if they had been lost.

    Raises:
        RlldError: If a value is out of range.
    """

    noise: Noise = "llp"
    classes: int = len(LLP)
    missing: Missing = "none"

    def __post_init__(self) -> None:
        for name, found, known in (
            ("noise", self.noise, get_args(Noise)),
            ("missing", self.missing, get_args(Missing)),
        ):
            if found not in known:
                raise RlldError(f"{name}: expected one of {', '.join(known)}, found {found!r}")
        if not 2 <= self.classes <= MOST_CLASSES:
            raise RlldError(f"classes: expected 2 to {MOST_CLASSES}, found {self.classes}")

    def __str__(self) -> str:
        """Returns the options that differ from the defaults, as they are typed."""
        standard = Conditions()
        options = {name: getattr(self, name) for name in ("noise", "classes", "missing")}
        return "".join(
            f" --{name} {value}"
            for name, value in options.items()
            if value != getattr(standard, name)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The classes: LLP's, then ``Speech_2``, ``Car_2`` and so on."""
        copies = (divmod(number, len(LLP)) for number in range(self.classes))
        return tuple(
            LLP.classes[label] + (f"_{copy + 1}" if copy else "") for copy, label in copies
        )

    @property
    def source(self) -> str:
        """Whose rates of wrong tags these are, empty where the names of the classes tell LLP's.

        The data set bears it in its name, so that it borrows no rates of its own.
        """
        if self.noise in TABLES:
            return self.noise
        return "llp" if self.classes > len(LLP) else ""

    @property
    def groups(self) -> list[list[int]]:
        """Indices of classes that look or sound alike."""
        place = {name: number for number, name in enumerate(self.names)}
        copies = ["", *(f"_{copy + 1}" for copy in range(1, -(-self.classes // len(LLP))))]
        found = [
            [place[name + copy] for name in group if name + copy in place]
            for copy in copies
            for group in CONFUSED
        ]
        return [group for group in found if len(group) > 1]

    def statistics(self) -> LabelStatistics:
        """Returns what labels and events are drawn from; mirroring comes after that."""
        known = load_statistics()
        if self.classes <= len(LLP):
            known = restrict(known, self.names)
        else:
            index = [number % len(LLP) for number in range(self.classes)]
            known = taken(known, index, self.names)
        if self.noise in TABLES:
            rates = _rates(TABLES[self.noise], self.names)
            pairs = zip(known.states, rates, strict=True)
            return replace(known, states=tuple(_with_rates(table, rate) for table, rate in pairs))
        known = replace(known, states=tuple(_noisy(table, self.noise) for table in known.states))
        if self.noise == "none":
            known = replace(known, extra_number=(sum(known.extra_number),))
        return known


def _noisy(table: Table, noise: Noise) -> Table:
    """Returns the states of a class (3, 4) under other noise; columns are those of ``STATES``."""
    counts = np.asarray(table)
    tags = counts.sum(1)
    if noise == "none":
        counts = np.stack([tags, 0 * tags, 0 * tags, 0 * tags], 1)
    elif noise == "both":
        nobody = counts[:, 3]
        alone = np.minimum(counts[:, 1:3].max(1), (tags - nobody) // 2)
        counts = np.stack([tags - nobody - 2 * alone, alone, alone, nobody], 1)
    elif noise == "nobody":
        counts = counts * (1, 1, 1, NOBODY)
    return tuple(tuple(row) for row in counts.tolist())


def _rates(source: str, names: tuple[str, ...]) -> list[tuple[float, float]]:
    """Returns what a source counts for each class: shares that are not heard and not seen."""
    rows = [row for row in load_table() if row.source == source]
    found = []
    for number, name in enumerate(names):
        # Whoever has no counterpart takes the rows in turn, so that the rates are spread alike.
        own = [like.row for like in likes_of(name, rows)] or [rows[7 * number % len(rows)]]
        tags = sum(row.tags for row in own)
        heard, seen = (sum(row.absent[modality] for row in own) / tags for modality in (0, 1))
        found.append((heard, seen))
    return found


MANY = 10_000
"""Tags by which the states of a class are written, so that rounding does not show."""


def _with_rates(table: Table, rates: tuple[float, float]) -> Table:
    """Returns the states of a class (3, 4) with given shares not heard and not seen.

    Iterative proportional fitting: heard and seen stay as dependent on each other as they were.
    """
    absent = np.clip(rates, 1e-4, 1 - 1e-4)
    counts = np.asarray(table, float)
    pooled = counts.sum(0) + 1
    rows = []
    for own in counts:
        both, audio, visual, neither = (own + pooled / pooled.sum() + 1e-3).tolist()
        joint = np.array([[both, audio], [visual, neither]])  # heard or not, seen or not
        for _ in range(200):
            joint *= (np.array([1 - absent[0], absent[0]]) / joint.sum(1))[:, None]
            joint *= np.array([1 - absent[1], absent[1]]) / joint.sum(0)
        rows.append(tuple(np.round(MANY * joint).astype(int).ravel().tolist()))
    return tuple(rows)
