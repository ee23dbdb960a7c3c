"""Plain data (YAML, JSON) of files that anybody may have written: read within bounds.

Nothing here makes anything but mappings, lists, text, numbers, true, false and null. What small
files could blow up (aliases, nesting, endless digits) is refused before it is built, and no
number is NaN or infinite in JSON, which does not know them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from copy import deepcopy
from functools import lru_cache
from typing import Any, NoReturn

import yaml
from yaml.constructor import ConstructorError
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, Node

from rlld.errors import RlldError

MOST_VALUES = 20_000
"""Values in a YAML text; each takes a kilobyte and 0.1 ms to read."""
DEEPEST = 50
"""Levels of nesting; more than any settings have."""
MOST_BYTES = 4 << 20
"""Size of a YAML file."""

LARGEST_BITS = 1023
"""Of a whole number in JSON: whoever computes with a larger one fails far from where it stood."""

PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without what only harms: aliases, dates, sets, binary, repeated keys."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._values = self._level = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases (*name) are not read, values must be written out")
        self._values += 1
        self._level += 1
        if self._values > MOST_VALUES:
            self._refuse(f"more than {MOST_VALUES:,} values")
        if self._level > DEEPEST:
            self._refuse(f"nested more than {DEEPEST} levels deep")
        node: Node | None = super().compose_node(parent, index)
        self._level -= 1
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError):
            # PyYAML trusts that what looks like a number can be read as one.
            told = f"found what is no {node.tag.rpartition(':')[2]}"
            raise ConstructorError(None, None, told, node.start_mark) from None

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found = super().construct_mapping(node, deep=deep)
        if len(found) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next((key for key in keys if keys.count(key) > 1), keys[0])
            raise ConstructorError(
                None, None, f"{twice!r} is given more than once", node.start_mark
            )
        return found

    def _refuse(self, text: str) -> NoReturn:
        raise ConstructorError(None, None, text, self.peek_event().start_mark)  # type: ignore[no-untyped-call]


_Loader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in PLAIN
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag.rpartition(":")[2] in PLAIN]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def yaml_value(text: str, where: str, otherwise: str = "cannot be read") -> Any:
    """Reads a YAML text, such as the value of a setting.

    Args:
        text: The text.
        where: What it is, for messages.
        otherwise: What the message says of a text that is not YAML.

    Raises:
        RlldError: If it is not YAML of plain data, or holds aliases, too much or too deep.
    """
    if len(text) > MOST_BYTES:
        raise RlldError(f"{where}: {otherwise} (longer than {MOST_BYTES >> 20} MB); shorten it")
    try:
        return deepcopy(_loaded(text))
    except yaml.YAMLError as error:
        raise RlldError(f"{where}: {otherwise} ({_told(error)}); correct it") from None


@lru_cache(maxsize=64)
def _loaded(text: str) -> Any:
    # The same recipe and the same data set are read again for each run of a process.
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader with less


def _told(error: yaml.YAMLError) -> str:
    """Says where and what, without the excerpt of the text."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def parsed(text: str | bytes) -> Any:
    """Reads a JSON text for a reader that tells of damage itself.

    Raises:
        ValueError: If it is no JSON, nested without end, or holds a whole number that is larger
            than any float.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested without end") from None


def json_value(text: str | bytes, where: str) -> Any:
    """Reads a JSON text.

    Args:
        text: The text.
        where: What it is, for messages.

    Raises:
        RlldError: If it is no JSON, is nested without end, or holds NaN or an infinite number.
    """
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise RlldError(f"{where}: not valid JSON ({error}); write it again") from None


def json_text(data: Any, where: str, **layout: Any) -> str:
    """Returns plain data as JSON.

    Args:
        data: The data.
        where: What they are, for messages.
        layout: ``indent``, ``ensure_ascii`` and other options of ``json.dumps``.

    Raises:
        RlldError: If a number is NaN or infinite.
    """
    try:
        return json.dumps(data, allow_nan=False, **layout)
    except ValueError:
        raise RlldError(f"{where}: holds NaN or an infinite number; nothing is written") from None


def kind_of(value: Any) -> str:
    """Says what a plain value is, for messages: ``a list``, ``int 3``."""
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")


def _whole(text: str) -> int:
    value = int(text)
    if value.bit_length() > LARGEST_BITS:
        raise ValueError(f"a whole number of {len(text)} digits is larger than any float")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
