"""How readers see what a parse says: modalities, times and classes as words."""

from __future__ import annotations

NAMES = {"audio": "audible", "visual": "visible", "audio_visual": "audio-visual"}
"""Modalities as readers know them."""


def seconds(value: float) -> str:
    """Writes seconds with at most two decimals: ``3``, ``2.5``, ``10.03``."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def length_text(value: float) -> str:
    """Writes a length of time: ``10.03 s``, ``15 min 0 s``, ``3 h 0 min 12 s``."""
    if value < 120:
        return f"{seconds(value)} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def plain(name: str) -> str:
    """Returns a class name as prose: ``Baby laughter``."""
    return name.replace("_", " ")
