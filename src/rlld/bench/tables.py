"""A comparison as a page."""

from __future__ import annotations

from collections.abc import Mapping

from rlld.bench.comparison import HEADLINES, MEASURES, Comparison, MethodRow, PublishedScores
from rlld.bench.page import NOTHING, Block, Page
from rlld.bench.statistics import Estimate
from rlld.metrics.scores import NAMES
from rlld.report.tables import KINDS
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text

WRONG = "*"
"""Marks a printed number that cannot be right; a remark says why."""
SCORE_HEADS = tuple(
    f"{level} {head}" if number == 0 else head
    for level in ("seg", "ev")
    for number, head in enumerate(KINDS.values())
)
ENDS = ("mean", "low", "high")
SHEET_HEADS = (
    *("method", "measure", "runs", *ENDS, "sd", *(f"difference_{end}" for end in ENDS)),
    *("published", "source", "updates", "selection", "data", "seeds"),
)
VARIANTS = {
    f"{variant}_{level}_{kind}": f"{short} {head}"
    for level, short in (("segment", "seg"), ("event", "ev"))
    for variant, kind, head in (
        ("exclusive", "audio", "A only"),
        ("exclusive", "visual", "V only"),
        ("class_macro", "type", "Type by class"),
        ("micro", "type", "Type together"),
    )
}
"""Heads of the variants that the table shows; its sheet has all."""
REMOVAL = {
    f"{modality}_{name}": f"{modality[0]} {head}"
    for name, head in (("f1", "F1"), ("auc", "AUC"), ("within_class_auc", "in-class AUC"))
    for modality in MODALITIES
}
"""Heads of the measures of noise detection; the last AUC is the mean over classes."""


def page_of(comparison: Comparison) -> Page:
    """Returns a comparison as a page."""
    return Page(
        comparison.title,
        comparison.command,
        tuple(blocks(comparison)),
        tuple(remarks(comparison)),
        csv_text(comparison),
        comparison.as_dict(),
        tuple(row.commands[0] for row in comparison.rows if row.commands),
        tuple(comparison.failures),
        means(comparison),
        {"terms": str(comparison.terms), "data": comparison.data},
    )


def blocks(comparison: Comparison) -> list[Block]:
    """Returns what every readable form shows; blocks without rows are left out."""
    headlines = (_headline(comparison, measure) for measure in HEADLINES)
    found = (
        _scores(comparison),
        *headlines,
        _measured(comparison, "In other ways: see docs/metrics.md", VARIANTS),
        _measured(comparison, "Noise found among the training labels", REMOVAL),
        _published(comparison),
    )
    return [block for block in found if block.rows]


def remarks(comparison: Comparison) -> list[str]:
    """Returns the sentences under the tables."""
    data = ", ".join(f"{folder} ({code})" for folder, code in comparison.data.items())
    seeds = ", ".join(map(str, comparison.seeds))
    incomplete = [row for row in comparison.rows if row.failures]
    return [
        f"{comparison.terms}.",
        f"Data: {data}; seeds {seeds}; test split.",
        interval_remark(comparison),
        *comparison.notes,
        *(f"{row.method}: {row.runs} of {len(row.commands)} runs." for row in incomplete),
        *(f"Published, {name}: {known.source}." for name, known in _known(comparison).items()),
        *(
            f"{WRONG} {name}, {score.replace('_', ' ')}: {reason}."
            for name, known in _known(comparison).items()
            for score, reason in known.errors.items()
        ),
        *(f"Failed: {reason}" for reason in comparison.failures),
    ]


def interval_remark(comparison: Comparison) -> str:
    """Returns what intervals are of, or why there are none."""
    if len(comparison.seeds) > 1:
        return "Intervals: 95 %, paired bootstrap over the seeds of each data set."
    return "No intervals: one run on each data set tells nothing of chance."


def csv_text(comparison: Comparison) -> str:
    """Returns one line per method and measure with all figures."""
    return sheet_text([SHEET_HEADS, *csv_rows(comparison)], ",")


def csv_rows(comparison: Comparison) -> list[list[str | float]]:
    """Returns the lines of a sheet under ``SHEET_HEADS``."""
    rows: list[list[str | float]] = []
    terms = comparison.terms
    common = [
        "" if terms.updates is None else terms.updates,
        terms.selection or "",
        " ".join(comparison.data),
        " ".join(map(str, comparison.seeds)),
    ]
    for row in comparison.rows:
        known = comparison.published.get(row.method)
        for measure in MEASURES:
            found, difference = row.estimate(measure), comparison.difference(row, measure)
            if found is None:
                continue
            figures = [found.mean, *found.ends, found.spread, *_ends(difference)]
            printed = known.scores.get(measure, "") if known else ""
            published = [str(printed), known.source if known else ""]
            cells = ["" if value is None else float(value) for value in figures]
            rows.append([row.method, measure, row.runs, *cells, *published, *common])
    return rows


def means(comparison: Comparison) -> dict[str, float]:
    """Returns the mean of every measure by row and measure."""
    return {
        f"{row.method}/{name}": found.mean
        for row in comparison.rows
        for name in row.values
        if (found := row.estimate(name)) is not None
    }


def _scores(comparison: Comparison) -> Block:
    rows = tuple((row.method, *(mean_text(row, name) for name in NAMES)) for row in comparison.rows)
    title = "F-scores, mean over runs: segment level, then event level"
    return Block(title, ("method", *SCORE_HEADS), rows)


def _headline(comparison: Comparison, measure: str) -> Block:
    known = _known(comparison)
    columns = ("published",) if known else ()
    rows = []
    for row in comparison.rows:
        spread = spread_text(row.estimate(measure))
        cells = [row.method, spread, interval_text(comparison.difference(row, measure))]
        if known:
            cells.append(_printed(known.get(row.method), measure))
        rows.append(tuple(cells))
    level = measure.split("_")[0].capitalize()
    title = f"{level}-level Type: mean and standard deviation; difference to {comparison.baseline}"
    return Block(title, ("method", "Type", "difference", *columns), tuple(rows))


def _measured(comparison: Comparison, title: str, heads: Mapping[str, str]) -> Block:
    """Shows measures, by head, of the methods that have any of them."""
    rows = tuple(
        (row.method, *(mean_text(row, name) for name in heads))
        for row in comparison.rows
        if any(name in row.values for name in heads)
    )
    return Block(title, ("method", *heads.values()), rows)


def _published(comparison: Comparison) -> Block:
    rows = tuple(
        (name, *(_printed(known, score) for score in NAMES))
        for name, known in _known(comparison).items()
    )
    heads = ("method", *SCORE_HEADS)
    return Block("Published on LLP with its standard features", heads, rows)


def _known(comparison: Comparison) -> dict[str, PublishedScores]:
    return {
        row.method: comparison.published[row.method]
        for row in comparison.rows
        if row.method in comparison.published
    }


def _printed(known: PublishedScores | None, measure: str) -> str:
    if known is None:
        return NOTHING
    return f"{known.scores[measure]:.1f}" + (WRONG if measure in known.errors else "")


def mean_text(row: MethodRow, measure: str) -> str:
    """Returns the mean of a measure."""
    found = row.estimate(measure)
    return f"{found.mean:.1f}" if found else NOTHING


def spread_text(found: Estimate | None) -> str:
    """Returns a mean with its spread; a single run has none, which is not a spread of 0."""
    if found is None:
        return NOTHING
    return f"{found.mean:.1f}" + (f" ± {found.sd:.1f}" if found.runs > 1 else "")


def interval_text(found: Estimate | None) -> str:
    """Returns a difference with its interval, where it has one."""
    if found is None:
        return NOTHING
    if not found.has_interval:
        return f"{found.mean:+.1f}"
    return interval_of(found.mean, found.low, found.high)


def interval_of(value: float, low: float, high: float) -> str:
    """Returns a difference and the ends of its interval."""
    return f"{value:+.1f} [{low:.1f}, {high:.1f}]"


def _ends(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (found.mean, *found.ends) if found else (None, None, None)
