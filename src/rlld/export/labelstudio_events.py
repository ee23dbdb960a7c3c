"""Label Studio's tasks with a video timeline: the control tag ``audio`` or ``visual``; frames.

Frames are counted from 1, and the last one is part of a range. Their rate is one for a project:
that of ``frameRate`` in its labelling interface.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rlld.errors import RlldError
from rlld.export.fields import items, mapping, seconds_of, text_of
from rlld.export.lanes import FPS, lanes, marked, modality_told, ticks
from rlld.parsing.result import Event, Parse
from rlld.utils.plain import json_text, json_value

SUFFIX = "json"
MANY = True
FRAMES = True
KIND = "timelinelabels"
CONTROLS = ("audio", "visual")
UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of a file that was uploaded."""


def dumps(*parses: Parse, fps: float = FPS) -> str:
    """Returns a task for each parse, with its events as predictions to be corrected.

    Args:
        parses: The parses.
        fps: Frames per second of the project.
    """
    data = [_task(parse, fps) for parse in parses]
    return json_text(data, "Label Studio", ensure_ascii=False, indent=1) + "\n"


def _task(parse: Parse, fps: float) -> dict[str, Any]:
    events = lanes(parse)
    mean = sum(event.confidence for event in events) / len(events) if events else 0.0
    regions = [_region(number, event, fps) for number, event in enumerate(events, 1)]
    predicted = {"model_version": "rlld", "score": mean, "result": regions}
    return {"data": {"video": parse.name, "fps": fps}, "predictions": [predicted]}


def _region(number: int, event: Event, fps: float) -> dict[str, Any]:
    first, last = ticks(event, fps)
    return {
        "id": f"event{number:06}",
        "from_name": event.modality,
        "to_name": "video",
        "type": KIND,
        "value": {"ranges": [{"start": first + 1, "end": last}], KIND: [event.label]},
        "score": event.confidence,
    }


def loads(text: str, where: str, fps: float = FPS) -> dict[str, tuple[Event, ...]]:
    """Reads tasks: what people annotated, else the predictions; JSON and JSON-MIN.

    Args:
        text: The text that ``dumps`` or Label Studio wrote.
        where: Its file, for messages.
        fps: Frames per second of tasks that do not say it.

    Returns:
        The events by clip.

    Raises:
        RlldError: If it is no such JSON, two people annotated a task, or a region has no frames.
    """
    data = json_value(text, where)
    if not isinstance(data, list):
        raise RlldError(f"{where}: no tasks of Label Studio, which are a list; export JSON there")
    found: dict[str, list[Event]] = {}
    for place, task in items(data, where):
        task = mapping(task, place)
        source = mapping(task.get("data", task), f"{place}: data")
        name = _clip(text_of(source.get("video"), f"{place}: video"))
        rate = seconds_of(source.get("fps", fps), f"{place}: fps")
        if rate <= 0:
            raise RlldError(f"{place}: fps: expected frames per second, found {rate:g}")
        events = found.setdefault(name, [])
        for at, label, lane, span, score in _regions(task, place):
            start, end = (seconds_of(span.get(key), f"{at}: {key}") for key in ("start", "end"))
            modality = modality_told(lane, where, at)
            events.append(marked(label, modality, (start - 1) / rate, end / rate, at, score))
    return {name: tuple(events) for name, events in found.items()}


def _clip(address: str) -> str:
    name = re.split(r"[/\\]|\?d=", address)[-1]
    return UPLOADED.sub("", name, count=1)


Region = tuple[str, str, str, dict[str, Any], float]


def _regions(task: dict[str, Any], place: str) -> Iterator[Region]:
    """Yields place, class, control, range and score of every region of a task."""
    if "data" not in task:  # JSON-MIN
        for control in CONTROLS:
            for at, region in items(task.get(control) or [], f"{place}: {control}"):
                yield from _ranges(mapping(region, at), control, 1.0, at)
        return
    made = [
        (at, mapping(entry, at))
        for at, entry in items(task.get("annotations") or [], f"{place}: annotations")
    ]
    made = [(at, entry) for at, entry in made if not entry.get("was_cancelled")]
    if len(made) > 1:
        raise RlldError(f"{place}: has {len(made)} annotations; keep one, the others disagree")
    told = made or [
        (at, mapping(entry, at))
        for at, entry in items(task.get("predictions") or [], f"{place}: predictions")
    ]
    for at, entry in told[:1]:
        for spot, region in items(entry.get("result") or [], f"{at}: result"):
            region = mapping(region, spot)
            if region.get("type") != KIND:
                continue
            score = 1.0 if region.get("score") is None else region["score"]
            control = text_of(region.get("from_name"), f"{spot}: from_name")
            sure = 1.0 if made else seconds_of(score, f"{spot}: score")
            yield from _ranges(mapping(region.get("value"), spot), control, sure, spot)


def _ranges(value: dict[str, Any], control: str, score: float, place: str) -> Iterator[Region]:
    for _, label in items(value.get(KIND), f"{place}: {KIND}"):
        for at, span in items(value.get("ranges"), f"{place}: ranges"):
            yield at, text_of(label, f"{place}: {KIND}"), control, mapping(span, at), score
