"""Other worlds than LLP: noise of other kinds, more or fewer classes, a track without features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

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

Noise = Literal["llp", "mirrored", "both", "none", "nobody"]
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
            ten times as many as in LLP are neither seen nor heard.
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
