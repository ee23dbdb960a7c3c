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


def clock(value: float, duration: float) -> str:
    """Writes a time within a clip as its page does: seconds, from 90 s on ``18:54``, ``1:02:03.5``.

    Args:
        value: Seconds from the start of the clip.
        duration: Seconds of the clip.
    """
    if duration < 90:
        return seconds(value)
    hundredths = round(100 * value)
    minutes, rest = divmod(hundredths, 6000)
    text = f"{rest / 100:05.2f}".removesuffix("0").removesuffix(".0")
    if duration < 3600:
        return f"{minutes:02}:{text}"
    return f"{minutes // 60}:{minutes % 60:02}:{text}"


def plain(name: str) -> str:
    """Returns a class name as prose: ``Baby laughter``."""
    return name.replace("_", " ")
