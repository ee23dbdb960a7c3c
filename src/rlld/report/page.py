"""The self-contained HTML page of a parse: clip, lanes, table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlld.media.playable import PageClip, page_clip
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES, plain
from rlld.report.templates import asset, rendered
from rlld.utils.files import write_text
from rlld.utils.plain import json_text


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
    write_text(page, render_page(parse, held, truth))
    return held


def render_page(
    parse: Parse, clip: PageClip | None = None, truth: Sequence[Event] | None = None
) -> str:
    """Returns the page of a parse as HTML that loads nothing but its clip.

    Args:
        parse: The parse.
        clip: How the page plays the clip, None for lanes only.
        truth: Known events, None when they are unknown.
    """
    return rendered(
        "page.html.j2",
        ("page.css",),
        parse=parse,
        clip=clip,
        truth=truth,
        names=NAMES,
        data=page_data(parse, truth),
        script=asset("page.js"),
    )


def page_data(parse: Parse, truth: Sequence[Event] | None) -> str:
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
        "duration": parse.duration,
        "step": parse.segment_seconds,
        "classes": [plain(name) for name in parse.classes],
        "gates": parse.gates,
        "probabilities": thousandths,
        "events": [_event(event, parse) for event in parse.events],
        "truth": None if truth is None else [_event(event, parse) for event in truth],
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
