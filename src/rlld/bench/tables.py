"""A comparison as text: for the terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rlld.bench.comparison import HEADLINES, MEASURES, Comparison, MethodRow, PublishedScores
from rlld.bench.statistics import Estimate
from rlld.errors import RlldError
from rlld.metrics.scores import NAMES
from rlld.report.tables import KINDS
from rlld.tracking import Results, track_results
from rlld.types import MODALITIES
from rlld.utils import plain
from rlld.utils.console import OUT
from rlld.utils.files import write_text
from rlld.utils.sheets import sheet_text

NOTHING = "-"
WRONG = "*"
"""Marks a printed number that cannot be right; a remark says why."""
NAME_WIDTH = 12
"""Characters of a row's name that a narrow terminal shows at least, before it folds."""
SCORE_HEADS = tuple(
    f"{level} {head}" if number == 0 else head
    for level in ("seg", "ev")
    for number, head in enumerate(KINDS.values())
)
REMOVAL = {
    f"{modality}_{name}": f"{modality[0]} {head}"
    for name, head in (("f1", "F1"), ("auc", "AUC"), ("within_class_auc", "in-class AUC"))
    for modality in MODALITIES
}
"""Heads of the measures of noise detection; the last AUC is the mean over classes."""


@dataclass(frozen=True)
class Block:
    """One rectangle of text.

    Attributes:
        title: What stands above it.
        heads: Column titles; the first column is text, the others are numbers.
        rows: Its cells.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def blocks(comparison: Comparison) -> list[Block]:
    """Returns what every readable form shows; blocks without rows are left out."""
    headlines = (_headline(comparison, measure) for measure in HEADLINES)
    found = (_scores(comparison), *headlines, _removal(comparison), _published(comparison))
    return [block for block in found if block.rows]


def terminal(found: Sequence[Block]) -> list[Table]:
    """Returns blocks as tables for the terminal."""
    tables = []
    for block in found:
        table = Table(
            title=block.title,
            title_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for number, head in enumerate(block.heads):
            if number:
                table.add_column(head, justify="right", no_wrap=True)
            else:
                # A long name takes several lines; numbers stay whole where they can.
                table.add_column(head, overflow="fold", min_width=NAME_WIDTH)
        for row in block.rows:
            table.add_row(*row)
        tables.append(table)
    return tables


def block_markdown(block: Block) -> str:
    """Returns a block as Markdown under its title."""
    lines = [_bar(block.heads), "|--|" + "--:|" * (len(block.heads) - 1)]
    return f"## {block.title}\n\n" + "\n".join(lines + [_bar(row) for row in block.rows])


def remarks(comparison: Comparison) -> list[str]:
    """Returns the sentences under the tables."""
    data = ", ".join(f"{folder} ({code})" for folder, code in comparison.data.items())
    seeds = ", ".join(map(str, comparison.seeds))
    incomplete = [row for row in comparison.rows if row.failures]
    return [
        f"{comparison.terms}.",
        f"Data: {data}; seeds {seeds}; test split.",
        "Intervals: 95 %, paired bootstrap over the seeds of each data set.",
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


def markdown(comparison: Comparison) -> str:
    """Returns the comparison as Markdown."""
    parts = [f"# {comparison.title}", f"```\n{comparison.command}\n```"]
    parts += [block_markdown(block) for block in blocks(comparison)]
    parts.append("\n".join(f"- {remark}" for remark in remarks(comparison)))
    commands = [row.commands[0] for row in comparison.rows if row.commands]
    parts.append("The first run of each row, by hand:\n\n```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(parts) + "\n"


def latex(comparison: Comparison) -> str:
    """Returns the tables as LaTeX (package booktabs)."""
    parts = [f"% {comparison.command}", *(f"% {remark}" for remark in remarks(comparison))]
    parts += [block_latex(block) for block in blocks(comparison)]
    return "\n".join(parts) + "\n"


def block_latex(block: Block) -> str:
    """Returns a block as a LaTeX table (package booktabs)."""
    lines = [
        f"% {block.title}",
        rf"\begin{{tabular}}{{l{'r' * (len(block.heads) - 1)}}}",
        rf"\toprule {_ampersand(block.heads)}",
        r"\midrule",
        *(_ampersand(row) for row in block.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def csv_text(comparison: Comparison) -> str:
    """Returns one line per method and measure with all figures."""
    ends = ("mean", "low", "high")
    heads = ["method", "measure", "runs", *ends, "sd", *(f"difference_{end}" for end in ends)]
    rows: list[list[str | float]] = [
        [*heads, "published", "source", "updates", "selection", "data", "seeds"]
    ]
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
            figures = [found.mean, found.low, found.high, found.sd, *_ends(difference)]
            printed = known.scores.get(measure, "") if known else ""
            published = [str(printed), known.source if known else ""]
            cells = ["" if value is None else float(value) for value in figures]
            rows.append([row.method, measure, row.runs, *cells, *published, *common])
    return sheet_text(rows, ",")


def json_text(comparison: Comparison) -> str:
    """Returns everything as JSON, each run included."""
    data = comparison.as_dict()
    return plain.json_text(data, comparison.title, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "md": markdown,
    "csv": csv_text,
    "json": json_text,
    "tex": latex,
}


def write_tables(comparison: Comparison, out: Path, stem: str) -> list[Path]:
    """Writes a comparison in every format and returns the files."""
    paths = []
    for suffix, form in FORMATS.items():
        paths.append(out / f"{stem}.{suffix}")
        write_text(paths[-1], form(comparison))
    return paths


def show(
    comparison: Comparison,
    out: Path,
    stem: str,
    figures: Sequence[Path] = (),
    log: Sequence[str] = (),
) -> None:
    """Prints a comparison, writes it in every format and gives it to trackers.

    Args:
        comparison: The table.
        out: Folder of the files.
        stem: Their name without suffix.
        figures: What was drawn of it.
        log: Trackers, see ``rlld.tracking``.

    Raises:
        RlldError: If runs failed, after everything else was shown and written.
    """
    paths = write_tables(comparison, out, stem)
    for table in terminal(blocks(comparison)):
        OUT.print(table, soft_wrap=False)
    for remark in remarks(comparison):
        OUT.print(remark)
    OUT.print(f"written: {', '.join(map(str, paths))}")
    config = {"command": comparison.command, "terms": str(comparison.terms)}
    results = Results(_means(comparison), (*figures, *paths))
    track_results(log, out, stem, {**config, "data": comparison.data}, results)
    count = len(comparison.failures)
    if count:
        raise RlldError(
            f"{count} runs failed, the first with: {comparison.failures[0]}; the others are in "
            "the table, and the same command tries again"
        )


def _means(comparison: Comparison) -> dict[str, float]:
    return {
        f"{row.method}/{name}": found.mean
        for row in comparison.rows
        for name in row.values
        if (found := row.estimate(name)) is not None
    }


def _scores(comparison: Comparison) -> Block:
    rows = tuple((row.method, *(_mean(row, name) for name in NAMES)) for row in comparison.rows)
    title = "F-scores, mean over runs: segment level, then event level"
    return Block(title, ("method", *SCORE_HEADS), rows)


def _headline(comparison: Comparison, measure: str) -> Block:
    known = _known(comparison)
    columns = ("published",) if known else ()
    rows = []
    for row in comparison.rows:
        spread = _spread(row.estimate(measure))
        cells = [row.method, spread, _interval(comparison.difference(row, measure))]
        if known:
            cells.append(_printed(known.get(row.method), measure))
        rows.append(tuple(cells))
    level = measure.split("_")[0].capitalize()
    title = f"{level}-level Type: mean and standard deviation; difference to {comparison.baseline}"
    return Block(title, ("method", "Type", "difference", *columns), tuple(rows))


def _removal(comparison: Comparison) -> Block:
    rows = tuple(
        (row.method, *(_mean(row, name) for name in REMOVAL))
        for row in comparison.rows
        if any(name in row.values for name in REMOVAL)
    )
    return Block("Noise found among the training labels", ("method", *REMOVAL.values()), rows)


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


def _mean(row: MethodRow, measure: str) -> str:
    found = row.estimate(measure)
    return f"{found.mean:.1f}" if found else NOTHING


def _spread(found: Estimate | None) -> str:
    """A single run has no spread, which is not a spread of 0."""
    if found is None:
        return NOTHING
    return f"{found.mean:.1f}" + (f" ± {found.sd:.1f}" if found.runs > 1 else "")


def _interval(found: Estimate | None) -> str:
    if found is None:
        return NOTHING
    if not found.has_interval:
        return f"{found.mean:+.1f}"
    return f"{found.mean:+.1f} [{found.low:.1f}, {found.high:.1f}]"


def _ends(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (found.mean, found.low, found.high) if found else (None, None, None)


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ampersand(cells: Sequence[str]) -> str:
    marks = {"_": r"\_", "±": r"$\pm$", "&": r"\&", "%": r"\%"}
    text = " & ".join("".join(marks.get(mark, mark) for mark in cell) for cell in cells)
    return text + r" \\"
