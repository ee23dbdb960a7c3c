"""Event classes: the only class list of the package, and how to bring another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rlld.errors import RlldError, nearest, visible

MOST = 10_000
"""Classes of a data set; every map of every video is as wide."""


@dataclass(frozen=True)
class Taxonomy:
    """An ordered list of event classes; the position of a class is its index in every tensor.

    Attributes:
        classes: Class names, unique and non-empty.

    Raises:
        RlldError: If a name is empty, holds a tab, comma, line end or hidden character, or occurs
            twice, or if there are none or too many.
    """

    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= MOST:
            raise RlldError(
                f"a taxonomy needs 1 to {MOST:,} classes, found {len(self.classes) or 'none'}"
            )
        for name in self.classes:
            if not name or name != name.strip() or any(mark in name for mark in ",\t\r\n"):
                raise RlldError(
                    f"class name {name!r} cannot be used: names are non-empty and hold no comma, "
                    "tab, line end or outer space"
                )
            if visible(name) != name:
                raise RlldError(f"class name {name!r} cannot be used: it holds hidden characters")
        if len(set(self.classes)) != len(self.classes):
            (twice, _), *_ = Counter(self.classes).most_common(1)
            raise RlldError(f"class {twice!r} is listed twice; class names must be unique")

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Returns the index of a class.

        Raises:
            RlldError: If there is no class of that name; the message offers the nearest one.

        Examples:
            >>> LLP.index("Dog")
            3
            >>> Taxonomy(("Crow", "Owl")).index("Crew")
            Traceback (most recent call last):
            ...
            rlld.errors.RlldError: unknown class 'Crew'; did you mean 'Crow'?
        """
        try:
            return self.classes.index(name)
        except ValueError:
            raise RlldError(f"unknown class {name!r}{nearest(name, self.classes)}") from None

    def indices(self, names: Iterable[str]) -> list[int]:
        """Returns the indices of several classes, in the order given."""
        return [self.index(name) for name in names]


LLP = Taxonomy(
    (
        "Speech",
        "Car",
        "Cheering",
        "Dog",
        "Cat",
        "Frying_(food)",
        "Basketball_bounce",
        "Fire_alarm",
        "Chainsaw",
        "Cello",
        "Banjo",
        "Singing",
        "Chicken_rooster",
        "Violin_fiddle",
        "Vacuum_cleaner",
        "Baby_laughter",
        "Accordion",
        "Lawn_mower",
        "Motorcycle",
        "Helicopter",
        "Acoustic_guitar",
        "Telephone_bell_ringing",
        "Baby_cry_infant_cry",
        "Blender",
        "Clapping",
    )
)
"""The 25 classes of LLP in the published order."""
