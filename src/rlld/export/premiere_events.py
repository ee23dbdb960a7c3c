"""Markers of a sequence in the XML of Final Cut Pro 7, which Premiere and Resolve exchange."""

from __future__ import annotations

from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from rlld.errors import RlldError, visible
from rlld.export.frames import NTSC, frame_of
from rlld.export.lanes import FPS, lane_name, lane_of, lanes, marked, number, ticks
from rlld.export.xml import parsed_xml, xml_text
from rlld.parsing.result import Event, Parse

SUFFIX = "xml"
MANY = False
FRAMES = True


def dumps(parse: Parse, fps: float = FPS) -> str:
    """Returns a sequence of the clip, with a marker for each audible or visible event.

    Args:
        parse: The parse.
        fps: Frames per second of the sequence: a whole number, or one of NTSC (29.97).

    Raises:
        RlldError: If no sequence has such a rate.
    """
    fps = float(1 / frame_of(fps))
    root = Element("xmeml", version="4")
    end = max([parse.duration, *(event.end for event in parse.events)])
    length = str(max(1, round(end * fps)))
    sequence = _thing(root, "sequence", visible(parse.name), length, fps)
    for event in lanes(parse):
        marker = SubElement(sequence, "marker")
        SubElement(marker, "name").text = visible(lane_name(event))
        SubElement(marker, "comment").text = f"confidence {event.confidence:.2f}"
        for tag, tick in zip(("in", "out"), ticks(event, fps), strict=True):
            SubElement(marker, tag).text = str(tick)
    track = SubElement(SubElement(SubElement(sequence, "media"), "video"), "track")
    clip = _thing(track, "clipitem", visible(parse.name), length, fps)
    for tag, value in {"start": "0", "end": length, "in": "0", "out": length}.items():
        SubElement(clip, tag).text = value
    file = _thing(clip, "file", visible(parse.name), length, fps)
    file.set("id", "file-1")
    SubElement(file, "pathurl").text = quote(visible(parse.name), safe="")
    SubElement(SubElement(file, "media"), "video")
    return xml_text(root).replace("?>\n", "?>\n<!DOCTYPE xmeml>\n", 1)


def _thing(parent: Element, tag: str, name: str, length: str, fps: float) -> Element:
    """Adds what has a name, a length in frames, and their rate."""
    made = SubElement(parent, tag)
    SubElement(made, "name").text = name
    SubElement(made, "duration").text = length
    rate = SubElement(made, "rate")
    base = round(fps)
    SubElement(rate, "timebase").text = str(base)
    SubElement(rate, "ntsc").text = "FALSE" if fps == base else "TRUE"
    return made


def loads(text: str, where: str, fps: float = FPS) -> dict[str, tuple[Event, ...]]:
    """Reads the markers of the sequence.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality.
        fps: Frames per second where the file does not say it.

    Returns:
        The events of the clip that the sequence is named after.

    Raises:
        RlldError: If it is no such XML, or a marker has no length, class or modality, or is on
            something else than the sequence.
    """
    root = parsed_xml(text, where, "xmeml", "XML of Final Cut Pro 7")
    sequence = root.find(".//sequence")
    if sequence is None:
        raise RlldError(f"{where}: holds no sequence; export one with its markers")
    base = sequence.findtext("rate/timebase")
    rate = fps if base is None else number(base, f"{where}: timebase")
    if (sequence.findtext("rate/ntsc") or "").strip().upper() == "TRUE":
        rate /= float(NTSC)
    if rate <= 0:
        raise RlldError(f"{where}: timebase: expected frames per second, found {rate:g}")
    markers, events = sequence.findall("marker"), []
    if elsewhere := sum(1 for _ in root.iter("marker")) - len(markers):
        raise RlldError(
            f"{where}: {elsewhere} markers are on clips, or in another sequence; put them on the "
            "first sequence, and export that alone"
        )
    for marker in markers:
        name = marker.findtext("name") or ""
        place = f"{where}: marker {name!r}"
        modality, label = lane_of(name, where, place)
        start, end = (
            number(marker.findtext(tag) or "", f"{place}: {tag}") for tag in ("in", "out")
        )
        events.append(marked(label, modality, start / rate, end / rate, place))
    return {(sequence.findtext("name") or "").strip(): tuple(events)}
