"""Audacity's label track: start, end and text, separated by tabs; times to the microsecond."""

from __future__ import annotations

from rlld.errors import RlldError
from rlld.export.lanes import lane_name, lane_of, lanes, marked, number, numbered, one_line, ticks
from rlld.parsing.result import Event, Parse

SUFFIX = "txt"
MANY = False
RATE = 1_000_000
"""Ticks per second; Audacity writes six decimals."""


def dumps(parse: Parse) -> str:
    """Returns a label track, a label for each audible or visible event: ``audio: Dog``."""
    rows = []
    for event in lanes(parse):
        first, last = (f"{tick // RATE}.{tick % RATE:06}" for tick in ticks(event, RATE))
        rows.append(f"{first}\t{last}\t{one_line(lane_name(event))}\n")
    return "".join(rows)


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads a label track; the range of frequencies that a label may have is passed over.

    Args:
        text: The text that ``dumps`` or Audacity wrote.
        where: Its file, for messages; its name may say the modality.

    Returns:
        The events of one clip, which is not named: under ``""``.

    Raises:
        RlldError: If a line is no label, or a label has no length, class or modality.
    """
    events = []
    for line, row in numbered(text):
        if not row.strip() or row.startswith("\\"):
            continue
        cells = row.split("\t", 2)
        place = f"{where}:{line}"
        if len(cells) < 3:
            raise RlldError(
                f"{place}: found {row[:80]!r}, expected start, end and text, separated by tabs; "
                "correct it"
            )
        start, end = (number(cell, place) for cell in cells[:2])
        modality, label = lane_of(cells[2], where, place)
        events.append(marked(label, modality, start, end, place))
    return {"": tuple(events)}
