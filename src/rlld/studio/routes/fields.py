"""What is read of a request: of its address, and of the mapping that it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from rlld.errors import RlldError
from rlld.export.fields import KINDS
from rlld.studio.clips import NotFoundError
from rlld.studio.people import person_of
from rlld.utils.plain import json_value, kind_of

REQUIRED = object()
WORDS = {**KINDS, bool: "true or false", int: "a whole number"}


def field(data: Mapping[str, Any], name: str, kind: type, otherwise: Any = REQUIRED) -> Any:
    """Returns a field of a kind; where it may be left out, null leaves it out too.

    Raises:
        RlldError: If it is of another kind, or missing.
    """
    value = data.get(name)
    if value is None and otherwise is not REQUIRED:
        return otherwise
    fits = isinstance(value, int | float if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise RlldError(f"{name}: expected {WORDS[kind]}, found {kind_of(value)}")
    return float(value) if kind is float else value  # type: ignore[arg-type]


def person(data: Mapping[str, Any]) -> str:
    """Returns who asks or sends.

    Raises:
        RlldError: If nobody says it, or it is no name.
    """
    return person_of(field(data, "person", str))


def asker(request: Request) -> str:
    """Returns who asks, empty where nobody says it."""
    return person_of(name) if (name := request.query_params.get("person", "")) else ""


def number(request: Request, name: str, otherwise: float) -> float:
    """Returns a number of the address.

    Raises:
        RlldError: If it is none, or below 0.
    """
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    value = json_value(text, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise RlldError(f"{name}: expected a number of 0 or more, found {text!r}")
    return float(value)


def clip_id(request: Request) -> str:
    """Returns the id in the address.

    Raises:
        NotFoundError: If it is no text.
    """
    try:
        return unquote(request.path_params["id"], errors="strict")
    except UnicodeDecodeError:
        raise NotFoundError("the id in the address is no text in UTF-8") from None
