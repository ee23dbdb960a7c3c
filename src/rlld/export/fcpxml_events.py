"""Final Cut Pro's XML (.fcpxml): a keyword on the range of each event, in whole frames.

Markers of Final Cut have no length that it lets people change; ranges with keywords have.
"""

from __future__ import annotations

import re
from fractions import Fraction
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from rlld.errors import RlldError, visible
from rlld.export.frames import frame_of
from rlld.export.lanes import FPS, lane_name, lane_of, lanes, marked, ticks
from rlld.export.xml import parsed_xml, xml_text
from rlld.parsing.result import Event, Parse

SUFFIX = "fcpxml"
MANY = True
FRAMES = True
VERSION = "1.9"
"""The oldest one whose assets say where they are as the newest do; Final Cut 10.5, Resolve 17."""
TIME = re.compile(r"(-?\d+)(?:/([1-9]\d*))?s")


def dumps(*parses: Parse, fps: float = FPS) -> str:
    """Returns an event of Final Cut with a clip for each parse, and its events as keywords.

    Args:
        parses: The parses.
        fps: Frames per second of the clips: a whole number, or one of NTSC (29.97).

    Raises:
        RlldError: If no sequence has such a rate.
    """
    frame = frame_of(fps)
    rate = float(1 / frame)
    root = Element("fcpxml", version=VERSION)
    resources = SubElement(root, "resources")
    SubElement(resources, "format", id="r0", frameDuration=_time(frame))
    library = SubElement(SubElement(root, "library"), "event", name="rlld")
    for number, parse in enumerate(parses, 1):
        name = visible(parse.name)
        end = max([parse.duration, *(event.end for event in parse.events)])
        span = {"start": "0s", "duration": _time(max(1, round(end * rate)) * frame)}
        own = {"id": f"r{number}", "name": name, "format": "r0", "hasVideo": "1", "hasAudio": "1"}
        asset = SubElement(resources, "asset", own | span)
        SubElement(asset, "media-rep", src=f"./{quote(name, safe='')}")
        clip = SubElement(library, "asset-clip", {"ref": f"r{number}", "name": name} | span)
        for event in lanes(parse):
            first, stop = ticks(event, rate)
            times = {"start": _time(first * frame), "duration": _time((stop - first) * frame)}
            note = f"confidence {event.confidence:.2f}"
            SubElement(clip, "keyword", times, value=visible(lane_name(event)), note=note)
    return xml_text(root).replace("?>\n", "?>\n<!DOCTYPE fcpxml>\n", 1)


def _time(seconds: Fraction) -> str:
    whole = seconds.denominator == 1
    return f"{seconds.numerator}s" if whole else f"{seconds.numerator}/{seconds.denominator}s"


def loads(text: str, where: str, fps: float = FPS) -> dict[str, tuple[Event, ...]]:
    """Reads the keywords of the clips, wherever these are.

    Args:
        text: The text that ``dumps`` or Final Cut wrote.
        where: Its file, for messages.
        fps: Not needed: times are seconds.

    Returns:
        Events by the names of the clips. Times count from where the medium of a clip begins.

    Raises:
        RlldError: If it is no such XML, a keyword names no class or modality, has no length or is
            on something else than a clip, or an event is a marker.
    """
    root = parsed_xml(text, where, "fcpxml", "XML of Final Cut Pro")
    assets = {asset.get("id"): asset for asset in root.iter("asset")}
    found: dict[str, dict[Event, None]] = {}
    read = 0
    for clip in root.iter("asset-clip"):
        asset = assets.get(clip.get("ref"))
        if asset is None:
            raise RlldError(
                f"{where}: a clip is of the asset {clip.get('ref')!r}, which is missing"
            )
        name = clip.get("name") or asset.get("name") or ""
        own = found.setdefault(name, {})
        for keyword in clip.findall("keyword"):
            own |= dict.fromkeys(_events(keyword, clip, asset, where))
            read += 1
        for marker in clip.iter("marker"):
            _require_no_event(marker, f"{where}: {name!r}")
    if elsewhere := sum(1 for _ in root.iter("keyword")) - read:
        raise RlldError(
            f"{where}: {elsewhere} keywords are on compound or synchronised clips; put them on the "
            "clips themselves"
        )
    return {name: tuple(events) for name, events in found.items()}


def _events(keyword: Element, clip: Element, asset: Element, where: str) -> list[Event]:
    """Returns the events of a range, which may have several keywords."""
    place = f"{where}: keyword {(keyword.get('value') or '')[:80]!r}"
    origin = _seconds(asset.get("start") or "0s", f"{place}: start of its asset")
    start, length = (
        _seconds(keyword.get(name) or clip.get(name) or asset.get(name) or "0s", f"{place}: {name}")
        for name in ("start", "duration")
    )
    begin = start - origin
    events = []
    for value in filter(str.strip, (keyword.get("value") or "").split(",")):
        modality, label = lane_of(value.strip(), where, place)
        times = float(begin), float(begin + length)
        events.append(marked(label, modality, *times, place))
    return events


def _seconds(text: str, place: str) -> Fraction:
    """Reads a rational number of seconds: ``1001/30000s``."""
    time = TIME.fullmatch(text.strip())
    if time is None:
        raise RlldError(f"{place}: {text[:80]!r} is no time; expected seconds such as 1001/30000s")
    return Fraction(int(time[1]), int(time[2] or 1))


def _require_no_event(marker: Element, place: str) -> None:
    value = marker.get("value") or ""
    try:
        lane_of(value, "", "")
    except RlldError:  # a remark of somebody's own
        return
    raise RlldError(
        f"{place}: {value[:80]!r} is a marker, which has no length; give its range that keyword "
        "instead"
    )
