"""Tag files of JSON: a list of mappings, one such mapping a line, or a mapping of clips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlld.data.lines import read_bytes
from rlld.data.tags.names import ClipNames
from rlld.data.tags.sheet import Cell, Row, Sheet
from rlld.data.tags.text import decoded
from rlld.errors import RlldError
from rlld.utils.plain import json_value, kind_of

NAME, TAGS = "clip", "tags"
"""Columns of a mapping of clips, which names none."""


def read_json_sheet(path: Path, names: ClipNames) -> Sheet:
    """Reads ``[{"file": "a.mp4", "tags": ["dog"]}, ...]`` or ``{"a.mp4": ["dog"], ...}``.

    Args:
        path: The file.
        names: The clips, by which nothing needs to be told here.

    Raises:
        RlldError: If it is no JSON of that form.
    """
    text, notes = decoded(path, read_bytes(path))
    data = json_value(text, str(path))
    if isinstance(data, Mapping):
        inner = [value for value in data.values() if _is_table(value)]
        if len(inner) == 1:
            data = inner[0]
        else:
            return _of_clips(path, data, notes)
    if not isinstance(data, list):
        raise RlldError(f"{path}: holds {kind_of(data)}, expected a list or mapping of clips")
    return _table(path, list(enumerate(data, 1)), notes)


def read_json_lines(path: Path, names: ClipNames) -> Sheet:
    """Reads one ``{"file": "a.mp4", "tags": ["dog"]}`` a line; see ``read_json_sheet``."""
    text, notes = decoded(path, read_bytes(path))
    lines = [(line, part) for line, part in enumerate(text.split("\n"), 1) if part.strip()]
    return _table(path, [(line, json_value(part, f"{path}:{line}")) for line, part in lines], notes)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _table(path: Path, entries: list[tuple[int, Any]], notes: tuple[str, ...]) -> Sheet:
    header: dict[str, None] = {}
    for line, entry in entries:
        if not isinstance(entry, Mapping):
            raise RlldError(
                f"{path}:{line}: found {kind_of(entry)}, expected a mapping such as "
                '{"file": "a.mp4", "tags": ["dog"]}'
            )
        header |= dict.fromkeys(_flat(entry))
    rows = []
    for line, entry in entries:
        flat = _flat(entry)
        cells = tuple(_cell(path, line, flat.get(name)) for name in header)
        if any(cells):
            rows.append(Row(line, cells))
    return Sheet(path, tuple(rows), tuple(header), notes)


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an entry whose mappings of classes stand beside its other fields."""
    flat: dict[str, Any] = {}
    for name, value in entry.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat


def _of_clips(path: Path, data: Mapping[str, Any], notes: tuple[str, ...]) -> Sheet:
    if data and all(isinstance(value, Mapping) for value in data.values()):
        entries = [{NAME: clip, **value} for clip, value in data.items()]
        return _table(path, list(enumerate(entries, 1)), notes)
    rows = tuple(
        Row(line, (clip, _cell(path, line, value)))
        for line, (clip, value) in enumerate(data.items(), 1)
    )
    return Sheet(path, rows, (NAME, TAGS), notes)


def _cell(path: Path, line: int, value: Any) -> Cell:
    if isinstance(value, list):
        if any(isinstance(part, list | dict) for part in value):
            raise RlldError(
                f'{path}:{line}: found a list in a list, expected tags such as ["dog", "cat"]'
            )
        return tuple(str(part) for part in value if part is not None)
    if isinstance(value, dict):
        raise RlldError(f"{path}:{line}: found a mapping in a mapping, expected tags; flatten it")
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value).strip()
