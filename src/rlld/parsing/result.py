"""What is parsed, and what comes of it: a source, events, a parse that notebooks can show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.parsing.words import NAMES, plain, seconds
from rlld.types import Modality

Features = Mapping[str, NDArray[np.floating[Any]]]
"""Features of consecutive segments by stream name, each (S, D)."""

COLOURS = {"audio": "#0072b2", "visual": "#e69f00", "audio_visual": "#00805d"}
LEFT, WIDTH, ROW, HEAD, MARGIN = 230, 560, 20, 26, 30
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)


@dataclass(frozen=True)
class Source:
    """What is parsed.

    Attributes:
        name: File name or id.
        chunks: Features of consecutive segments, by stream (n, D) each; read once.
        outcome: Called when the chunks have been read: the length in seconds and notes for the
            reader. The length is that of the segments where it is None.
        at_once: Segments of a chunk at most, where a source goes on.
    """

    name: str
    chunks: Iterable[Features]
    outcome: Callable[[], tuple[float, tuple[str, ...]]] | None = None
    at_once: int = 0


@dataclass(frozen=True)
class Event:
    """One event of a parsed video.

    Attributes:
        label: Class name.
        modality: Where it is perceived: ``audio``, ``visual`` or ``audio_visual``.
        start: Onset in seconds from the start of the video.
        end: Offset in seconds, exclusive, larger than ``start``.
        confidence: Mean segment probability over the event, in [0, 1].
    """

    label: str
    modality: Modality
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Parse:
    """A parsed video: its events and the probabilities that they were read from.

    Attributes:
        name: File name or id of the video.
        duration: Length of the video in seconds.
        segment_seconds: Length of a segment in seconds; the last one may reach past the end.
        classes: Class names, in the order of the last axis of ``probabilities``.
        events: Events ordered by start, modality and class.
        probabilities: Segment probabilities (segments, 2, C) as nested tuples of floats.
        gates: Video-level probabilities (2, C) that gated them, as nested tuples.
        tags: Known tags that gated the parse, None when none were given.
        notes: What the reader should know (no audio track, for instance).
        model: What parsed it: run folder, network and label source.
    """

    name: str
    duration: float
    segment_seconds: float
    classes: tuple[str, ...]
    events: tuple[Event, ...]
    probabilities: tuple[tuple[tuple[float, ...], ...], ...]
    gates: tuple[tuple[float, ...], ...]
    tags: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    model: str = ""

    def _repr_html_(self) -> str:
        """Shows the timeline in a notebook."""
        return notebook_html(self)


def notebook_html(parse: Parse) -> str:
    """Returns a parse as an HTML fragment with one lane per class and modality that has events."""
    lanes = [
        (label, modality)
        for label in parse.classes
        for modality in NAMES
        if any((event.label, event.modality) == (label, modality) for event in parse.events)
    ]
    notes = "".join(f"<div>{escape(note)}</div>" for note in parse.notes)
    if not lanes:
        return f"<div><b>{escape(parse.name)}</b>: no events found{notes}</div>"
    height = HEAD + ROW * len(lanes)
    parts = [_axis(parse, height)]
    for row, (label, modality) in enumerate(lanes):
        y = HEAD + ROW * row
        repeated = row and lanes[row - 1][0] == label
        parts.append(_text(0, y, "" if repeated else plain(label), weight=600))
        parts.append(_text(140, y, NAMES[modality]))
        for event in parse.events:
            if (event.label, event.modality) == (label, modality):
                x = LEFT + WIDTH * event.start / parse.duration
                width = max(2.0, WIDTH * (event.end - event.start) / parse.duration)
                title = (
                    f"{plain(label)}, {NAMES[modality]}, {seconds(event.start)} to "
                    f"{seconds(event.end)} s, confidence {event.confidence:.2f}"
                )
                parts.append(
                    f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" rx="3" '
                    f'fill="{COLOURS[modality]}"><title>{escape(title)}</title></rect>'
                )
    total = LEFT + WIDTH + MARGIN
    return (
        f"<div><b>{escape(parse.name)}</b>{notes}"
        f'<svg role="img" aria-label="Timeline of {escape(parse.name)}" viewBox="0 0 {total} '
        f'{height}" style="display:block;width:100%;max-width:{total}px" font-size="12" '
        f'font-family="sans-serif" fill="currentColor">{"".join(parts)}</svg></div>'
    )


def _axis(parse: Parse, height: int) -> str:
    step = next((s for s in STEPS if parse.duration / s <= 6), parse.duration / 5)
    marks = []
    for k in range(int(parse.duration / step + 1e-9) + 1):
        x = LEFT + WIDTH * k * step / parse.duration
        marks.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 4}" y2="{height}" stroke="currentColor" '
            f'opacity=".15"/><text x="{x:.1f}" y="15" text-anchor="middle" opacity=".7">'
            f"{seconds(k * step)} s</text>"
        )
    return "".join(marks)


def _text(x: int, y: int, text: str, weight: int = 400) -> str:
    return f'<text x="{x}" y="{y + 14}" font-weight="{weight}">{escape(text)}</text>'
