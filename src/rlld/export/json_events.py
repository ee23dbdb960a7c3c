"""JSON: the complete parse, and back without loss."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from rlld.errors import RlldError
from rlld.parsing.result import Parse
from rlld.utils.config import from_dict, to_dict
from rlld.utils.plain import json_text, json_value

SUFFIX = "json"
JOINT = True
MANY = False
FORMAT = "rlld.parse"
VERSION = 1
MOST = 1 + 1e-6
"""What a probability is at most; a mean of many that are 1 may come out above by a rounding."""


def dumps(parse: Parse) -> str:
    """Returns a parse as JSON: the fields of ``Parse`` with a format name and version."""
    data = {"format": FORMAT, "version": VERSION, **to_dict(parse)}
    return json_text(data, parse.name, ensure_ascii=False) + "\n"


def loads(text: str, where: str) -> Parse:
    """Reads a parse.

    Args:
        text: The text that ``dumps`` wrote.
        where: Its file, for messages.

    Raises:
        RlldError: If it is no JSON, no parse, from a newer version or inconsistent.
    """
    data = json_value(text, where)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise RlldError(f"{where}: no parse of rlld (its 'format' is not {FORMAT!r})")
    version = data.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise RlldError(
            f"{where}: parse version {version!r}, this rlld reads up to {VERSION}; update rlld"
        )
    fields = {key: value for key, value in data.items() if key not in ("format", "version")}
    parse = from_dict(Parse, fields, where)
    _check(parse, where)
    return parse


def _check(parse: Parse, where: str) -> None:
    classes = len(parse.classes)
    if len(parse.gates) != 2 or any(len(row) != classes for row in parse.gates):
        raise RlldError(f"{where}: gates: expected 2 rows of {classes} values, one per class")
    _require_probabilities(parse.gates, f"{where}: gates")
    for number, segment in enumerate(parse.probabilities):
        place = f"{where}: probabilities[{number}]"
        if len(segment) != 2 or any(len(row) != classes for row in segment):
            raise RlldError(f"{place}: expected 2 rows of {classes} values")
        _require_probabilities(segment, place)
    for number, event in enumerate(parse.events):
        place = f"{where}: events[{number}]"
        if event.label not in parse.classes:
            raise RlldError(f"{place}: label {event.label!r} is none of the classes")
        if not 0 <= event.start < event.end:
            raise RlldError(f"{place}: expected 0 <= start < end, found {event.start}, {event.end}")
        _require_probabilities([[event.confidence]], f"{place}: confidence")


def _require_probabilities(rows: Iterable[Iterable[float]], place: str) -> None:
    for value in chain.from_iterable(rows):
        if not 0 <= value <= MOST:
            raise RlldError(f"{place}: expected probabilities in [0, 1], found {value:g}")
