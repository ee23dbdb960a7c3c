"""The packaged table: how many tags of a class are wrong in a track, by data set."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from rlld.data.rates.annotated import KnownTag

FILE_NAME = "rates.csv"
COLUMNS = ("source", "class", "tags", "not_heard", "not_seen", "licence")
SAME = 0.8
"""A data set that spells so many of its classes as a source does is taken to be that source."""

Origin = Literal["heard", "seen", "unknown"]


@dataclass(frozen=True)
class Source:
    """A data set whose annotation was counted.

    Attributes:
        name: Its name in the table.
        citation: Who made it.
        licence: Licence of its annotation, as found.
        tags: Where its tags come from: tags that somebody gave by listening are seldom wrong for
            the sound track, whatever the class.
        strength: At most so many tags does a row of it count for, by modality (audio, visual): a
            class is alike in two data sets, not equal. What `rlld bench rates` shows of the
            others led to these numbers.
    """

    name: str
    citation: str
    licence: str
    tags: Origin
    strength: tuple[float, float]


SOURCES = {
    source.name: source
    for source in (
        Source(
            "LFAV",
            "Hou et al., Towards Long Form Audio-visual Video Understanding, 2023: training videos",
            "MIT (LICENSE file), CC BY-NC 4.0 (README)",
            "unknown",
            (10.0, 100.0),
        ),
        Source(
            "VGGSounder",
            "Zverev et al., VGGSounder, 2025: test clips of VGGSound",
            "Apache-2.0",
            "heard",
            (20.0, 5.0),
        ),
        Source(
            "LLP",
            "Tian et al., Unified Multisensory Perception, 2020: validation and test videos",
            "none stated",
            "heard",
            (20.0, 100.0),
        ),
    )
}


class Row(NamedTuple):
    """A class of a data set.

    Attributes:
        source: Name of the data set.
        label: The class as it is spelled there.
        tags: Tags of it of which both tracks were judged.
        not_heard: Of these, the event is not heard.
        not_seen: The event is not seen.
    """

    source: str
    label: str
    tags: int
    not_heard: int
    not_seen: int

    @property
    def absent(self) -> tuple[int, int]:
        """Wrong tags by modality: audio, visual."""
        return self.not_heard, self.not_seen


def counted(source: str, tags: Iterable[KnownTag]) -> list[Row]:
    """Counts known tags by class, sorted by name."""
    counts: dict[str, list[int]] = {}
    for tag in tags:
        count = counts.setdefault(tag.label, [0, 0, 0])
        count[0] += 1
        count[1] += not tag.heard
        count[2] += not tag.seen
    return [Row(source, label, *counts[label]) for label in sorted(counts)]


@cache
def load_table() -> tuple[Row, ...]:
    """Reads the table that the package ships."""
    text = files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8")
    return tuple(
        Row(row["source"], row["class"], *(int(row[name]) for name in COLUMNS[2:5]))
        for row in csv.DictReader(io.StringIO(text, newline=""))
    )


def table_text(rows: Iterable[Row]) -> str:
    """Returns rows as the file holds them, each with the licence of its source."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([*row, SOURCES[row.source].licence] for row in rows)
    return out.getvalue()


def taken_for(name: str, classes: Sequence[str], table: Collection[Row]) -> list[Source]:
    """Returns the sources that a data set is, or is drawn from; they tell nothing new of it.

    Args:
        name: Name of the data set; ``my-lfav`` is LFAV, however it spells its classes.
        classes: Its classes.
        table: The rows to judge by.
    """
    named = [each for each in SOURCES.values() if each.name.casefold() in name.casefold()]
    return named or [each for each in SOURCES.values() if _spells(classes, each.name, table)]


def _spells(classes: Sequence[str], source: str, table: Collection[Row]) -> bool:
    own = {row.label for row in table if row.source == source}
    return sum(label in own for label in classes) >= SAME * len(classes)
