"""Events with times, as people write them down who have watched a clip."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rlld.data.tags.classes import said, split_tags
from rlld.data.tags.columns import clip_column
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import homes_of, read_sheet_of
from rlld.data.tags.sheet import Row, Sheet
from rlld.errors import RlldError, listed
from rlld.types import MODALITIES

NAMES = {
    "class": ("class", "event_labels", "event_label", "label", "event", "tag", "category"),
    "modality": ("modality", "track", "channel", "where"),
    "onset": ("onset", "start", "begin", "from", "start_s", "start_seconds"),
    "offset": ("offset", "end", "stop", "to", "until", "end_s", "end_seconds"),
}
"""What the columns may be called."""
HEARD = ("audio", "audible", "heard", "hear", "sound", "a")
SEEN = ("visual", "visible", "seen", "see", "video", "picture", "v")
DERIVED = "audio_visual"
"""How a parse calls events that are both, beside the audible and the visible ones."""
BOTH = (
    DERIVED,
    "audio-visual",
    "audiovisual",
    "audio visual",
    "both",
    "av",
    "heard and seen",
)
TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?|[.,]\d+)\s*s?")
"""Seconds, minutes and seconds, or hours before them."""


class Marked(NamedTuple):
    """An event that somebody marked.

    Attributes:
        video: Id of the clip.
        label: Its class, as it is spelled.
        modality: ``audio`` or ``visual``.
        onset: Start in seconds.
        offset: End in seconds, exclusive.
        place: File and line, for messages.
    """

    video: str
    label: str
    modality: str
    onset: float
    offset: float
    place: str


@dataclass(frozen=True)
class Events:
    """Events of clips.

    Attributes:
        rows: The events.
        videos: Clips that were watched; one without a row in ``rows`` has no event.
        strangers: Names that mean no clip.
        notes: How the files were read.
    """

    rows: tuple[Marked, ...]
    videos: frozenset[str]
    strangers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_events(paths: Sequence[Path], names: ClipNames) -> Events:
    """Reads events: columns for the clip, the class, audio or visual, start and end.

    Args:
        paths: The files, tables of any kind that tags are read from. One without a column that
            says audio or visual says so by its name (``audio.csv``). A clip with nothing to be
            heard or seen has a row without class.
        names: The clips.

    Raises:
        RlldError: If a file cannot be read, lacks a column, or holds what is no time or modality.
    """
    rows: list[Marked] = []
    videos: set[str] = set()
    strangers: dict[str, None] = {}
    notes: list[str] = []
    for path in paths:
        table = read_table(path, names, NAMES)
        notes += table.notes
        strangers |= dict.fromkeys(table.strangers)
        videos |= {video for _, video in table.rows}
        rows += _without_derived(path, table)
    return Events(tuple(rows), frozenset(videos), tuple(strangers), tuple(notes))


@dataclass(frozen=True)
class Table:
    """A table whose rows say something of clips.

    Attributes:
        rows: Its rows, each with the clip that it names.
        columns: The column of each role.
        strangers: Names that mean no clip.
        notes: How it was read.
    """

    rows: Sequence[tuple[Row, str]]
    columns: dict[str, int]
    strangers: Sequence[str]
    notes: Sequence[str]


def read_table(
    path: Path, names: ClipNames, roles: Mapping[str, Sequence[str]], spare: Collection[str] = ()
) -> Table:
    """Reads a table of clips.

    Args:
        path: A table of any kind that tags are read from.
        names: The clips.
        roles: What each column but that of the clips may be called, in small letters.
        spare: Roles that a table may do without.

    Raises:
        RlldError: If it cannot be read, lacks a column, or none names clips.
    """
    sheet = read_sheet_of(path, names)
    clip, columns, first = _columns_of(sheet, names, roles, spare)
    rows, strangers = homes_of(path, sheet.rows[first:], clip, names)
    return Table(rows, columns, strangers, (*sheet.notes, *_namesakes(path, rows, clip, names)))


def _namesakes(
    path: Path, rows: Sequence[tuple[Row, str]], clip: int, names: ClipNames
) -> list[str]:
    """Says of which clips a file name may have been meant instead, that no row names.

    The table of a parse calls a clip by its file name alone, in whatever folder it lies.
    """
    named = {video for _, video in rows}
    found: dict[str, str] = {}
    for row, video in rows:
        name = row.text(clip)
        others = [names.paths[each] for each in names.called(name) if each not in named]
        if others:
            found[name] = f"{name!r} is taken for {names.paths[video]!r}, not {listed(others)}"
    if not found:
        return []
    told = listed(list(found.values()))
    return [f"{path.name}: {told}: where another one is meant, write its folder before the name"]


def _columns_of(
    sheet: Sheet, names: ClipNames, roles: Mapping[str, Sequence[str]], spare: Collection[str]
) -> tuple[int, dict[str, int], int]:
    """Returns the column of the clips, those of the rest, and the first row that is no header.

    Args:
        sheet: The table.
        names: The clips.
        roles: What each of the other columns may be called, in small letters; the modality may
            be said by the name of the file instead.
        spare: Roles that a table may do without.

    Raises:
        RlldError: If a column is missing, or none names clips.
    """
    if not sheet.rows:
        raise RlldError(f"{sheet.path}: holds no rows; expected a header and rows below it")
    head = sheet.header or tuple(sheet.rows[0].text(at) for at in range(sheet.width))
    called = [name.strip().lower().replace(" ", "_") for name in head]
    found = {
        role: called.index(name)
        for role, known in roles.items()
        if (name := next((name for name in known if name in called), None)) is not None
    }
    if "modality" not in found and modality_named(sheet.path):
        found["modality"] = -1
    needed = [role for role in roles if role not in spare]
    if missing := [role for role in needed if role not in found]:
        raise RlldError(
            f"{sheet.path}: has no column {' and no column '.join(missing)}, found "
            f"{', '.join(map(repr, head))[:120]}; expected a header such as clip, "
            f"{', '.join(needed)}"
        )
    given = {at: role for role, at in found.items()}
    return clip_column(sheet, names, given), found, 0 if sheet.header else 1


def modality_named(path: Path) -> str:
    """Returns the modality that the name of a file says (``dogs_audio.txt``), or nothing."""
    words = [name for name in MODALITIES if name in path.stem.lower()]
    return words[0] if len(words) == 1 else ""


def class_in(cell: str, place: str) -> str | None:
    """Returns the only class that a cell names, None where it names none.

    Raises:
        RlldError: If it names several.
    """
    labels = said(split_tags(cell))
    if labels and len(labels) > 1:
        raise RlldError(f"{place}: {cell!r} names several classes; give each a row of its own")
    return labels[0] if labels else None


def modalities_in(path: Path, row: Row, column: int) -> tuple[str, ...]:
    """Returns the modalities that a row speaks of.

    Args:
        path: The file, whose name says it where ``column`` is -1.
        row: The row.
        column: Where it stands.

    Raises:
        RlldError: If it is no modality.
    """
    word = row.text(column) if column >= 0 else modality_named(path)
    modalities = modalities_of(word.lower())
    if not modalities:
        raise RlldError(
            f"{path}:{row.line}: modality is {word!r}, expected audio, visual or both; correct it"
        )
    return modalities


def _without_derived(path: Path, table: Table) -> list[Marked]:
    """Returns the events of a table, but for those that follow from others.

    In the table of a parse audio-visual events follow from audible and visible ones at the same
    time, which may have been corrected since.
    """
    column = table.columns["modality"]
    found: dict[bool, list[Marked]] = {False: [], True: []}
    for row, video in table.rows:
        derived = column >= 0 and row.text(column).lower() == DERIVED
        found[derived] += _events(path, row, video, table.columns)
    single: dict[tuple[str, str], list[Marked]] = defaultdict(list)
    for event in found[False]:
        single[event.video, event.label].append(event)
    alone = (
        event
        for event in found[True]
        if not any(
            other.onset < event.offset and event.onset < other.offset
            for other in single[event.video, event.label]
        )
    )
    return [*found[False], *alone]


def _events(path: Path, row: Row, video: str, columns: dict[str, int]) -> list[Marked]:
    place = f"{path}:{row.line}"
    label = class_in(row.text(columns["class"]), place)
    if label is None:
        return []
    modalities = modalities_in(path, row, columns["modality"])
    times = [row.text(columns[role]) for role in ("onset", "offset")]
    onset, offset = map(seconds_of, times)
    if onset is None or offset is None:
        wrong = times[0] if onset is None else times[1]
        raise RlldError(f"{place}: {wrong!r} is no time; expected seconds, or minutes:seconds")
    if offset <= onset:
        raise RlldError(
            f"{place}: the event ends at {times[1]} and begins at {times[0]}; correct it"
        )
    return [Marked(video, label, modality, onset, offset, place) for modality in modalities]


def modalities_of(word: str) -> tuple[str, ...]:
    """Returns what a word in small letters says: ``heard``, ``visible``, ``both``, or nothing."""
    if word in BOTH:
        return MODALITIES
    return tuple(
        name for name, known in zip(MODALITIES, (HEARD, SEEN), strict=True) if word in known
    )


def seconds_of(text: str) -> float | None:
    """Returns a time in seconds, None for what is no time.

    Examples:
        >>> seconds_of("2.5"), seconds_of("2,5 s"), seconds_of("1:02.5"), seconds_of("1:00:00")
        (2.5, 2.5, 62.5, 3600.0)
        >>> seconds_of("soon")
    """
    found = TIME.fullmatch(text.strip().lower())
    if found is None:
        return None
    hours, minutes, seconds = (float((part or "0").replace(",", ".")) for part in found.groups())
    whole = 3600 * hours + 60 * minutes + seconds
    return whole if math.isfinite(whole) else None
