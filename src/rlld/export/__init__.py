"""Annotation formats, one module each: ``NAME_events.py`` is the format ``NAME``.

A module holds ``dumps(parse) -> str`` and ``loads(text, where)``, its way back. Adding a module
adds the format; nothing else is edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Protocol, cast

from rlld.errors import RlldError, nearest
from rlld.parsing.result import Parse

_SUFFIX = "_events"


class Format(Protocol):
    """What a format module offers."""

    def dumps(self, parse: Parse) -> str:
        """Returns the text of a file."""

    def loads(self, text: str, where: str) -> Any:
        """Reads such a text; ``where`` names it in messages."""


def format_names() -> list[str]:
    """Returns the known formats, sorted."""
    return sorted(
        module.name.removesuffix(_SUFFIX)
        for module in pkgutil.iter_modules(__path__)
        if module.name.endswith(_SUFFIX)
    )


def load_format(name: str) -> Format:
    """Returns the module of a format.

    Raises:
        RlldError: If there is none of that name.
    """
    known = format_names()
    if name not in known:
        raise RlldError(f"unknown format {name!r}{nearest(name, known)}")
    return cast(Format, importlib.import_module(f"{__name__}.{name}{_SUFFIX}"))
