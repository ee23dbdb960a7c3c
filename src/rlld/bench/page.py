"""What a benchmark came to, as a page: for the terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rlld.errors import RlldError
from rlld.report.tables import markdown_row
from rlld.tracking import Results, track_results
from rlld.utils import plain
from rlld.utils.console import OUT
from rlld.utils.files import write_text

NOTHING = "-"
NAME_WIDTH = 12
"""Characters of a row's name that a narrow terminal shows at least, before it folds."""


LATEX = str.maketrans(
    {
        **{mark: f"\\{mark}" for mark in "#$%&_{}"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "±": r"$\pm$",
    }
)
"""What LaTeX takes for a command, as it prints it."""


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


@dataclass(frozen=True)
class Page:
    """Everything that a benchmark shows and writes.

    Attributes:
        title: What is compared.
        command: What made it.
        blocks: Its tables.
        remarks: The sentences under them.
        sheet: All figures as CSV.
        report: Everything, JSON-ready, each run included.
        by_hand: Commands that train runs of it without the benchmark.
        failures: Why runs came to nothing.
        means: What trackers show, by name.
        config: What trackers are told besides.
    """

    title: str
    command: str
    blocks: tuple[Block, ...]
    remarks: tuple[str, ...]
    sheet: str
    report: Mapping[str, Any]
    by_hand: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    means: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


def terminal(found: Sequence[Block]) -> list[Table]:
    """Returns blocks as tables for the terminal."""
    return [_table(block) for block in found]


def _table(block: Block) -> Table:
    """Returns a table of which no column vanishes where it is wider than the terminal."""
    between = 2 * len(block.heads)  # padding, and the blank rules of the box
    room = OUT.width - between
    columns = list(zip(block.heads, *block.rows, strict=True))
    names = [number == 0 or any(map(_is_text, column[1:])) for number, column in enumerate(columns)]
    fits = sum(max(map(len, column)) for column in columns) <= room
    if sum(map(_least, columns, names)) > room:
        columns = [
            (head, *(cells if is_name else map(_folded, cells)))
            for (head, *cells), is_name in zip(columns, names, strict=True)
        ]
    least = list(map(_least, columns, names))
    table = Table(
        title=block.title,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        width=sum(least) + between if sum(least) > room else None,
    )
    for (head, *_), is_name, width in zip(columns, names, least, strict=True):
        if is_name:  # long names and words take several lines
            table.add_column(head, overflow="fold", min_width=width)
        else:  # figures take one, their heads several where there is no room
            table.add_column(head, justify="right", width=None if fits else width)
    for row in zip(*(cells for _, *cells in columns), strict=True):
        table.add_row(*row)
    return table


def _folded(cell: str) -> str:
    """Puts an interval, or a deviation, under its figure."""
    return re.sub(r" (?=[\[(])", "\n", cell)


def _least(column: Sequence[str], is_name: bool) -> int:
    """Returns in how many characters a column can be read: figures as they are, words cut."""
    head, *cells = column
    if is_name:
        return min(NAME_WIDTH, max(map(len, column)))
    lines = [line for cell in cells for line in cell.split("\n")]
    return max(map(len, (*lines, *head.split())), default=0)


def _is_text(cell: str) -> bool:
    """Whether a cell is words, which may be cut into lines, and no figure with its interval."""
    return len(cell) > NAME_WIDTH and re.search("[A-Za-z]{2}", cell) is not None


def block_markdown(block: Block) -> str:
    """Returns a block as Markdown under its title."""
    lines = [markdown_row(block.heads), "|--|" + "--:|" * (len(block.heads) - 1)]
    return f"## {block.title}\n\n" + "\n".join(lines + [markdown_row(row) for row in block.rows])


def markdown(page: Page) -> str:
    """Returns a page as Markdown."""
    parts = [f"# {page.title}", f"```\n{page.command}\n```"]
    parts += [block_markdown(block) for block in page.blocks]
    parts.append("\n".join(f"- {remark}" for remark in page.remarks))
    if page.by_hand:
        commands = "\n".join(page.by_hand)
        parts.append(f"The first run of each row, by hand:\n\n```\n{commands}\n```")
    return "\n\n".join(parts) + "\n"


def latex(page: Page) -> str:
    """Returns the tables of a page as LaTeX (package booktabs)."""
    parts = [f"% {page.command}", *(f"% {remark}" for remark in page.remarks)]
    parts += [block_latex(block) for block in page.blocks]
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


def json_text(page: Page) -> str:
    """Returns everything as JSON, each run included."""
    return plain.json_text(page.report, page.title, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Page], str]] = {
    "md": markdown,
    "csv": lambda page: page.sheet,
    "json": json_text,
    "tex": latex,
}


def print_page(page: Page) -> None:
    """Prints the tables of a page and the sentences under them."""
    for table in terminal(page.blocks):
        OUT.print(table)
    for remark in page.remarks:
        OUT.print(remark)


def write_page(page: Page, out: Path, stem: str) -> list[Path]:
    """Writes a page in every format and returns the files."""
    paths = []
    for suffix, form in FORMATS.items():
        paths.append(out / f"{stem}.{suffix}")
        write_text(paths[-1], form(page))
    return paths


def show(
    page: Page,
    out: Path,
    stem: str,
    figures: Sequence[Path] = (),
    log: Sequence[str] = (),
) -> None:
    """Prints a page, writes it in every format and gives it to trackers.

    Args:
        page: What to show.
        out: Folder of the files.
        stem: Their name without suffix.
        figures: What was drawn of it.
        log: Trackers, see ``rlld.tracking``.

    Raises:
        RlldError: If runs failed, after everything else was shown and written.
    """
    paths = write_page(page, out, stem)
    print_page(page)
    OUT.print(f"written: {', '.join(map(str, paths))}")
    results = Results(dict(page.means), (*figures, *paths))
    track_results(log, out, stem, {"command": page.command, **page.config}, results)
    count = len(page.failures)
    if count:
        raise RlldError(
            f"{count} runs failed, the first with: {page.failures[0]}; the others are in "
            "the table, and the same command tries again"
        )


def _ampersand(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(LATEX) for cell in cells) + r" \\"
