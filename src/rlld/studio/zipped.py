"""Corrected events, and those that the run found, as files of any format of ``rlld export``."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping

from rlld.errors import RlldError, listed
from rlld.export import event_formats, load_format
from rlld.parsing.result import Event, Parse
from rlld.studio import events as form
from rlld.studio.session import Studio
from rlld.utils.names import require_name

WHAT = ("corrected", "all")
"""Clips that were corrected, or all: those of the others as the run found them."""


def formats() -> list[tuple[str, str]]:
    """Returns the formats of events, each with the first line of what is said of it."""
    return [
        (name, (load_format(name).__doc__ or "").strip().partition("\n")[0])
        for name in event_formats()
    ]


def zipped(studio: Studio, name: str, what: str) -> tuple[bytes, str]:
    """Returns a zip file with one file of events for each clip, and what it lacks.

    One is made at a time: the next one finds the events that the run found for the one before.
    A clip that the run cannot parse is left out, and named with the reason; so are clips that
    nobody corrected where no run found anything.

    Args:
        studio: The studio.
        name: The format.
        what: One of ``WHAT``.

    Raises:
        RlldError: If there is no such format, or no clip to export.
    """
    if what not in WHAT:
        raise RlldError(f"what: found {what!r}, expected {' or '.join(WHAT)}")
    module, out = load_format(name), io.BytesIO()
    count, failed = 0, dict[str, RlldError]()
    with studio.exporting, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for parse in _parses(studio, failed, everything=what == "all"):
            file = f"{parse.name}.{module.SUFFIX}"
            require_name(file, "video id")
            archive.writestr(file, module.dumps(parse))
            count += 1
    lacking = _lacking(failed)
    if not count and lacking:
        raise RlldError(lacking)
    if not count:
        advice = "correct one first" if what == "corrected" else "open the studio with --run RUN"
        raise RlldError(f"no clip has events to export; {advice}")
    return out.getvalue(), lacking


def _lacking(failed: Mapping[str, RlldError]) -> str:
    """Says which clips are left out and why; empty where none is."""
    if not failed:
        return ""
    clips = f"{len(failed):,} clip{'' if len(failed) == 1 else 's'}"
    return f"left out: {clips} ({listed(list(failed))}); {next(iter(failed.values()))}"


def _parses(studio: Studio, failed: dict[str, RlldError], *, everything: bool) -> Iterator[Parse]:
    """Yields the events of clips, corrected ones first of all; those that fail are noted."""
    corrected, spec = studio.store.corrected(), studio.catalogue.spec
    for video in studio.catalogue.videos:
        if video in corrected:
            events = form.parsed(corrected[video].events)
        elif everything and studio.beliefs is not None:
            try:
                events = studio.beliefs.events(video)
            except RlldError as error:
                failed[video] = error
                continue
        else:
            if everything:
                failed[video] = RlldError("nobody corrected them; open the studio with --run RUN")
            continue
        known = tuple(event for event in events if event.label in spec.classes)
        yield _parse(video, known, studio.seconds(video), spec.segment_seconds, spec.classes)


def _parse(
    name: str, events: tuple[Event, ...], seconds: float, step: float, classes: tuple[str, ...]
) -> Parse:
    nobody = (tuple(0.0 for _ in classes),) * 2
    return Parse(name, seconds, step, classes, events, (), nobody, model="corrected in the studio")
