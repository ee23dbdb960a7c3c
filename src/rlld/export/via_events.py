"""VGG Image Annotator 3, a page that annotates offline: attributes audible and visible."""

from __future__ import annotations

from mimetypes import guess_type
from typing import Any

from rlld.errors import RlldError
from rlld.export.fields import items, mapping, seconds_of, text_of
from rlld.export.lanes import lanes, marked, modality_of
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES
from rlld.types import MODALITIES
from rlld.utils.plain import json_text, json_value

SUFFIX = "json"
MANY = True
SELECT = 4
"""The type of an attribute of which one option is chosen."""
AUDIO, VIDEO = 8, 4
"""Types of files."""
BESIDE = 3
"""Where files are: at their paths."""


def dumps(*parses: Parse) -> str:
    """Returns a project with a view for each clip; times in seconds, exact."""
    classes = list(dict.fromkeys(label for parse in parses for label in parse.classes))
    options = {label: str(number) for number, label in enumerate(classes)}
    views = [str(number) for number in range(1, len(parses) + 1)]
    data = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "rlld",
            "creator": "rlld",
            "created": 0,
            "vid_list": views,
        },
        "config": {
            "file": {"loc_prefix": dict.fromkeys("1234", "")},
            "ui": {"file_content_align": "center", "file_metadata_editor_visible": True},
        },
        "attribute": {
            str(number): _attribute(modality, options)
            for number, modality in enumerate(MODALITIES, 1)
        },
        "file": {at: _file(at, parse) for at, parse in zip(views, parses, strict=True)},
        "metadata": _metadata(dict(zip(views, parses, strict=True)), options),
        "view": {at: {"fid_list": [int(at)]} for at in views},
    }
    return json_text(data, "VIA", ensure_ascii=False, indent=1) + "\n"


def _attribute(modality: str, options: dict[str, str]) -> dict[str, Any]:
    return {
        "aname": NAMES[modality],
        "anchor_id": "FILE1_Z2_XY0",
        "type": SELECT,
        "desc": "",
        "options": {number: label for label, number in options.items()},
        "default_option_id": "",
    }


def _file(number: str, parse: Parse) -> dict[str, Any]:
    kind = AUDIO if (guess_type(parse.name)[0] or "").startswith("audio/") else VIDEO
    return {
        "fid": int(number),
        "fname": parse.name,
        "type": kind,
        "loc": BESIDE,
        "src": parse.name,
    }


def _metadata(parses: dict[str, Parse], options: dict[str, str]) -> dict[str, Any]:
    attributes = {modality: str(number) for number, modality in enumerate(MODALITIES, 1)}
    rows = [(view, event) for view, parse in parses.items() for event in lanes(parse)]
    return {
        f"event{number:05}": {
            "vid": view,
            "flg": 0,
            "z": [event.start, event.end],
            "xy": [],
            "av": {attributes[event.modality]: options[event.label]},
        }
        for number, (view, event) in enumerate(rows, 1)
    }


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads a project; regions of pictures, and attributes of other names, are passed over.

    Args:
        text: The text that ``dumps`` or the annotator wrote.
        where: Its file, for messages.

    Returns:
        The events by clip.

    Raises:
        RlldError: If it is no project, or a span has no times or an option that is none.
    """
    data = json_value(text, where)
    if not isinstance(data, dict) or not {"project", "view", "metadata"} <= data.keys():
        raise RlldError(f"{where}: no project of VIA 3, which has 'project', 'view' and 'metadata'")
    clips = _clips(data, where)
    attributes = mapping(data.get("attribute"), f"{where}: attribute")
    found: dict[str, list[Event]] = {clip: [] for clip in clips.values()}
    for key, row in mapping(data["metadata"], f"{where}: metadata").items():
        place = f"{where}: metadata: {key!r}"
        row = mapping(row, place)
        times = [seconds_of(time, at) for at, time in items(row.get("z"), f"{place}: z")]
        if not times:
            continue
        if len(times) != 2 or row.get("vid") not in clips:
            raise RlldError(f"{place}: expected start and end in 'z', and a view in 'vid'")
        for attribute, option in mapping(row.get("av"), f"{place}: av").items():
            known = mapping(attributes.get(attribute), f"{where}: attribute {attribute!r}")
            modality = modality_of(text_of(known.get("aname"), f"{place}: aname"))
            if modality is None or option == "":
                continue
            label = mapping(known.get("options"), f"{where}: options").get(option)
            name = text_of(label, f"{place}: option {option!r}")
            found[clips[row["vid"]]].append(marked(name, modality, times[0], times[1], place))
    return {clip: tuple(events) for clip, events in found.items()}


def _clips(data: dict[str, Any], where: str) -> dict[str, str]:
    """Returns the clip of every view."""
    files = mapping(data.get("file"), f"{where}: file")
    clips: dict[str, str] = {}
    for view, entry in mapping(data["view"], f"{where}: view").items():
        place = f"{where}: view {view!r}"
        for at, number in items(mapping(entry, place).get("fid_list"), f"{place}: fid_list"):
            file = mapping(files.get(str(number)), f"{at}: file {number!r}")
            clips.setdefault(view, text_of(file.get("fname"), f"{at}: fname"))
    return clips
