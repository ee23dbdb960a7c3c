"""Markers of a timeline as DaVinci Resolve takes and gives them (.edl): whole frames.

Resolve: Timelines > Import > Timeline Markers from EDL. Its timelines begin at one hour.
"""

from __future__ import annotations

import re

from rlld.errors import RlldError
from rlld.export.lanes import FPS, lane_of, lanes, marked, modality_of, numbered, one_line, ticks
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES
from rlld.types import Modality

SUFFIX = "edl"
MANY = False
FRAMES = True
MOST = 999
"""Markers of a file; their numbers have three digits."""
HOUR = 3600
"""Seconds at which a timeline begins."""
COLOURS = {"audio": "Blue", "visual": "Yellow"}
CLIP = re.compile(r"\d+\s+\S+\s+V\s+C\s+(\d+):(\d+):(\d+)[:;](\d+)\s.*")
"""A line of the list, up to the first of its four times."""
LENGTH = re.compile(r"\|D:(\d+)\s*$")
SAID = re.compile(r"(.+)\(([^()]+)\)")
NAME = re.compile(r"\|M:(.*?)\s*\|D:\d+\s*$")


def dumps(parse: Parse, fps: float = FPS) -> str:
    """Returns a marker for each audible or visible event.

    Args:
        parse: The parse.
        fps: Frames per second of the timeline.

    Raises:
        RlldError: If it has more events than such a file can hold.
    """
    events = lanes(parse)
    if len(events) > MOST:
        raise RlldError(
            f"{parse.name}: {len(events):,} events are more than the {MOST} markers of an .edl; "
            "export it as otio"
        )
    parts = [f"TITLE: {one_line(parse.name)}\nFCM: NON-DROP FRAME\n\n"]
    for number, event in enumerate(events, 1):
        first, last = ticks(event, fps)
        begin, after = (_code(first + more, fps) for more in (0, 1))
        label = one_line(event.label).replace("|", "/")
        parts.append(
            f"{number:03}  001      V     C        {begin} {after} {begin} {after}  \n"
            f"confidence {event.confidence:.2f} |C:ResolveColor{COLOURS[event.modality]} "
            f"|M:{label} ({NAMES[event.modality]}) |D:{last - first}\n\n"
        )
    return "".join(parts)


def _code(frame: int, fps: float) -> str:
    """Writes a frame as a time code, which counts whole frames a second at any rate."""
    rate = round(fps)
    seconds, rest = divmod(frame + HOUR * rate, rate)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{rest:02}"


def loads(text: str, where: str, fps: float = FPS) -> dict[str, tuple[Event, ...]]:
    """Reads markers; those without a length of two frames or more mark a place, not an event.

    Args:
        text: The text that ``dumps`` or Resolve wrote.
        where: Its file, for messages; its name may say the modality.
        fps: Frames per second of the timeline, which the file does not say.

    Returns:
        The events of the clip that the title names.

    Raises:
        RlldError: If it holds no markers, or one has no class or modality, or begins before 1 h.
    """
    title, events, begin = "", [], None
    for line, row in numbered(text):
        place = f"{where}:{line}"
        if row.startswith("TITLE:"):
            title = row.removeprefix("TITLE:").strip()
        elif found := CLIP.fullmatch(row):
            hours, minutes, seconds, frame = map(int, found.groups())
            begin = (3600 * hours + 60 * minutes + seconds - HOUR) * round(fps) + frame
        elif (length := LENGTH.search(row)) and begin is not None:
            name = NAME.search(row)
            modality, label = _said(name[1] if name else "", where, place)
            last = begin + int(length[1])
            events.append(marked(label, modality, begin / fps, last / fps, place))
            begin = None
    if not title and not events:
        raise RlldError(f"{where}: no list of markers (TITLE: ..., |M:Dog (audible) |D:75)")
    return {title: tuple(events)}


def _said(text: str, where: str, place: str) -> tuple[Modality, str]:
    """Reads ``Dog (audible)``; people may write ``audio: Dog``."""
    found = SAID.fullmatch(text)
    modality = modality_of(found[2]) if found else None
    if found and modality and found[1].strip():
        return modality, found[1].strip()
    return lane_of(text, where, place)
