"""Praat's TextGrid: a tier per class and modality, with gaps that have no text; exact times.

Praat takes from a text only what stands free in it: numbers, texts in quotes, flags in angle
brackets. So its long and its short form, and what people make of them, are one to a reader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from rlld.errors import RlldError, visible
from rlld.export.lanes import laid, lane_value, marked
from rlld.parsing.result import Event, Parse

SUFFIX = "TextGrid"
MANY = False
HEAD = ("ooTextFile", "TextGrid")
FREE = re.compile(r'"((?:[^"]|"")*)"|!.*|(\S+)')
"""A text, a remark up to the end of its line, or a word that may be a number."""
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def dumps(parse: Parse) -> str:
    """Returns the long form."""
    tiers = laid(parse)
    end = max([parse.duration, *(event.end for event in parse.events)])
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        *_span(0.0, end),
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (lane, events) in enumerate(tiers.items(), 1):
        intervals = list(_covering(events, end))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(lane)}",
            *(f"        {line}" for line in _span(0.0, end)),
            f"        intervals: size = {len(intervals)}",
        ]
        for at, (first, last, label) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{at}]:",
                *(f"            {line}" for line in _span(first, last)),
                f"            text = {_quoted(label)}",
            ]
    return "\n".join(lines) + "\n"


def _span(first: float, last: float) -> tuple[str, str]:
    return f"xmin = {first!r}", f"xmax = {last!r}"


def _quoted(text: str) -> str:
    doubled = visible(text).replace('"', '""')
    return f'"{doubled}"'


def _covering(events: list[Event], end: float) -> Iterator[tuple[float, float, str]]:
    """Yields the intervals of a tier, which leave nothing out and do not overlap."""
    at = 0.0
    for event in events:
        start = max(at, event.start)
        if start >= event.end:
            continue
        if at < start:
            yield at, start, ""
        yield start, event.end, event.label
        at = event.end
    if at < end:
        yield at, end, ""


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads a TextGrid in any of its text forms; tiers of points are passed over.

    A tier is called ``audio: Dog``, or ``audio`` where its intervals say the class.

    Args:
        text: The text that ``dumps`` or Praat wrote.
        where: Its file, for messages.

    Returns:
        The events of one clip, which is not named: under ``""``.

    Raises:
        RlldError: If it is no TextGrid, ends too early, or an interval has no class or modality.
    """
    found = _Free(text, where)
    if (found.text(), found.text()) != HEAD:
        raise RlldError(f"{where}: no text file of Praat that holds a TextGrid; save it as one")
    found.number(), found.number()
    events = []
    for _ in range(found.count()):
        kind, lane = found.text(), found.text()
        found.number(), found.number()
        for number in range(1, found.count() + 1):
            place = f"{where}: tier {lane!r}: interval {number}"
            start = found.number()
            end = found.number() if kind == "IntervalTier" else start
            value = found.text()
            if value.strip() and kind == "IntervalTier":
                modality, label = lane_value(lane, value, where, place)
                events.append(marked(label, modality, start, end, place))
    return {"": tuple(events)}


class _Free:
    """What stands free in a text, one after the other."""

    def __init__(self, text: str, where: str) -> None:
        self._found = FREE.finditer(text)
        self._where = where

    def text(self) -> str:
        """Returns the next text."""
        for found in self._found:
            if found[1] is not None:
                return found[1].replace('""', '"')
        raise self._short("a text")

    def number(self) -> float:
        """Returns the next number."""
        for found in self._found:
            if found[2] is not None and NUMBER.fullmatch(found[2]):
                return float(found[2])
            if found[1] is not None:
                break
        raise self._short("a number")

    def count(self) -> int:
        """Returns the next number, which counts something."""
        value = self.number()
        if not 0 <= value < math.inf or value != int(value):
            raise RlldError(f"{self._where}: found {value:g} where a number of things is expected")
        return int(value)

    def _short(self, what: str) -> RlldError:
        return RlldError(
            f"{self._where}: no whole TextGrid, {what} is missing (times have a point, no comma); "
            "save it again"
        )
