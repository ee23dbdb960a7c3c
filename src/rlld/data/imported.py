"""Events that came back from other programs: read as a data set has them, kept in its folder.

``events.tsv`` in a data-set folder holds what was imported, so that ``rlld data new`` has it when
it makes the annotation files again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rlld.data.tags.events import Events, Marked
from rlld.errors import RlldError, listed, nearest
from rlld.types import MODALITIES
from rlld.utils.files import write_text
from rlld.utils.sheets import SheetError, read_sheet, sheet_text

FILE = "events.tsv"
"""Its name in the data-set folder."""
COLUMNS = ("video", "class", "modality", "onset", "offset")
IMPORTING = (
    ", and nothing was imported; correct it there, or give the class to a clip in its tags first"
)
BLUNT = re.compile(r"[\W_]+")
"""What programs change in a name, or people when they type it again."""


def alike(name: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the keys of those file names, or other names, that have the letters of another.

    Args:
        name: The name.
        known: What each key is called.
    """
    wanted = _blunt(name)
    return tuple(key for key, called in known.items() if wanted and _blunt(called) == wanted)


def _blunt(name: str) -> str:
    return BLUNT.sub(" ", name).strip().casefold()


def class_of(label: str, classes: Sequence[str], place: str, advice: str = IMPORTING) -> str:
    """Returns the class that a label means: by its letters and digits where not by every sign.

    Args:
        label: What a file calls it.
        classes: The classes of the data set.
        place: Where it stands, for the message.
        advice: What is said of the consequence, and what to do.

    Raises:
        RlldError: If it means none, or may mean two.
    """
    found = [label] if label in classes else alike(label, {name: name for name in classes})
    if len(found) == 1:
        return found[0]
    raise RlldError(
        f"{place}: {label!r} is no class of the data set{advice}{nearest(label, classes)}"
    )


def read_imported(folder: Path) -> dict[str, tuple[Marked, ...]]:
    """Returns the events that were imported, by video; none of a video in which nothing occurs.

    Raises:
        RlldError: If the file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    found: dict[str, list[Marked]] = {}
    try:
        for line, row in list(read_sheet(path.read_text(encoding="utf-8")))[1:]:
            video, label, modality, onset, offset = row
            events = found.setdefault(video, [])
            if label:
                if modality not in MODALITIES:
                    raise ValueError(f"line {line}: unknown modality {modality!r}")
                times = float(onset), float(offset)
                events.append(Marked(video, label, modality, *times, f"{path}:{line}"))
    except (OSError, ValueError, SheetError) as error:
        reason = error.text if isinstance(error, SheetError) else error
        raise RlldError(
            f"{path}: cannot be read ({reason}); correct it, or delete it and import again"
        ) from None
    return {video: tuple(events) for video, events in found.items()}


def write_imported(folder: Path, events: Mapping[str, Collection[Marked]]) -> None:
    """Writes the events that were imported."""
    rows = [
        row
        for video in sorted(events)
        for row in [
            (video, event.label, event.modality, repr(event.onset), repr(event.offset))
            for event in sorted(events[video])
        ]
        or [(video, "", "", "", "")]
    ]
    write_text(folder / FILE, sheet_text([COLUMNS, *rows]))


def with_imported(
    events: Events, imported: Mapping[str, tuple[Marked, ...]], videos: Collection[str]
) -> Events:
    """Returns events of tables with those that were imported, which stand where both are.

    Args:
        events: What the tables say.
        imported: What was imported.
        videos: The videos that there are.
    """
    known = {video: marks for video, marks in imported.items() if video in videos}
    if not known:
        return events
    rows = [event for event in events.rows if event.video not in known]
    rows += [event for marks in known.values() for event in marks]
    notes = [f"{FILE} holds imported events of {len(known):,} clips"]
    if both := sorted(events.videos & known.keys()):
        notes.append(
            f"{len(both):,} of these have events in the tables too, which are not used: "
            f"{listed(both[:5])}; remove their rows from {FILE} where the tables are right"
        )
    return replace(
        events,
        rows=tuple(rows),
        videos=events.videos | known.keys(),
        notes=(*events.notes, *notes),
    )
