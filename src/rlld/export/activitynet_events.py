"""ActivityNet's JSON of temporal action localisation; each segment says its modality too."""

from __future__ import annotations

from typing import Any

from rlld.errors import RlldError
from rlld.export.fields import items, mapping, seconds_of, text_of
from rlld.export.lanes import lanes, marked, modality_told
from rlld.parsing.result import Event, Parse
from rlld.utils.plain import json_text, json_value

SUFFIX = "json"
MANY = True
VERSION = "rlld"


def dumps(*parses: Parse) -> str:
    """Returns predictions as the evaluation takes them; times in seconds."""
    data = {
        "version": VERSION,
        "results": {parse.name: [_written(event) for event in lanes(parse)] for parse in parses},
        "external_data": {},
    }
    return json_text(data, "ActivityNet", ensure_ascii=False, indent=1) + "\n"


def _written(event: Event) -> dict[str, Any]:
    return {
        "label": event.label,
        "segment": [event.start, event.end],
        "score": event.confidence,
        "modality": event.modality,
    }


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads predictions (``results``) or annotation (``database``).

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality of segments without.

    Returns:
        The events by clip.

    Raises:
        RlldError: If it is no such JSON, or a segment has no times or modality.
    """
    data = json_value(text, where)
    if not isinstance(data, dict) or not {"results", "database"} & data.keys():
        raise RlldError(f"{where}: no JSON of ActivityNet, which has 'results' or 'database'")
    found = {}
    key = "results" if "results" in data else "database"
    for clip, entry in mapping(data[key], f"{where}: {key}").items():
        place = f"{where}: {key}: {clip!r}"
        rows = mapping(entry, place).get("annotations") if key == "database" else entry
        found[clip] = tuple(_read(row, where, at) for at, row in items(rows, place))
    return found


def _read(row: Any, where: str, place: str) -> Event:
    row = mapping(row, place)
    label = text_of(row.get("label"), f"{place}: label")
    times = [seconds_of(time, at) for at, time in items(row.get("segment"), f"{place}: segment")]
    if len(times) != 2:
        raise RlldError(f"{place}: segment: expected start and end, found {len(times)} numbers")
    told = text_of(row.get("modality", ""), f"{place}: modality")
    modality = modality_told(told, where, place)
    score = seconds_of(row.get("score", 1.0), f"{place}: score")
    return marked(label, modality, times[0], times[1], place, score)
