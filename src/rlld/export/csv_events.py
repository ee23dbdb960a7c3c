"""Tab-separated text: the columns of LLP's dense files, with modality and confidence besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from rlld.errors import RlldError, nearest
from rlld.parsing.result import Event, Parse
from rlld.types import Modality
from rlld.utils.sheets import SheetError, number_text, read_sheet, sheet_text

SUFFIX = "csv"
JOINT = True
MANY = True
HEADER = ("filename", "onset", "offset", "event_labels", "modality", "confidence")
TAGS = "known_tags"
"""A column more where tags were known, and used: they decide which classes an event can have."""


def dumps(*parses: Parse) -> str:
    """Returns the events of parses, one row each; times in seconds, the offset exclusive.

    Of several, one without any event has a row that names it alone.
    """
    told = any(parse.tags is not None for parse in parses)
    rows = [row for parse in parses for row in _rows_of(parse, told)]
    if len(parses) > 1:
        rows += [_nothing_in(parse, told) for parse in parses if not parse.events]
    return sheet_text([(*HEADER, TAGS) if told else HEADER, *rows])


def _rows_of(parse: Parse, told: bool) -> list[tuple[str, ...]]:
    known = [",".join(parse.tags or ())] if told else []
    return [
        (
            parse.name,
            number_text(event.start),
            number_text(event.end),
            event.label,
            event.modality,
            number_text(event.confidence),
            *known,
        )
        for event in parse.events
    ]


def _nothing_in(parse: Parse, told: bool) -> tuple[str, ...]:
    return (parse.name, *("" for _ in HEADER[1:]), *([",".join(parse.tags or ())] if told else []))


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads events by file name, in file order.

    Args:
        text: The text that ``dumps`` wrote; several such files may be joined under one header.
        where: Its file, for messages.

    Raises:
        RlldError: On a wrong header, number of fields, number or modality; names the line.
    """
    found: dict[str, list[Event]] = {}
    try:
        for line, row in _rows(text.removeprefix("\ufeff"), where):
            events = found.setdefault(row[0], [])
            if any(row[1:]):  # else nothing occurs in it
                events.append(_event(row, f"{where}:{line}"))
    except SheetError as error:
        raise RlldError(f"{where}:{error.line}: {error.text}") from None
    return {name: tuple(events) for name, events in found.items()}


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    rows = read_sheet(text)
    _, header = next(rows, (1, []))
    if tuple(header) not in (HEADER, (*HEADER, TAGS)):
        raise RlldError(
            f"{where}:1: expected the tab-separated header {', '.join(HEADER)}; found "
            f"{', '.join(header)[:80]!r}"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise RlldError(
                f"{where}:{line}: expected {len(header)} tab-separated fields, found {len(row)}"
            )
        yield line, row[: len(HEADER)]


def _event(row: list[str], place: str) -> Event:
    _, onset, offset, label, modality, confidence = row
    known = get_args(Modality)
    if modality not in known:
        raise RlldError(f"{place}: unknown modality {modality!r}{nearest(modality, known)}")
    start, end = _value(onset, f"{place}: onset"), _value(offset, f"{place}: offset")
    # A row that a person added says nothing of how sure they were.
    certainty = _value(confidence, f"{place}: confidence") if confidence else 1.0
    if not 0 <= start < end:
        raise RlldError(f"{place}: expected 0 <= onset < offset, found {onset} and {offset}")
    if not 0 <= certainty <= 1:
        raise RlldError(f"{place}: expected a confidence in [0, 1], found {confidence}")
    return Event(label, modality, start, end, certainty)  # type: ignore[arg-type]


def _value(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RlldError(f"{place}: expected a number, found {text!r}; correct it") from None
