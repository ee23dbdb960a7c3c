"""Comparisons under each other: a row for each, a column for every method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlld.bench.comparison import HEADLINES, Comparison, MethodRow
from rlld.bench.page import NOTHING, Block, Page
from rlld.bench.statistics import Estimate
from rlld.bench.tables import (
    SHEET_HEADS,
    csv_rows,
    interval_remark,
    interval_text,
    mean_text,
    means,
)
from rlld.report.score_figures import Mark, score_series
from rlld.utils.sheets import sheet_text

FLAG = "!"


@dataclass(frozen=True)
class Grid:
    """Comparisons of the same methods, each with its own terms and data.

    Attributes:
        stem: Name of its files.
        title: What is compared.
        heading: What a row is.
        comparisons: By the title of their row; all have the same baseline.
        command: What made them.
        notes: What the reader has to know.
        flags: Whether a difference to the baseline is to be marked.
        flagged: What the mark says.
    """

    stem: str
    title: str
    heading: str
    comparisons: Mapping[str, Comparison]
    command: str
    notes: tuple[str, ...]
    flags: Callable[[Estimate], bool]
    flagged: str

    @property
    def methods(self) -> list[str]:
        """The columns, in the order in which they appear."""
        rows = (row.method for each in self.comparisons.values() for row in each.rows)
        return list(dict.fromkeys(rows))

    @property
    def baseline(self) -> str:
        """The column that differences refer to."""
        return next(iter(self.comparisons.values())).baseline

    def row(self, name: str, method: str) -> MethodRow | None:
        """Returns the runs of a method in a row, None where it has none there."""
        rows = self.comparisons[name].rows
        return next((row for row in rows if row.method == method), None)

    def difference(self, name: str, method: str, measure: str) -> Estimate | None:
        """Returns a method less the baseline of its row."""
        row = self.row(name, method)
        return None if row is None else self.comparisons[name].difference(row, measure)

    def marked(self) -> list[str]:
        """Returns the differences that bear the mark, a phrase each."""
        return [
            f"{name}, {method}, {_level(measure)} Type {interval_text(found)}"
            for measure in HEADLINES
            for name in self.comparisons
            for method in self.methods
            if (found := self.difference(name, method, measure)) and self.flags(found)
        ]


def page_of_grid(grid: Grid) -> Page:
    """Returns a grid as a page."""
    failures = tuple(reason for each in grid.comparisons.values() for reason in each.failures)
    marked = grid.marked()
    told = "; ".join(marked) if marked else "nowhere"
    sheet: list[Sequence[str | float]] = [
        [grid.heading, *SHEET_HEADS],
        *([name, *row] for name, each in grid.comparisons.items() for row in csv_rows(each)),
    ]
    report = {
        "title": grid.title,
        "command": grid.command,
        "notes": list(grid.notes),
        "flagged": {"what": grid.flagged, "where": marked},
        "rows": {name: each.as_dict() for name, each in grid.comparisons.items()},
    }
    rows = [row for each in grid.comparisons.values() for row in each.rows]
    return Page(
        grid.title,
        grid.command,
        tuple(block for measure in HEADLINES for block in _blocks(grid, measure)),
        (
            *grid.notes,
            interval_remark(next(iter(grid.comparisons.values()))),
            f"{FLAG} {grid.flagged}: {told}.",
            *(f"Failed: {reason}" for reason in failures),
        ),
        sheet_text(sheet, ","),
        report,
        tuple(row.commands[0] for row in rows if row.commands),
        failures,
        {
            f"{name}/{key}": value
            for name, each in grid.comparisons.items()
            for key, value in means(each).items()
        },
    )


def draw_grid(grid: Grid, stem: Path) -> list[Path]:
    """Draws the headline scores; returns PNG and SVG."""
    panels = {
        f"{_level(measure)}-level Type": {
            method: [
                mark_of(row.estimate(measure) if (row := grid.row(name, method)) else None)
                for name in grid.comparisons
            ]
            for method in grid.methods
        }
        for measure in HEADLINES
    }
    return score_series(stem, list(grid.comparisons), panels, grid.title)


def mark_of(found: Estimate | None, published: float | None = None) -> Mark:
    """Returns a mean with its interval, where there is one, to be drawn."""
    if found is None:
        return Mark(None, published=published)
    if not found.has_interval:
        return Mark(found.mean, published=published)
    return Mark(found.mean, found.low, found.high, published)


def _blocks(grid: Grid, measure: str) -> tuple[Block, Block]:
    others = [method for method in grid.methods if method != grid.baseline]
    title = f"{_level(measure).capitalize()}-level Type"
    scores = tuple(
        (
            name,
            *(
                mean_text(row, measure) if (row := grid.row(name, method)) else NOTHING
                for method in grid.methods
            ),
        )
        for name in grid.comparisons
    )
    differences = tuple(
        (name, *(_difference(grid, name, method, measure) for method in others))
        for name in grid.comparisons
    )
    return (
        Block(f"{title}, mean over runs", (grid.heading, *grid.methods), scores),
        Block(f"{title}, difference to {grid.baseline}", (grid.heading, *others), differences),
    )


def _difference(grid: Grid, name: str, method: str, measure: str) -> str:
    found = grid.difference(name, method, measure)
    marked = found is not None and grid.flags(found)
    return interval_text(found) + (f" {FLAG}" if marked else "")


def _level(measure: str) -> str:
    return measure.split("_")[0]
