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
from rlld.types import MODALITIES, Modality

FPS = 25.0
"""Frames per second where nobody says another number."""
LANE = re.compile(r"\s*(?:\[([^\]:]+)\]|([^:]+):)(.*)", re.DOTALL)
"""How a text tells its modality: ``audio: Dog``, ``[audible] Dog``."""

CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d)[.,](\d{3})")


def lanes(parse: Parse) -> list[Event]:
    """Returns the audible and visible events, ordered by start, end, class and modality."""
    kept = [event for event in parse.events if event.modality != "audio_visual"]
    return sorted(kept, key=lambda event: (event.start, event.end, event.label, event.modality))


def laid(parse: Parse) -> dict[str, list[Event]]:
    """Returns the lanes with their events by name: where there are some, or the class is known.

    A lane without events is one to draw them into; where there would be none, they are ``audio``
    and ``visual``.
    """
    names = [f"{modality}: {tag}" for tag in parse.tags or () for modality in MODALITIES]
    found: dict[str, list[Event]] = {name: [] for name in names}
    for event in lanes(parse):
        found.setdefault(lane_name(event), []).append(event)
    found = found or {modality: [] for modality in MODALITIES}
    return dict(sorted(found.items(), key=lambda lane: lane[0].partition(": ")[::-1]))


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
        modality, label = modality_of(modality_named(Path(where))), text
    if modality is None:
        raise RlldError(
            f"{place}: {text[:80]!r} says neither audio nor visual; write 'audio: CLASS' or "
            "'visual: CLASS', or give the file a name with one of these words"
        )
    if not label.strip():
        raise RlldError(f"{place}: {text[:80]!r} names no class; write 'audio: CLASS'")
    return modality, label.strip()


def lane_value(lane: str, value: str, where: str, place: str) -> tuple[Modality, str]:
    """Reads an annotation on a lane that has a name.

    Args:
        lane: The name: ``audio: Dog``, or ``audio`` where the annotation names the class.
        value: The text of the annotation.
        where: The file.
        place: Where it stands, for messages.

    Raises:
        RlldError: If they tell no modality or no class, or two different ones.
    """
    modality = modality_of(lane)
    if modality is not None:
        if not value.strip():
            raise RlldError(f"{place}: names no class; write one into it")
        return modality, value.strip()
    modality, label = lane_of(lane, where, place)
    if value.strip() not in ("", label):
        raise RlldError(
            f"{place}: says {value.strip()[:80]!r} and its lane {label!r}; move it to the lane of "
            "its class, or correct it"
        )
    return modality, label


def modality_of(word: str) -> Modality | None:
    """Returns the modality that a word means, None for any other word."""
    found = modalities_of(word.strip().lower())
    return cast(Modality, "audio_visual" if len(found) > 1 else found[0]) if found else None


def modality_told(word: str, where: str, place: str) -> Modality:
    """Returns the modality that a field says, or the name of its file where it says nothing.

    Raises:
        RlldError: If neither does.
    """
    modality = modality_of(word or modality_named(Path(where)))
    if modality is None:
        raise RlldError(
            f"{place}: modality is {word[:80]!r}, expected audio or visual; add it, or give the "
            "file a name with one of these words"
        )
    return modality


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


def clock(ticks: int, mark: str) -> str:
    """Writes milliseconds as ``HH:MM:SS``, a mark, and three decimals."""
    seconds, rest = divmod(ticks, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{rest:03}"


def clocked(text: str, place: str) -> float:
    """Reads what ``clock`` wrote, in seconds; hours may be missing.

    Raises:
        RlldError: If it is none.
    """
    found = CLOCK.fullmatch(text.strip())
    if found is None:
        raise RlldError(f"{place}: {text[:80]!r} is no time; expected hours:minutes:seconds")
    hours, minutes, seconds, decimals = (int(part or 0) for part in found.groups())
    return (3_600_000 * hours + 60_000 * minutes + 1000 * seconds + decimals) / 1000


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a text with their numbers, without their ends, however these look."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    yield from enumerate(text.split("\n"), 1)


def one_line(text: str) -> str:
    """Returns a text whose tabs and line ends are blanks."""
    return " ".join(re.split(r"[\t\r\n]+", text))
