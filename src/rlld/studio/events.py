"""Events between the page, which counts classes, and the store, which names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args

from rlld.errors import RlldError
from rlld.export.fields import as_kind, items, mapping, seconds_of
from rlld.parsing.result import Event
from rlld.types import MODALITIES, Modality

KINDS = get_args(Modality)
MOST = 20_000
"""Events of a clip; more are no work of a person."""
BEYOND = 0.5
"""Seconds that an event may reach behind the end of a clip, where it is cut."""

Stored = dict[str, Any]
"""``class``, ``modality``, ``start`` and ``end`` in seconds, ``confidence`` or None."""


class OtherClassesError(RlldError):
    """A page counts other classes than those that the data set has by now."""


def require_classes(found: Any, classes: Sequence[str]) -> None:
    """Refuses a page whose numbers mean other classes than those of the data set.

    Args:
        found: The class names that the page counts.
        classes: Those of the data set.

    Raises:
        OtherClassesError: If they differ, in their order too.
        RlldError: If they are no list.
    """
    if [name for _, name in items(found, "classes")] != list(classes):
        raise OtherClassesError(
            "classes: found others than those of the data set, which changed since this page was "
            "opened; nothing was stored: load the page again and correct the clip anew"
        )


def from_page(found: Any, classes: Sequence[str], duration: float) -> list[Stored]:
    """Reads the events that a page sends.

    Args:
        found: A list of ``{c, m, s, e, p}``.
        classes: The class names.
        duration: Seconds of the clip.

    Returns:
        The events as they are stored, sorted by start.

    Raises:
        RlldError: If they are no such list, or one names no class or lies outside of the clip.
    """
    rows = items(found, "events")
    if len(rows) > MOST:
        raise RlldError(f"events: found {len(rows):,}, expected {MOST:,} at most")
    events = [_read(mapping(row, place), place, classes, duration) for place, row in rows]
    return sorted(events, key=lambda e: (e["start"], KINDS.index(e["modality"]), e["class"]))


def _read(row: Mapping[str, Any], place: str, classes: Sequence[str], duration: float) -> Stored:
    number, modality, trust = row.get("c"), row.get("m"), row.get("p")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(classes):
        raise RlldError(f"{place}.c: found {number!r}, expected 0 to {len(classes) - 1}")
    if modality not in KINDS:
        raise RlldError(f"{place}.m: found {modality!r}, expected {', '.join(KINDS)}")
    start, end = (seconds_of(row.get(key), f"{place}.{key}") for key in "se")
    if not 0 <= start < min(end, duration) or end > duration + BEYOND:
        raise RlldError(
            f"{place}: found {start:g} to {end:g} s, expected times inside of the clip, which "
            f"lasts {duration:g} s"
        )
    if trust is not None and not 0 <= as_kind(trust, float, f"{place}.p") <= 1:
        raise RlldError(f"{place}.p: found {trust!r}, expected 0 to 1, or null")
    return {
        "class": classes[number],
        "modality": modality,
        "start": start,
        "end": min(end, duration),
        "confidence": trust,
    }


def to_page(events: Iterable[Mapping[str, Any]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns stored events for the page; those of classes that are gone are left out."""
    index = {name: number for number, name in enumerate(classes)}
    return [
        {
            "c": index[event["class"]],
            "m": event["modality"],
            "s": event["start"],
            "e": event["end"],
            "p": event["confidence"],
        }
        for event in events
        if event["class"] in index
    ]


def stored(events: Iterable[Event], *, certain: bool = False) -> list[Stored]:
    """Returns parsed or known events as they are stored, audible and visible ones.

    Audio-visual ones follow from these and would be in their way once these are corrected.

    Args:
        events: The events.
        certain: Whether they were found by people, so that their confidence says nothing.
    """
    return [
        {
            "class": event.label,
            "modality": event.modality,
            "start": event.start,
            "end": event.end,
            "confidence": None if certain else round(event.confidence, 4),
        }
        for event in events
        if event.modality in MODALITIES
    ]


def parsed(events: Iterable[Mapping[str, Any]]) -> tuple[Event, ...]:
    """Returns stored events as those of a parse; what a person says is certain."""
    return tuple(
        Event(
            event["class"],
            cast(Modality, event["modality"]),
            event["start"],
            event["end"],
            1.0 if event["confidence"] is None else event["confidence"],
        )
        for event in events
    )
