"""OpenTimelineIO, the timelines of cutting programs: markers on each clip, in whole frames."""

from __future__ import annotations

from typing import Any

from rlld.errors import RlldError
from rlld.export.lanes import FPS, lane_name, lane_of, lanes, marked, ticks
from rlld.parsing.result import Event, Parse
from rlld.utils.extras import optional
from rlld.utils.plain import json_value

SUFFIX = "otio"
MANY = True
FRAMES = True
COLOURS = {"audio": "BLUE", "visual": "YELLOW"}
KEY = "rlld"
"""What our entries of the metadata stand under."""


def dumps(*parses: Parse, fps: float = FPS) -> str:
    """Returns a timeline on which the clips stand one behind the other.

    Args:
        parses: The parses.
        fps: Frames per second of the timeline.

    Raises:
        RlldError: If OpenTimelineIO is not installed.
    """
    otio = _otio()
    track = otio.schema.Track("rlld", kind=otio.schema.TrackKind.Video)
    for parse in parses:
        track.append(_clip(otio, parse, fps))
    timeline = otio.schema.Timeline(parses[0].name if len(parses) == 1 else "rlld")
    timeline.tracks.append(track)
    return str(otio.adapters.write_to_string(timeline, "otio_json")) + "\n"


def _clip(otio: Any, parse: Parse, fps: float) -> Any:
    end = max([parse.duration, *(event.end for event in parse.events)])
    whole = _range(otio, 0, max(1, round(end * fps)), fps)
    media = otio.schema.ExternalReference(parse.name, available_range=whole)
    clip = otio.schema.Clip(parse.name, media_reference=media, source_range=whole)
    for event in lanes(parse):
        first, last = ticks(event, fps)
        marker = otio.schema.Marker(
            lane_name(event),
            _range(otio, first, last - first, fps),
            COLOURS[event.modality],
            {KEY: {"confidence": event.confidence}},
            comment=f"confidence {event.confidence:.2f}",
        )
        clip.markers.append(marker)
    return clip


def _range(otio: Any, start: int, length: int, fps: float) -> Any:
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, fps), time(length, fps))


def loads(text: str, where: str, fps: float = FPS) -> dict[str, tuple[Event, ...]]:
    """Reads the markers of the clips of a timeline, whatever tracks they are on.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality.
        fps: Not needed: times have their rate.

    Returns:
        The events by clip, in seconds from the beginning of its media.

    Raises:
        RlldError: If it is no timeline, OpenTimelineIO is not installed, or a marker has no
            length, class or modality.
    """
    otio = _otio()
    json_value(text, where)  # what is nested too deeply ends the reader of OpenTimelineIO
    try:
        timeline = otio.adapters.read_from_string(text, "otio_json")
    except (otio.exceptions.OTIOError, ValueError, TypeError, LookupError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise RlldError(f"{where}: no file of OpenTimelineIO ({reason[:200]})") from None
    if not hasattr(timeline, "find_clips"):
        raise RlldError(f"{where}: holds no timeline of OpenTimelineIO; export one")
    if loose := [*timeline.tracks.markers, *(each for t in timeline.tracks for each in t.markers)]:
        raise RlldError(
            f"{where}: {len(loose)} markers are on the timeline or a track, not on a clip; put "
            "them on the clip that they are about"
        )
    found: dict[str, list[Event]] = {}
    for clip in timeline.find_clips():
        events = found.setdefault(_name(clip), [])
        for marker in clip.markers:
            place = f"{where}: {clip.name!r}: marker {marker.name!r}"
            modality, label = lane_of(marker.name, where, place)
            span = marker.marked_range
            start = span.start_time.to_seconds() - _first(clip)
            end = start + span.duration.to_seconds()
            events.append(marked(label, modality, start, end, place, _sure(marker)))
    return {name: tuple(events) for name, events in found.items()}


def _name(clip: Any) -> str:
    address = str(getattr(clip.media_reference, "target_url", "") or clip.name)
    return address.replace("\\", "/").rpartition("/")[2]


def _first(clip: Any) -> float:
    """Returns the time that the media begins at; cameras begin theirs in the middle of a day."""
    whole = getattr(clip.media_reference, "available_range", None)
    return 0.0 if whole is None else float(whole.start_time.to_seconds())


def _sure(marker: Any) -> float:
    told = marker.metadata.get(KEY)
    value = told.get("confidence") if hasattr(told, "get") else None
    return float(value) if isinstance(value, int | float) else 1.0


def _otio() -> Any:
    return optional("opentimelineio", "format 'otio'")
