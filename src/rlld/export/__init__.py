"""Annotation formats, one module each: ``NAME_events.py`` is the format ``NAME``.

A module holds ``dumps(parse) -> str`` and ``loads(text, where)``, its way back; ``SUFFIX`` of its
files, and in ``MANY`` whether one holds many clips: ``dumps(*parses)``. Adding a module adds the
format; nothing else is edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from rlld.errors import RlldError, nearest
from rlld.parsing.result import Event, Parse

_SUFFIX = "_events"


class Format(Protocol):
    """What a format module offers."""

    SUFFIX: str
    MANY: bool

    def dumps(self, *parses: Parse) -> str:
        """Returns the text of a file; of one parse where the format holds no more."""

    def loads(self, text: str, where: str) -> Parse | dict[str, tuple[Event, ...]]:
        """Reads such a text; ``where`` names it in messages.

        The events stand under the names of their clips, under ``""`` where a file names none.
        """


def format_names() -> list[str]:
    """Returns the known formats, sorted."""
    return sorted(
        module.name.removesuffix(_SUFFIX)
        for module in pkgutil.iter_modules(__path__)
        if module.name.endswith(_SUFFIX)
    )


def formats_with(suffix: str) -> list[str]:
    """Returns the formats whose files have a suffix, written as one likes, without its dot."""
    return [name for name in format_names() if load_format(name).SUFFIX.lower() == suffix.lower()]


def load_format(name: str) -> Format:
    """Returns the module of a format.

    Raises:
        RlldError: If there is none of that name.
    """
    known = format_names()
    if name not in known:
        raise RlldError(f"unknown format {name!r}{nearest(name, known)}")
    return cast(Format, importlib.import_module(f"{__name__}.{name}{_SUFFIX}"))
