"""JAMS, the annotation files of music research: an annotation per modality; exact times."""

from __future__ import annotations

from typing import Any

from rlld.errors import RlldError
from rlld.export.fields import items, mapping, seconds_of, text_of
from rlld.export.lanes import lanes, marked, modality_told
from rlld.parsing.result import Event, Parse
from rlld.types import MODALITIES, Modality
from rlld.utils.plain import json_text, json_value

SUFFIX = "jams"
MANY = False
VERSION = "0.3.5"
NAMESPACES = ("segment_open", "tag_open")
"""What annotations are events: a span with any text."""


def dumps(parse: Parse) -> str:
    """Returns two annotations, of what is heard and of what is seen."""
    data = {
        "file_metadata": {
            "title": parse.name,
            "artist": "",
            "release": "",
            "duration": parse.duration,
            "identifiers": {},
            "jams_version": VERSION,
        },
        "annotations": [_annotation(parse, modality) for modality in MODALITIES],
        "sandbox": {},
    }
    return json_text(data, parse.name, ensure_ascii=False, indent=1) + "\n"


def _annotation(parse: Parse, modality: str) -> dict[str, Any]:
    return {
        "namespace": NAMESPACES[0],
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "annotation_tools": "rlld",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
            "corpus": "",
            "version": "",
        },
        "data": [
            {
                "time": event.start,
                "duration": event.end - event.start,
                "value": event.label,
                "confidence": event.confidence,
            }
            for event in lanes(parse)
            if event.modality == modality
        ],
        "sandbox": {"modality": modality},
        "time": 0,
        "duration": parse.duration,
    }


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads the annotations of spans; those of beats, chords and such are passed over.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality of annotations without.

    Returns:
        The events of the clip that the title names, under ``""`` where it is empty.

    Raises:
        RlldError: If it is no JAMS, or an observation has no times, class or modality.
    """
    data = json_value(text, where)
    if not isinstance(data, dict) or not {"file_metadata", "annotations"} <= data.keys():
        raise RlldError(f"{where}: no JAMS, which has 'file_metadata' and 'annotations'")
    title = mapping(data["file_metadata"], f"{where}: file_metadata").get("title") or ""
    events = []
    for place, entry in items(data["annotations"], f"{where}: annotations"):
        entry = mapping(entry, place)
        if entry.get("namespace") not in NAMESPACES:
            continue
        told = mapping(entry.get("sandbox") or {}, f"{place}: sandbox").get("modality") or ""
        modality = modality_told(text_of(told, f"{place}: sandbox"), where, place)
        for at, row in items(entry.get("data"), f"{place}: data"):
            events.append(_read(mapping(row, at), modality, at))
    return {text_of(title, f"{where}: title"): tuple(events)}


def _read(row: dict[str, Any], modality: Modality, place: str) -> Event:
    start, length = (seconds_of(row.get(key), f"{place}: {key}") for key in ("time", "duration"))
    sure = 1.0 if row.get("confidence") is None else row["confidence"]
    return marked(
        text_of(row.get("value"), f"{place}: value"),
        modality,
        start,
        start + length,
        place,
        seconds_of(sure, f"{place}: confidence"),
    )
