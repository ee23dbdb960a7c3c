"""Reading and writing the tables that data sets are published in."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rlld.data.lines import read_bytes
from rlld.errors import RlldError
from rlld.utils.files import write_text
from rlld.utils.sheets import SheetError, read_sheet


def text_at(path: Path) -> str:
    """Returns the text of a published file.

    Raises:
        RlldError: If it is missing or no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RlldError(f"{path}: no UTF-8 text ({error.reason}); give it as published") from None


def rows_of(path: Path, columns: Sequence[str], delimiter: str = "\t") -> Iterator[tuple[str, Row]]:
    """Yields place and cells, stripped, of every row of a table with a header.

    Columns may stand in any order, and others beside them.

    Raises:
        RlldError: If the file is missing, a column is, or a row has too few cells.
    """
    rows = cells_of(path, delimiter)
    _, header = next(rows, ("", []))
    missing = [name for name in columns if name not in header]
    if missing:
        shown = delimiter.join(header)[:80]
        raise RlldError(
            f"{path}: has no column {missing[0]!r}, expected {', '.join(columns)}, found "
            f"{shown!r}; give the file as published, its header line included"
        )
    at = {name: header.index(name) for name in header}
    for place, cells in rows:
        if len(cells) < len(header):
            raise RlldError(
                f"{place}: expected {len(header)} cells ({', '.join(header)}), found {len(cells)}; "
                "give the file as published"
            )
        yield place, {name: cells[number] for name, number in at.items()}


Row = Mapping[str, str]
"""Cells by column."""


def cells_of(path: Path, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Yields place and cells, stripped, of every line that is not blank.

    Raises:
        RlldError: If the file is missing or no such table.
    """
    text = text_at(path)
    try:
        for line, cells in read_sheet(text, delimiter):
            if any(cell.strip() for cell in cells):
                yield f"{path}:{line}", [cell.strip() for cell in cells]
    except SheetError as error:
        raise RlldError(f"{path}:{error.line}: {error.text}") from None


def seconds_at(cell: str, place: str, column: str) -> float:
    """Returns a number of seconds.

    Raises:
        RlldError: If a cell is none.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise RlldError(
            f"{place}: {column} is {cell!r}, expected seconds; give the file as published"
        )
    return value


def split_names(cell: str) -> list[str]:
    """Returns the names that a cell joins by commas, stripped."""
    return [name for name in (part.strip() for part in cell.split(",")) if name]


def write_rows(path: Path, rows: Iterable[Sequence[str]], delimiter: str = "\t") -> None:
    """Writes a table as it is published, cells quoted only where they must be."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def file_in(folder: Path, name: str, what: str) -> Path:
    """Returns a published file: in a folder, or given itself.

    Raises:
        RlldError: If it is not there.
    """
    path = folder if folder.is_file() else folder / name
    if not path.is_file():
        raise RlldError(f"{path}: no such file; give the folder that holds {what}")
    return path
