"""Fields of JSON that another program wrote: of the kind that is expected, or refused by place."""

from __future__ import annotations

from typing import Any

from rlld.errors import RlldError
from rlld.utils.plain import kind_of

KINDS = {dict: "a mapping", list: "a list", str: "a text", float: "a number"}


def as_kind(value: Any, kind: type, place: str) -> Any:
    """Returns a value of a kind; a number is a float, whole or not.

    Raises:
        RlldError: If it is of another.
    """
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float or not isinstance(value, kind):
        raise RlldError(f"{place}: expected {KINDS[kind]}, found {kind_of(value)}")
    return value


def mapping(value: Any, place: str) -> dict[str, Any]:
    """Returns a mapping."""
    found: dict[str, Any] = as_kind(value, dict, place)
    return found


def items(value: Any, place: str) -> list[tuple[str, Any]]:
    """Returns the items of a list, each with its place."""
    found: list[Any] = as_kind(value, list, place)
    return [(f"{place}[{number}]", item) for number, item in enumerate(found)]


def text_of(value: Any, place: str) -> str:
    """Returns a text."""
    found: str = as_kind(value, str, place)
    return found


def seconds_of(value: Any, place: str) -> float:
    """Returns a number."""
    found: float = as_kind(value, float, place)
    return found
