"""Tables 1 to 3 and Figures 2 to 5 of the paper: every system beside its published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlld.bench.comparison import HEADLINES, Comparison, MethodRow
from rlld.bench.grid import mark_of
from rlld.bench.jobs import Terms, common_terms
from rlld.bench.studies.denoisers import (
    SELECTION,
    Method,
    Settings,
    as_they_are,
    chosen,
    chosen_recipes,
    compared,
    require_row,
    trained,
    under,
)
from rlld.bench.typed import typed
from rlld.errors import RlldError
from rlld.metrics.scores import NAMES
from rlld.report.score_figures import Mark, score_bars, score_dots
from rlld.report.tables import KINDS

Conditions = Literal["equal", "own"]

PRINTED = (
    "ave",
    "avsdn",
    "han",
    "mm-pyramid",
    "han+coteaching",
    "han+jocor",
    "mgn",
    "cvcms",
    "dhhn",
    "ma",
    "jomold",
    "ma+cl",
    "jomold+cl",
    "rlld",
    "rlld+cl",
    "cpsp",
    "cpsp+rlld",
    "valor",
    "valor+rlld",
)
"""Recipes of the rows of Table 1, in its order."""
BESIDE = (
    *("poibin", "cmpae", "lsld", "vaplan", "weak", "constant", "supervised"),
    *("rlld-labelwise", "rlld-best"),
)
"""What the table lacks: later systems, the honest baselines and the recommended recipes."""
CLEANED = ("cpsp", "valor", "cmpae")
"""Systems that the table also shows under the recommended learner."""
TABLE2 = ("rlld-without-initialized-labels", "rlld-without-inter-reward", "rlld+cl")


@dataclass(frozen=True)
class Sheet:
    """A table of the paper.

    Attributes:
        title: What it compares.
        recipes: Its rows.
        baseline: Row that differences refer to.
        cleaned: Recipes with a further row each, in which ``rlld-labelwise`` is on top of them.
        notes: What the reader has to know besides.
    """

    title: str
    recipes: tuple[str, ...]
    baseline: str
    cleaned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


TABLES = {
    1: Sheet("Table 1: every system", (*PRINTED, *BESIDE), "han", CLEANED),
    2: Sheet(
        "Table 2: RLLD without one of its parts",
        TABLE2,
        "rlld+cl",
        notes=("rlld+cl is the full setting.",),
    ),
}


def table(
    number: int,
    settings: Settings,
    recipes: Sequence[str] | None = None,
    *,
    conditions: Conditions = "equal",
    baseline: str | None = None,
) -> Comparison:
    """Trains and compares the rows of a table.

    Args:
        number: 1 or 2.
        settings: Data, seeds and places.
        recipes: Rows in place of those of the table.
        conditions: ``equal`` gives every row the same updates and the same rule of selection;
            ``own`` leaves each recipe what was published with it, to reproduce numbers on LLP.
        baseline: Row that differences refer to; that of the table when None.

    Raises:
        RlldError: If a recipe is unknown, the baseline is no row, or data are wrong. A run that
            fails raises nothing; it stands in ``Comparison.failures``.
    """
    sheet = TABLES[number]
    names, notes = chosen_recipes(recipes, sheet.recipes, settings.data)
    base = baseline or (sheet.baseline if sheet.baseline in names else names[0])
    verb = f"table{number}{chosen(recipes)}"
    command = f"{_command(verb, settings, conditions)} {typed('--baseline', base)}"
    cleaned = () if recipes else sheet.cleaned
    methods = as_they_are(names) | dict(map(under, cleaned))
    told = (*sheet.notes, *notes)
    return _trained(sheet.title, command, methods, base, settings, conditions, told)


def _command(verb: str, settings: Settings, conditions: Conditions) -> str:
    return f"rlld bench {verb} {settings.command} --terms {conditions}"


def _trained(
    title: str,
    command: str,
    methods: Mapping[str, Method],
    baseline: str,
    settings: Settings,
    conditions: Conditions,
    notes: Sequence[str] = (),
) -> Comparison:
    terms = terms_of(settings, conditions)
    others, told = settings.foreign_rows(methods)
    require_row(baseline, [*methods, *(row.method for row in others)])
    return compared(
        title,
        [*trained(methods, settings, terms), *others],
        settings,
        terms,
        baseline=baseline,
        command=command,
        notes=[*notes, *told],
    )


def terms_of(settings: Settings, conditions: Conditions) -> Terms:
    """Returns what all rows have in common, nothing at ``own`` conditions.

    Raises:
        RlldError: If ``own`` goes with a number of updates, or ``equal`` finds none.
    """
    if conditions == "equal":
        return common_terms(settings.data, settings.updates, SELECTION)
    if settings.updates is not None:
        raise RlldError("--terms own leaves each recipe its length; drop --updates")
    return Terms(None, None)


@dataclass(frozen=True)
class Pair:
    """A figure: a system without and with RLLD.

    Attributes:
        alone: Recipe of the system.
        cleaned: Recipe of the system under RLLD.
        level: ``segment`` or ``event``.
    """

    alone: str
    cleaned: str
    level: str


FIGURES = {
    2: Pair("valor", "valor+rlld", "segment"),
    3: Pair("cpsp", "cpsp+rlld", "segment"),
    4: Pair("valor", "valor+rlld", "event"),
    5: Pair("cpsp", "cpsp+rlld", "event"),
}


def figure(number: int, settings: Settings, *, conditions: Conditions = "equal") -> Comparison:
    """Trains the two systems of a figure; see ``table``."""
    pair = FIGURES[number]
    methods = as_they_are((pair.alone, pair.cleaned))
    command = _command(f"figure{number}", settings, conditions)
    return _trained(f"Figure {number}", command, methods, pair.alone, settings, conditions)


def draw_figure(number: int, comparison: Comparison, stem: Path) -> list[Path]:
    """Draws what ``figure`` trained; returns PNG and SVG."""
    pair = FIGURES[number]
    names = [name for name in NAMES if name.startswith(f"{pair.level}_")]
    marks = {
        row.method: [_mark(comparison, row, name) for name in names] for row in comparison.rows
    }
    title = f"Figure {number}: {pair.alone} without and with RLLD, {pair.level} level"
    return score_bars(stem, list(KINDS.values()), marks, title)


def draw_table(comparison: Comparison, stem: Path) -> list[Path]:
    """Draws the headline scores of a table; returns PNG and SVG."""
    panels = {
        f"{name.split('_')[0]}-level Type": [
            _mark(comparison, row, name) for row in comparison.rows
        ]
        for name in HEADLINES
    }
    return score_dots(stem, [row.method for row in comparison.rows], panels, comparison.title)


def _mark(comparison: Comparison, row: MethodRow, name: str) -> Mark:
    known = comparison.published.get(row.method)
    return mark_of(row.estimate(name), known.scores[name] if known else None)
