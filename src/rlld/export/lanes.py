"""What formats have in common: lanes that are audible or visible, times in whole ticks, lines.

An audio-visual event is where the audible and the visible one hold together, so that only our own
formats write it: a program in which people move edges would make a third truth of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from rlld.data.tags.events import modalities_of, modality_named
from rlld.errors import RlldError
from rlld.parsing.result import Event, Parse
from rlld.types import Modality

LANE = re.compile(r"\s*(?:\[([^\]:]+)\]|([^:]+):)(.*)", re.DOTALL)
"""How a text tells its modality: ``audio: Dog``, ``[audible] Dog``."""


def lanes(parse: Parse) -> list[Event]:
    """Returns the audible and visible events, ordered by start, end, class and modality."""
    kept = [event for event in parse.events if event.modality != "audio_visual"]
    return sorted(kept, key=lambda event: (event.start, event.end, event.label, event.modality))


def lane_name(event: Event) -> str:
    """Returns what the lane of an event is called: ``audio: Dog``."""
    return f"{event.modality}: {event.label}"


def lane_of(text: str, where: str, place: str) -> tuple[Modality, str]:
    """Reads what ``lane_name`` wrote, or a person.

    Args:
        text: ``audio: Dog``, ``[visible] Dog``; ``Dog`` alone in a file whose name says audio or
            visual.
        where: The file.
        place: Where it stands, for messages.

    Raises:
        RlldError: If it tells no modality, or no class.
    """
    found = LANE.fullmatch(text)
    if found and (modality := modality_of(found[1] or found[2])):
        label = found[3]
    else:
        modality, label = cast("Modality | None", modality_named(Path(where)) or None), text
    if modality is None:
        raise RlldError(
            f"{place}: {text[:80]!r} says neither audio nor visual; write 'audio: CLASS' or "
            "'visual: CLASS', or give the file a name with one of these words"
        )
    if not label.strip():
        raise RlldError(f"{place}: {text[:80]!r} names no class; write 'audio: CLASS'")
    return modality, label.strip()


def modality_of(word: str) -> Modality | None:
    """Returns the modality that a word means, None for any other word."""
    found = modalities_of(word.strip().lower())
    return cast(Modality, "audio_visual" if len(found) > 1 else found[0]) if found else None


def ticks(event: Event, rate: float) -> tuple[int, int]:
    """Returns start and end in whole ticks, of which an event has at least one.

    Args:
        event: The event.
        rate: Ticks per second.
    """
    first = round(event.start * rate)
    return first, max(first + 1, round(event.end * rate))


def number(text: str, place: str) -> float:
    """Reads a finite number.

    Raises:
        RlldError: If it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        advice = "write a point for the comma" if "," in text else "correct it"
        raise RlldError(f"{place}: {text[:80]!r} is no number; {advice}")
    return value


def marked(
    label: str, modality: Modality, start: float, end: float, place: str, confidence: float = 1.0
) -> Event:
    """Returns an event that was read.

    Raises:
        RlldError: If its times are none, or its confidence.
    """
    if not (0 <= start < end < math.inf):
        raise RlldError(
            f"{place}: {label[:80]!r} lasts from {start:g} to {end:g} s; expected a start from 0 "
            "and an end after it: correct it, or remove it"
        )
    if not 0 <= confidence <= 1:
        raise RlldError(f"{place}: expected a confidence in [0, 1], found {confidence:g}")
    return Event(label, modality, start, end, confidence)


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text with their numbers, without their ends, however these look."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    yield from enumerate(text.split("\n"), 1)


def one_line(text: str) -> str:
    """Returns a text whose tabs and line ends are blanks."""
    return " ".join(re.split(r"[\t\r\n]+", text))
