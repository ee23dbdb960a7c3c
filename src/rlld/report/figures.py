"""Figures for reports: bars per class, and curves with intervals; each as PNG and SVG.

Drawn off screen (Agg), with colours that colour-blind people tell apart (Okabe and Ito) on a
white ground. The same numbers give the same bytes on one machine: no dates, no random ids.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rlld.errors import visible
from rlld.utils.console import ERR
from rlld.utils.files import written_aside

Series = TypeVar("Series")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PALE = "#A6C8E0"
"""The second of two bars: lighter than the first one, also in grey."""
GREY, GRID = "#555555", "#DDDDDD"
DPI = 150
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
USUAL = "DejaVu Sans"
WIDE = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR", "Hiragino Sans", "Yu Gothic"),
    *("Microsoft YaHei", "Malgun Gothic", "PingFang SC", "WenQuanYi Micro Hei", "Arial Unicode MS"),
    *("Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji", "Segoe UI Emoji"),
)
"""Fonts with letters that the usual one lacks, on the systems that there are."""
GLYPH = r"Glyph (\d+) "
"""How matplotlib's warning of a missing letter begins."""
SHOWN = 12
"""Most letters that a message shows."""
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "svg.hashsalt": "rlld",
    "text.parse_math": False,  # a name with dollar signs is a name
}


@dataclass(frozen=True)
class Curve:
    """A line with its interval.

    Attributes:
        x: Positions, ascending.
        mean: Values.
        low: Lower ends of the 95 % intervals.
        high: Upper ends.

    Raises:
        ValueError: If the lengths differ, ``x`` does not ascend or nothing is given.
    """

    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    def __post_init__(self) -> None:
        if not self.x or not len(self.x) == len(self.mean) == len(self.low) == len(self.high):
            raise ValueError("a curve needs as many means, lower and upper ends as positions")
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError(f"the positions of a curve must ascend, found {list(self.x)}")


def class_bars(
    path_stem: Path,
    classes: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[float | None]]],
    x_label: str,
    title: str,
) -> list[Path]:
    """Draws horizontal bars per class, one panel beside the other.

    Args:
        path_stem: Path without suffix.
        classes: Row titles from top to bottom.
        panels: For each panel title one or two series by name, in percent, one value for each
            class; None is shown as a dash. All panels have the same series.
        x_label: What the bars measure.
        title: Title of the figure.

    Returns:
        The PNG and the SVG.
    """
    height = 1.5 + 0.27 * len(classes)
    with canvas(3.2 + 3.2 * len(panels), height) as figure:
        draw_panels(figure, classes, panels, _bar_panel, x_label, title)
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        return save(figure, path_stem)


def draw_panels(
    figure: Figure,
    rows: Sequence[str],
    panels: Mapping[str, Series],
    draw: Callable[[Axes, Series], None],
    x_label: str,
    title: str,
) -> None:
    """Draws panels of the same rows beside each other.

    Args:
        figure: Where to draw.
        rows: Titles from top to bottom; row n lies at y = n.
        panels: What each panel shows, by its title.
        draw: Draws what one panel shows.
        x_label: What the x axes measure.
        title: Title of the figure.
    """
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (name, series) in zip(axes, panels.items(), strict=True):
        draw(axis, series)
        axis.set_title(name, loc="left")
        axis.set_xlabel(x_label)
    axes[0].set_yticks(range(len(rows)), [visible(row) for row in rows])
    axes[0].set_ylim(len(rows) - 0.45, -0.55)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)


def learning_curve(
    path_stem: Path, series: Mapping[str, Curve], x_label: str, y_label: str, title: str
) -> list[Path]:
    """Draws one line for each method with its 95 % interval, labelled at its right end.

    The x axis is logarithmic beyond its smallest positive position where the positions span more
    than a factor of 10, so that 0, 10, 25 and 649 annotated videos all find room.

    Args:
        path_stem: Path without suffix.
        series: Curves by the name of the method; one of a single position is shown as a point
            with an error bar.
        x_label: What the x axis counts.
        y_label: What the y axis measures.
        title: Title of the figure.

    Returns:
        The PNG and the SVG.

    Raises:
        ValueError: If there is no curve.
    """
    if not series:
        raise ValueError("a learning curve needs at least one series")
    with canvas(8.2, 4.8) as figure:
        axis = figure.subplots()
        positions = sorted({float(x) for curve in series.values() for x in curve.x})
        _x_axis(axis, positions)
        for number, curve in enumerate(series.values()):
            _line(axis, curve, number)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label)
        axis.set_title(title, loc="left")
        figure.canvas.draw()
        _label_ends(axis, series)
        return save(figure, path_stem)


def training_curves(
    path_stem: Path,
    panels: Mapping[str, Mapping[str, Curve]],
    x_label: str,
    y_label: str,
    title: str,
) -> list[Path]:
    """Draws one line for each method over the course of its training, with its band.

    Args:
        path_stem: Path without suffix.
        panels: Curves by the name of the method, by panel title. Panels have y axes of their own;
            all have the same methods.
        x_label: What the x axes count.
        y_label: What the y axes measure.
        title: Title of the figure.

    Returns:
        The PNG and the SVG.

    Raises:
        ValueError: If there is no curve.
    """
    if not any(panels.values()):
        raise ValueError("training curves need at least one series")
    with canvas(1.2 + 4.2 * len(panels), 4.2) as figure:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (name, series) in zip(axes, panels.items(), strict=True):
            for number, (method, curve) in enumerate(series.items()):
                colour, style = _colour(number)
                axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
                axis.plot(curve.x, curve.mean, style, color=colour, label=method)
            axis.margins(x=0.01)
            axis.grid(axis="y", color=GRID, linewidth=0.8)
            axis.set_axisbelow(True)
            axis.set_title(name, loc="left", fontweight="normal")
            axis.set_xlabel(x_label)
        axes[0].set_ylabel(y_label)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        return save(figure, path_stem)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Moves positions as little as needed so that neighbours keep a distance.

    Args:
        wanted: Positions, in any order.
        gap: Least distance between two of the results.

    Returns:
        The new positions, in the order of ``wanted`` and sorted alike; groups that touch are
        centred where they would like to be (least squares).
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups: list[tuple[float, int]] = []  # (wanted position of the first member, members)
    for rank, index in enumerate(order):
        # Less its rank times the gap, a position may equal its neighbour's but not lie below it.
        mean, size = wanted[index] - rank * gap, 1
        while groups and groups[-1][0] > mean:
            before, members = groups.pop()
            mean = (before * members + mean * size) / (members + size)
            size += members
        groups.append((mean, size))
    flat = [mean for mean, size in groups for _ in range(size)]
    result = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        result[index] = flat[rank] + rank * gap
    return result


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """Yields an empty figure in the style of all figures; sizes in inches."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | {"font.family": _families()})
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure


def save(figure: Figure, path_stem: Path) -> list[Path]:
    """Writes a figure as PNG and SVG beside each other and returns both paths."""
    paths = []
    for kind, metadata in METADATA.items():
        path = path_stem.with_name(f"{path_stem.name}.{kind}")
        for text in figure.findobj(Text):
            text.set_text(visible(text.get_text()))
        with written_aside(path) as aside, _missing_letters():
            figure.savefig(aside, format=kind, dpi=DPI, metadata=metadata)
        paths.append(path)
    return paths


@cache
def _families() -> list[str]:
    """Returns the usual font, and those of this machine that have letters which it lacks."""
    there = {font.name for font in fontManager.ttflist}
    return [USUAL, *(name for name in WIDE if name in there)]


_told: set[str] = set()


@contextmanager
def _missing_letters() -> Iterator[None]:
    """Says once, in a sentence, which letters no font of this machine has."""
    with warnings.catch_warnings(record=True) as found:
        warnings.filterwarnings("always", GLYPH, UserWarning)
        yield
    marks = set()
    for warning in found:
        number = re.match(GLYPH, str(warning.message))
        if number is None:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        else:
            marks.add(chr(int(number[1])))
    if fresh := sorted(marks - _told):
        _told.update(fresh)
        ERR.print(
            f"figures: no font of this machine has {' '.join(fresh[:SHOWN])}, which are drawn as "
            "boxes; install one that does, such as Noto Sans CJK"
        )


def _bar_panel(axis: Axes, series: Mapping[str, Sequence[float | None]]) -> None:
    thickness = 0.76 / len(series)
    for number, (name, values) in enumerate(series.items()):
        shift = (number - (len(series) - 1) / 2) * thickness
        rows = [row + shift for row in range(len(values))]
        colour = (COLOURS[0], PALE)[number]
        widths = [0.0 if value is None else value for value in values]
        axis.barh(rows, widths, thickness, color=colour, label=name)
        for row, value in zip(rows, values, strict=True):
            if value is None:
                axis.text(1, row, "-", va="center", ha="left", fontsize=7, color=GREY)
    axis.set_xlim(0, 100)
    axis.set_xticks(range(0, 101, 25))
    axis.grid(axis="x", color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)


def _x_axis(axis: Axes, positions: Sequence[float]) -> None:
    positive = [x for x in positions if x > 0]
    if positive and positive[-1] > 10 * positive[0]:
        axis.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
        axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_locator(FixedLocator(list(positions)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _colour(number: int) -> tuple[str, str]:
    """Returns the colour of a line and, once the colours are used up, another style."""
    return COLOURS[number % len(COLOURS)], "-" if number < len(COLOURS) else "--"


def _line(axis: Axes, curve: Curve, number: int) -> None:
    colour, style = _colour(number)
    marker = MARKERS[number % len(MARKERS)]
    if len(curve.x) == 1:
        reach = [[curve.mean[0] - curve.low[0]], [curve.high[0] - curve.mean[0]]]
        axis.errorbar(curve.x, curve.mean, yerr=reach, color=colour, marker=marker, capsize=3)
        return
    axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(curve.x, curve.mean, style, color=colour, marker=marker, markersize=4)


def _label_ends(axis: Axes, series: Mapping[str, Curve]) -> None:
    """Writes the names at the right margin, apart from each other, with a line to the end."""
    low, high = axis.get_ylim()
    right = max(curve.x[-1] for curve in series.values())
    line_height = 12 * (high - low) / (axis.get_window_extent().height * 72 / axis.figure.dpi)
    places = spread([curve.mean[-1] for curve in series.values()], line_height)
    axis.set_ylim(min(low, *places), max(high, *places))
    for number, ((name, curve), place) in enumerate(zip(series.items(), places, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        axis.annotate(
            name,
            xy=(curve.x[-1], curve.mean[-1]),
            xytext=(1.03, place),
            textcoords=axis.get_yaxis_transform(),
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.7,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
                "linestyle": ":" if curve.x[-1] < right else "-",
            },
        )
