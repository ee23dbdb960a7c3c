"""WebVTT, the subtitles of web pages: a cue for each event; times in milliseconds."""

from __future__ import annotations

import html
import re
from typing import cast

from rlld.errors import RlldError
from rlld.export.lanes import clock, clocked, lane_of, lanes, marked, modality_of, numbered, ticks
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES
from rlld.types import Modality

SUFFIX = "vtt"
MANY = False
RATE = 1000
"""Ticks per second."""
ARROW = re.compile(r"\s*(\S+)\s+-->\s+(\S+)(\s.*)?")
VOICE = re.compile(r"\s*<v(?:\.\S*)?\s+([^>]*)>(.*?)(?:</v>)?\s*")


def dumps(parse: Parse) -> str:
    """Returns the cues: ``<v audible>Dog</v>``; players show those of one time below each other."""
    parts = ["WEBVTT\n"]
    for event in lanes(parse):
        first, last = (clock(tick, ".") for tick in ticks(event, RATE))
        label = html.escape(event.label, quote=False)
        parts.append(f"\n{first} --> {last}\n<v {NAMES[event.modality]}>{label}</v>\n")
    return "".join(parts)


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads cues; their names and settings, and notes and styles, are passed over.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality.

    Returns:
        The events of one clip, which is not named: under ``""``. A cue of several lines is
        several events.

    Raises:
        RlldError: If it is no WebVTT, or a cue has no time, class or modality.
    """
    if not text.removeprefix("\ufeff").startswith("WEBVTT"):
        raise RlldError(f"{where}: no WebVTT, which begins with that word; save it as such")
    events: list[Event] = []
    times: tuple[float, float] | None = None
    for line, row in numbered(text):
        place = f"{where}:{line}"
        if found := ARROW.fullmatch(row):
            times = clocked(found[1], place), clocked(found[2], place)
        elif not row.strip():
            times = None
        elif times is not None:
            modality, label = _said(row, where, place)
            events.append(marked(label, modality, *times, place))
    return {"": tuple(events)}


def _said(row: str, where: str, place: str) -> tuple[Modality, str]:
    found = VOICE.fullmatch(row)
    if found and modality_of(found[1]) and found[2].strip():
        return cast(Modality, modality_of(found[1])), html.unescape(found[2]).strip()
    return lane_of(html.unescape(row), where, place)
