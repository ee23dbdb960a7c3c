"""ELAN's annotation file (.eaf): a tier per class and modality; times in milliseconds."""

from __future__ import annotations

from itertools import count
from mimetypes import guess_type
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, SubElement

from rlld.errors import RlldError, visible
from rlld.export.lanes import laid, lane_value, marked, ticks
from rlld.export.xml import parsed_xml, xml_text
from rlld.parsing.result import Event, Parse

SUFFIX = "eaf"
MANY = False
RATE = 1000
"""Ticks per second."""
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
SINCE = "1970-01-01T00:00:00+00:00"
"""The date that a file has to have; that of its making would make every file another one."""
KIND = "event"


def dumps(parse: Parse) -> str:
    """Returns an annotation file with a tier for each lane that has events, or a known tag."""
    root = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "rlld",
            "DATE": SINCE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": SCHEMA,
        },
    )
    tiers = laid(parse)
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    address = quote(visible(parse.name), safe="")
    SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=f"file:///{address}",
        MIME_TYPE=guess_type(parse.name)[0] or "unknown",
        RELATIVE_MEDIA_URL=f"./{address}",
    )
    last = SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last.text = str(sum(map(len, tiers.values())))
    _fill(root, tiers)
    SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID=KIND,
        TIME_ALIGNABLE="true",
    )
    return xml_text(root)


def _fill(root: Element, tiers: dict[str, list[Event]]) -> None:
    """Adds the times, in ascending order as the format has it, and the tiers that name them."""
    edges = [
        (tick, event)
        for events in tiers.values()
        for event in events
        for tick in ticks(event, RATE)
    ]
    times = SubElement(root, "TIME_ORDER")
    slots: dict[int, str] = {}
    for tick in sorted({tick for tick, _ in edges}):
        slots[tick] = f"ts{len(slots) + 1}"
        SubElement(times, "TIME_SLOT", TIME_SLOT_ID=slots[tick], TIME_VALUE=str(tick))
    numbers = count(1)
    for lane, events in tiers.items():
        tier = SubElement(root, "TIER", LINGUISTIC_TYPE_REF=KIND, TIER_ID=visible(lane))
        for event in events:
            first, last = (slots[tick] for tick in ticks(event, RATE))
            inner = SubElement(
                SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{next(numbers)}",
                TIME_SLOT_REF1=first,
                TIME_SLOT_REF2=last,
            )
            SubElement(inner, "ANNOTATION_VALUE").text = event.label


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads an annotation file.

    A tier is called ``audio: Dog``, or ``audio`` where the annotations say the class. Tiers that
    depend on others, and empty ones, may be called as one likes.

    Args:
        text: The text that ``dumps`` or ELAN wrote.
        where: Its file, for messages.

    Returns:
        The events of its media file, under ``""`` where it names none.

    Raises:
        RlldError: If it is no such file, or an annotation has no time, class or modality.
    """
    root = parsed_xml(text, where, "ANNOTATION_DOCUMENT", "file of ELAN")
    times = {
        slot.get("TIME_SLOT_ID", ""): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")
    }
    events = []
    for tier in root.iter("TIER"):
        lane = tier.get("TIER_ID", "")
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            place = f"{where}: tier {lane!r}: annotation {annotation.get('ANNOTATION_ID')}"
            modality, label = lane_value(
                lane, annotation.findtext("ANNOTATION_VALUE") or "", where, place
            )
            start, end = (
                _seconds(times.get(annotation.get(f"TIME_SLOT_REF{edge}", "")), place)
                for edge in (1, 2)
            )
            events.append(marked(label, modality, start, end, place))
    return {_clip(root): tuple(events)}


def _seconds(value: str | None, place: str) -> float:
    if value is None or not value.strip().isdecimal():
        raise RlldError(f"{place}: begins or ends at no time of its own; give it one in ELAN")
    return int(value) / RATE


def _clip(root: Element) -> str:
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    address = "" if media is None else media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL")
    return unquote((address or "").replace("\\", "/").rpartition("/")[2])
