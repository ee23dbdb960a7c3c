"""Curves for pages: lines as shares of a panel, with round numbers at its edges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

POINTS = 400
"""Points of a line; more are not seen."""
STEPS = (1, 2, 2.5, 5, 10)
TICKS = 4


@dataclass(frozen=True)
class Tick:
    """A number at an edge.

    Attributes:
        text: The number.
        at: Its place in percent, from the left or from the top.
    """

    text: str
    at: float


@dataclass(frozen=True)
class Panel:
    """Lines over a common axis.

    Attributes:
        title: What is measured.
        lines: By name the points of an SVG polyline on a square of 1000 units.
        levels: By name the height of a horizontal line in percent from the top.
        x: Numbers below.
        y: Numbers at the left.
        mark: Place of the selected weights in percent; None where they are not known.
        said: What a screen reader says.
    """

    title: str
    lines: Mapping[str, str]
    levels: Mapping[str, float]
    x: Sequence[Tick]
    y: Sequence[Tick]
    mark: float | None
    said: str


def panel(
    title: str,
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    levels: Mapping[str, float] | None = None,
    mark: float | None = None,
) -> Panel:
    """Lays lines out.

    Args:
        title: What is measured.
        x: Positions, ascending.
        lines: Values at these positions, by name, finite.
        levels: Values of horizontal lines, by name.
        mark: A position to mark.
    """
    levels = levels or {}
    values = [value for line in lines.values() for value in line] + list(levels.values())
    low_x, high_x = 0.0, float(x[-1])
    steps = round_numbers(min(values), max(values))
    low, high = steps[0], steps[-1]

    def across(value: float) -> float:
        return 100 * (value - low_x) / (high_x - low_x or 1)

    def down(value: float) -> float:
        return 100 * (high - value) / (high - low)

    shown = sorted({round(n * (len(x) - 1) / (POINTS - 1)) for n in range(POINTS)})
    return Panel(
        title,
        {
            name: " ".join(f"{10 * across(x[n]):.1f},{10 * down(line[n]):.1f}" for n in shown)
            for name, line in lines.items()
        },
        {name: down(value) for name, value in levels.items()},
        [Tick(f"{n:g}", across(n)) for n in round_numbers(low_x, high_x) if n <= high_x],
        [Tick(f"{n:g}", down(n)) for n in steps],
        None if mark is None else across(mark),
        f"{title}: " + "; ".join(_said(name, line) for name, line in lines.items()),
    )


def round_numbers(low: float, high: float) -> list[float]:
    """Returns round numbers at equal distances, the first at or below, the last at or above.

    Examples:
        >>> round_numbers(0.31, 2.9)
        [0.0, 1.0, 2.0, 3.0]
        >>> round_numbers(5, 5)
        [5.0, 5.25]
    """
    spread = (high - low) or 1.0
    power = 10 ** math.floor(math.log10(spread / TICKS))
    step = next(power * each for each in STEPS if power * each * TICKS >= spread)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]


def _said(name: str, line: Sequence[float]) -> str:
    return f"{name} from {line[0]:.3g} to {line[-1]:.3g}, at most {max(line):.3g}"
