"""RTTM, the lines of speaker diarisation: the class as speaker, channel 1 heard, channel 2 seen.

Times are in milliseconds. A name has no blank, so that ``_`` stands for one.
"""

from __future__ import annotations

import re

from rlld.errors import RlldError
from rlld.export.lanes import lanes, marked, number, numbered, ticks
from rlld.parsing.result import Event, Parse
from rlld.types import Modality

SUFFIX = "rttm"
MANY = True
RATE = 1000
"""Ticks per second."""
FIELDS = 9
NONE = "<NA>"
CHANNELS: dict[str, Modality] = {"1": "audio", "2": "visual"}


def dumps(*parses: Parse) -> str:
    """Returns a line for each audible or visible event."""
    rows, channels = [], {modality: channel for channel, modality in CHANNELS.items()}
    for parse in parses:
        for event in lanes(parse):
            first, last = ticks(event, RATE)
            times = _seconds(first), _seconds(last - first)
            names = NONE, NONE, _joined(event.label), f"{event.confidence:.3f}", NONE
            channel = channels[event.modality]
            rows.append(" ".join(("SPEAKER", _joined(parse.name), channel, *times, *names)) + "\n")
    return "".join(rows)


def _seconds(tick: int) -> str:
    return f"{tick // RATE}.{tick % RATE:03}"


def _joined(name: str) -> str:
    return re.sub(r"\s", "_", name)


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads the ``SPEAKER`` lines; others and remarks are passed over.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages.

    Returns:
        The events by clip.

    Raises:
        RlldError: If a line is too short, or a channel, time or confidence is none.
    """
    found: dict[str, list[Event]] = {}
    for line, row in numbered(text):
        cells = row.split()
        if not cells or cells[0] != "SPEAKER":
            continue
        place = f"{where}:{line}"
        if len(cells) < FIELDS:
            raise RlldError(
                f"{place}: found {len(cells)} fields, expected {FIELDS} or 10 (SPEAKER clip "
                f"channel onset duration {NONE} {NONE} class confidence {NONE}); correct it"
            )
        if cells[2] not in CHANNELS:
            raise RlldError(
                f"{place}: found channel {cells[2]!r}, expected 1 for what is heard or 2 for what "
                "is seen; correct it"
            )
        start, length = number(cells[3], place), number(cells[4], place)
        sure = 1.0 if cells[8] == NONE else number(cells[8], place)
        end = round(start + length, 9)  # 0.1 + 0.2 are 0.3 s
        event = marked(cells[7], CHANNELS[cells[2]], start, end, place, sure)
        found.setdefault(cells[1], []).append(event)
    return {name: tuple(events) for name, events in found.items()}
