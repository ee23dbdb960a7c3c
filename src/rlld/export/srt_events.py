"""SubRip subtitles (.srt), which every player shows: ``[audible] Dog``; times in milliseconds."""

from __future__ import annotations

from rlld.errors import RlldError
from rlld.export.lanes import clock, clocked, lane_of, lanes, marked, numbered, one_line, ticks
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES

SUFFIX = "srt"
MANY = False
RATE = 1000
"""Ticks per second."""
ARROW = "-->"


def dumps(parse: Parse) -> str:
    """Returns numbered subtitles, one for each event."""
    parts = []
    for number, event in enumerate(lanes(parse), 1):
        first, last = (clock(tick, ",") for tick in ticks(event, RATE))
        said = f"[{NAMES[event.modality]}] {one_line(event.label)}"
        parts.append(f"{number}\n{first} {ARROW} {last}\n{said}\n")
    return "\n".join(parts)


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads subtitles; one of several lines is several events.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality.

    Returns:
        The events of one clip, which is not named: under ``""``.

    Raises:
        RlldError: If a subtitle has no time, class or modality.
    """
    events: list[Event] = []
    times: tuple[float, float] | None = None
    for line, row in numbered(text):
        place = f"{where}:{line}"
        if not row.strip():
            times = None
        elif times is not None:
            modality, label = lane_of(row, where, place)
            events.append(marked(label, modality, *times, place))
        elif ARROW in row:
            first, _, rest = row.partition(ARROW)
            times = clocked(first, place), clocked((rest.split() or [""])[0], place)
        elif not row.strip().isdecimal():
            raise RlldError(
                f"{place}: found {row[:80]!r}, expected the number of a subtitle, or its times "
                "(00:00:01,000 --> 00:00:02,000)"
            )
    return {"": tuple(events)}
