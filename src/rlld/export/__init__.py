"""Annotation formats, one module each: ``NAME_events.py`` is the format ``NAME``.

A module holds ``dumps(parse) -> str`` and ``loads(text, where)``, its way back; ``SUFFIX`` of its
files, and in ``MANY`` whether one holds many clips: ``dumps(*parses)``. Where times are counted in
frames it says ``FRAMES = True``, and both take ``fps``; where audio-visual events stand beside
those that they follow from, ``JOINT = True``; where files hold probabilities and no events, so that
nothing comes back, ``SCORES = True``. Adding a module adds the format; nothing else is
edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from rlld.errors import RlldError, nearest
from rlld.parsing.result import Event, Parse

_SUFFIX = "_events"
MOST_FRAMES = 1000


class Format(Protocol):
    """What a format module offers."""

    SUFFIX: str
    MANY: bool

    def dumps(self, *parses: Parse, **rate: float) -> str:
        """Returns the text of a file; of one parse where the format holds no more."""

    def loads(self, text: str, where: str, **rate: float) -> Parse | dict[str, tuple[Event, ...]]:
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


def event_formats() -> list[str]:
    """Returns those that hold events, which come back from them."""
    return [name for name in format_names() if not getattr(load_format(name), "SCORES", False)]


def formats_with(suffix: str) -> list[str]:
    """Returns the formats of events whose files have a suffix, in any letters, without its dot."""
    return [name for name in event_formats() if load_format(name).SUFFIX.lower() == suffix.lower()]


def rate_of(name: str, fps: float | None) -> dict[str, float]:
    """Returns what ``dumps`` and ``loads`` of a format take for a number of frames per second.

    Args:
        name: The format.
        fps: The number; that of the format when not given.

    Raises:
        RlldError: If the format counts no frames, or there are none per second.
    """
    if fps is None:
        return {}
    if not getattr(load_format(name), "FRAMES", False):
        counting = [each for each in format_names() if getattr(load_format(each), "FRAMES", False)]
        raise RlldError(f"--fps: {name} counts no frames; formats that do: {', '.join(counting)}")
    if not 1 <= fps <= MOST_FRAMES:
        raise RlldError(f"--fps: expected 1 to {MOST_FRAMES:,} frames per second, found {fps:g}")
    return {"fps": fps}


def load_format(name: str) -> Format:
    """Returns the module of a format.

    Raises:
        RlldError: If there is none of that name.
    """
    known = format_names()
    if name not in known:
        raise RlldError(f"unknown format {name!r}{nearest(name, known)}")
    return cast(Format, importlib.import_module(f"{__name__}.{name}{_SUFFIX}"))
