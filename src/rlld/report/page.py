"""The self-contained HTML page of a parse: clip, lanes, table."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlld.media.decode import Clip
from rlld.media.playable import PageClip, page_clip
from rlld.media.strips import peaks, strip
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES, plain
from rlld.report.templates import rendered, script
from rlld.utils.files import write_text
from rlld.utils.plain import json_text

SCRIPTS = (
    *("edits.js", "nodes.js", "parsed.js", "strips.js", "tips.js", "lanes.js", "timeline.js"),
    *("exports.js", "page.js"),
)
"""Modules of the page, each after those that it imports."""

BINS = 50, 10_000
"""Bins of the waveform per second, and at most."""

PICTURES = 60
"""Pictures of the film strip at most; else one per second."""

HEIGHT = 48
"""Pixels of a picture of the film strip."""

ROWS = 1000
"""Rows of the table at most; a document of many more is slow whatever is in view."""


@dataclass(frozen=True)
class Glance:
    """What a clip sounds and looks like at a glance, as the page holds it.

    Attributes:
        peaks: Least and largest sample of even bins as signed bytes in base64, None without sound.
        film: ``data:`` address and count of pictures side by side, None without pictures.
    """

    peaks: str | None = None
    film: dict[str, Any] | None = None


def write_page(
    parse: Parse,
    page: Path,
    clip: Path | None = None,
    truth: Sequence[Event] | None = None,
    link: bool = False,
    tracks: TrackChoice = AS_PLAYED,
) -> PageClip | None:
    """Writes the page of a parse.

    Args:
        parse: The parse.
        page: The file to write; replaced whole.
        clip: The parsed media file; without one the page has lanes only.
        truth: Known events, drawn as lanes of their own; None when they are unknown.
        link: Refer to the clip instead of putting it inside the page.
        tracks: Which of several tracks of the clip are played; those of a player when not given.

    Returns:
        How the page holds its clip.

    Raises:
        RlldError: If the clip cannot be read or the page cannot be written.
    """
    held = None if clip is None else page_clip(clip, page, link, tracks)
    seen = Glance() if clip is None else glance(Clip(clip, tracks), parse.duration)
    write_text(page, render_page(parse, held, truth, seen))
    return held


def glance(clip: Clip, duration: float) -> Glance:
    """Reads waveform and film strip of a clip.

    Args:
        clip: The clip.
        duration: Seconds of the parse that they lie above.
    """
    per_second, most = BINS
    wave = peaks(clip, 0.0, duration, max(1, min(most, int(per_second * duration))))
    count = max(1, min(PICTURES, round(duration)))
    film = strip(clip, 0.0, duration, count, HEIGHT)
    address = None if film is None else f"data:image/jpeg;base64,{_base64(film)}"
    return Glance(
        None if wave is None else _base64(wave.tobytes()),
        None if address is None else {"url": address, "count": count},
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def render_page(
    parse: Parse,
    clip: PageClip | None = None,
    truth: Sequence[Event] | None = None,
    seen: Glance = Glance(),
) -> str:
    """Returns the page of a parse as HTML that loads nothing but its clip.

    Args:
        parse: The parse.
        clip: How the page plays the clip, None for lanes only.
        truth: Known events, None when they are unknown.
        seen: What the clip sounds and looks like.
    """
    return rendered(
        "page.html.j2",
        ("page.css",),
        parse=parse,
        clip=clip,
        names=NAMES,
        most_rows=ROWS,
        data=page_data(parse, truth, seen),
        script=script(*SCRIPTS),
    )


def page_data(parse: Parse, truth: Sequence[Event] | None, seen: Glance = Glance()) -> str:
    """Returns what the script of the page works on, as JSON that is safe inside ``<script>``.

    Probabilities are thousandths, by modality, class and segment.
    """
    thousandths = [
        [
            [round(1000 * segment[modality][index]) for segment in parse.probabilities]
            for index in range(len(parse.classes))
        ]
        for modality in (0, 1)
    ]
    data = {
        "name": parse.name,
        "duration": parse.duration,
        "step": parse.segment_seconds,
        "classes": [plain(name) for name in parse.classes],
        "labels": parse.classes,
        "gates": parse.gates,
        "probabilities": thousandths,
        "events": [_event(event, parse) for event in parse.events],
        "truth": None if truth is None else [_event(event, parse) for event in truth],
        "tags": parse.tags,
        "notes": parse.notes,
        "model": parse.model,
        "strips": {"peaks": seen.peaks, "film": seen.film},
    }
    text = json_text(data, parse.name, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _event(event: Event, parse: Parse) -> dict[str, Any]:
    return {
        "c": parse.classes.index(event.label),
        "m": event.modality,
        "s": event.start,
        "e": event.end,
        "p": event.confidence,
    }
