"""Figures of scores: methods beside each other, each as PNG and SVG (see ``figures``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rlld.report.figures import COLOURS, GREY, GRID, MARKERS, PALE, canvas, draw_panels, save

APART = 0.16
"""Distance of two methods of one row, in rows."""
OURS, PUBLISHED = "ours (95 % interval)", "published on LLP"


@dataclass(frozen=True)
class Mark:
    """A score of a method.

    Attributes:
        mean: Our mean over runs, in percent; None where there is none.
        low: Lower end of its interval.
        high: Upper end.
        published: The printed score; None where there is none.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    published: float | None = None


def score_dots(
    path_stem: Path,
    methods: Sequence[str],
    panels: Mapping[str, Sequence[Mark]],
    title: str,
) -> list[Path]:
    """Draws a dot with its interval for each method, one panel beside the other.

    Args:
        path_stem: Path without suffix.
        methods: Row titles from top to bottom.
        panels: One mark for each method by panel title.
        title: Title of the figure.

    Returns:
        The PNG and the SVG.
    """
    with canvas(2.4 + 3.4 * len(panels), 1.4 + 0.27 * len(methods)) as figure:
        draw_panels(figure, methods, panels, _dots, "F-score (%)", title)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=2, frameon=False)
        return save(figure, path_stem)


def score_series(
    path_stem: Path,
    rows: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[Mark]]],
    title: str,
) -> list[Path]:
    """Draws dots with their intervals of several methods in each row, panels beside each other.

    Args:
        path_stem: Path without suffix.
        rows: Row titles from top to bottom.
        panels: For each panel title one mark for each row by method; all panels have the same
            methods.
        title: Title of the figure.

    Returns:
        The PNG and the SVG.
    """
    with canvas(2.4 + 3.4 * len(panels), 1.6 + 0.34 * len(rows)) as figure:
        draw_panels(figure, rows, panels, _series, "F-score (%)", title)
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        return save(figure, path_stem)


def score_bars(
    path_stem: Path,
    scores: Sequence[str],
    methods: Mapping[str, Sequence[Mark]],
    title: str,
) -> list[Path]:
    """Draws two methods beside each other for every score, with what was printed of them.

    Args:
        path_stem: Path without suffix.
        scores: Titles of the groups of bars.
        methods: One mark for each score by method, at most two methods.
        title: Title of the figure.

    Returns:
        The PNG and the SVG.
    """
    width = 0.76 / len(methods)
    with canvas(7.2, 4.0) as figure:
        axis = figure.subplots()
        for number, (name, marks) in enumerate(methods.items()):
            shift = (number - (len(methods) - 1) / 2) * width
            _bars(axis, [at + shift for at in range(len(marks))], marks, width, name, number)
        axis.set_xticks(range(len(scores)), scores)
        axis.set_ylabel("F-score (%)")
        axis.set_ylim(0, 100)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.set_title(title, loc="left")
        handles, names = axis.get_legend_handles_labels()
        if any(mark.published is not None for marks in methods.values() for mark in marks):
            handles.append(_hollow())
            names.append(PUBLISHED)
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
        return save(figure, path_stem)


def _dots(axis: Axes, marks: Sequence[Mark]) -> None:
    for row, mark in enumerate(marks):
        if mark.published is not None:
            axis.plot(mark.published, row, "D", mfc="white", mec=GREY, ms=4.5)
        _reach(axis, mark, row, COLOURS[0])
        if mark.mean is not None:
            axis.plot(mark.mean, row, "o", color=COLOURS[0], ms=5)
    _lines(axis)


def _series(axis: Axes, series: Mapping[str, Sequence[Mark]]) -> None:
    for number, (name, marks) in enumerate(series.items()):
        colour, shift = COLOURS[number % len(COLOURS)], APART * (number - (len(series) - 1) / 2)
        for row, mark in enumerate(marks):
            _reach(axis, mark, row + shift, colour)
        known = [(mark.mean, row) for row, mark in enumerate(marks) if mark.mean is not None]
        means, places = [mean for mean, _ in known], [row + shift for _, row in known]
        shape = MARKERS[number % len(MARKERS)]
        axis.plot(means, places, shape, color=colour, ms=4, label=name)
    _lines(axis)


def _reach(axis: Axes, mark: Mark, place: float, colour: str) -> None:
    if mark.low is not None and mark.high is not None:
        axis.plot([mark.low, mark.high], [place, place], color=colour, lw=1.6, alpha=0.6)


def _lines(axis: Axes) -> None:
    axis.grid(axis="both", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)


def _bars(
    axis: Axes,
    places: Sequence[float],
    marks: Sequence[Mark],
    width: float,
    name: str,
    number: int,
) -> None:
    heights = [mark.mean or 0.0 for mark in marks]
    axis.bar(places, heights, width, color=(PALE, COLOURS[0])[number], label=name)
    for place, mark in zip(places, marks, strict=True):
        if mark.low is not None and mark.high is not None:
            axis.plot([place, place], [mark.low, mark.high], color=GREY, lw=1.2)
        if mark.published is not None:
            axis.plot(place, mark.published, "D", mfc="white", mec=GREY, ms=4.5)


def _hollow() -> Line2D:
    return Line2D([], [], ls="", marker="D", mfc="white", mec=GREY, ms=4.5, label=PUBLISHED)


def _legend() -> list[Line2D]:
    return [Line2D([], [], ls="", marker="o", color=COLOURS[0], ms=5, label=OURS), _hollow()]
