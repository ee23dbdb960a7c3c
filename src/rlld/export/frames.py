"""Frames of cutting programs: how long one lasts, exactly."""

from __future__ import annotations

from fractions import Fraction

from rlld.errors import RlldError

NTSC = Fraction(1001, 1000)
"""Of a whole frame's length, where a rate is called 23.976, 29.97 or 59.94."""


def frame_of(fps: float) -> Fraction:
    """Returns the seconds of a frame.

    Args:
        fps: Frames per second: a whole number, or one of NTSC, rounded as people write it.

    Raises:
        RlldError: If no sequence has such a rate.

    Examples:
        >>> frame_of(25), frame_of(29.97)
        (Fraction(1, 25), Fraction(1001, 30000))
    """
    base = round(fps)
    whole = Fraction(1, base)
    if abs(fps - base) <= 1e-6:
        return whole
    if abs(fps - float(1 / (whole * NTSC))) <= 0.005:
        return whole * NTSC
    raise RlldError(
        f"--fps: {fps:g} is no rate of a sequence; expected a whole number, or 23.976, 29.97, 59.94"
    )
