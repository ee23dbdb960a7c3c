"""Tag files of Excel and what writes its format: the values of a sheet, never its formulas."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from rlld.data.tags.names import ClipNames
from rlld.data.tags.sheet import Row, Sheet
from rlld.errors import RlldError, listed
from rlld.utils.extras import optional

MOST_BYTES = 128 << 20
"""Bytes of an unpacked workbook; a hundred thousand rows of two cells take a tenth of it."""
MOST_CELLS = 10_000_000
MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=\"([A-Z0-9:]{1,20})\"")
FORMULA = re.compile(rb"<(?:\w+:)?f[\s>]")
CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
ROW_END = re.compile(rb"</(?:\w+:)?row>")
COLUMNS = 16_384
"""Columns of a sheet of Excel."""
LOOK = 200
"""Rows by which sheets are compared."""


def read_excel_sheet(path: Path, names: ClipNames) -> Sheet:
    """Reads the sheet of a workbook that names most clips.

    Args:
        path: The file.
        names: The clips.

    Raises:
        RlldError: If it is no workbook, or merges cells, or the value of a formula is not in it.
    """
    openpyxl = optional("openpyxl", f"{path}: reading Excel's format")
    _require_size(path)
    try:
        values = openpyxl.load_workbook(path, read_only=True, data_only=True)
        with zipfile.ZipFile(path) as archive:
            sheets = [sheet for sheet in values.worksheets if hasattr(sheet, "iter_rows")]
            contents = {
                sheet.title: archive.read(str(sheet._worksheet_path).lstrip("/"))
                for sheet in sheets
            }
            for title, content in contents.items():
                _require_narrow(path, title, content)
            found = {sheet.title: _rows(path, sheet, LOOK) for sheet in sheets}
            title = max(found, key=lambda name: _named(found[name], names), default="")
            if not title:
                raise RlldError(f"{path}: has no sheet with cells")
            content = contents[title]
            _require_unmerged(path, title, content)
            rows = _rows(path, values[title], None)
            values.close()
            if FORMULA.search(content):
                formulas = openpyxl.load_workbook(path, read_only=True)
                _require_values(path, title, rows, formulas[title])
                formulas.close()
    except RlldError:
        raise
    except Exception as error:  # a hostile workbook fails in openpyxl in any way
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RlldError(
            f"{path}: cannot be read as a workbook ({reason}); save it again as .xlsx or .csv"
        ) from None
    others = [name for name in found if name != title and found[name]]
    notes = (f"{path.name}: sheet {title!r} is read, not {listed(others)}",) if others else ()
    return Sheet(path, tuple(row for row in rows if any(row.cells)), notes=notes)


def _require_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise RlldError(
            f"{path}: is no workbook ({error}); save it as .xlsx, without password, or as .csv"
        ) from None
    if size > MOST_BYTES:
        raise RlldError(
            f"{path}: holds {size >> 20:,} MB, more than the {MOST_BYTES >> 20} MB that are read; "
            "save the sheet of tags alone, or as .csv"
        )


def _require_narrow(path: Path, title: str, content: bytes) -> None:
    """Refuses rows of more cells than Excel has columns, each of which is built as a whole."""
    start = 0
    for end in (*(found.end() for found in ROW_END.finditer(content)), len(content)):
        cells = sum(1 for _ in islice(CELL.finditer(content, start, end), COLUMNS + 1))
        if cells > COLUMNS:
            raise RlldError(
                f"{path}: sheet {title!r} has a row of more than {COLUMNS:,} cells; save it as .csv"
            )
        start = end


def _rows(path: Path, sheet: Any, most: int | None) -> list[Row]:
    """Returns the rows of a sheet, the empty ones too, at most so many."""
    rows, cells = [], 0
    for line, found in enumerate(_values(sheet, most), 1):
        cells += len(found)
        if cells > MOST_CELLS:
            raise RlldError(f"{path}: has more than {MOST_CELLS:,} cells; save it as .csv")
        made = [_text(value) for value in found]
        while made and not made[-1]:
            made.pop()
        rows.append(Row(line, tuple(made)))
    return rows


def _values(sheet: Any, most: int | None) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()  # what a file says of them need not be so
    yield from sheet.iter_rows(values_only=True, max_row=most)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value).strip()


def _named(rows: list[Row], names: ClipNames) -> tuple[int, int]:
    clips = sum(any(names.find(row.text(at)).ids for at in range(len(row.cells))) for row in rows)
    return clips, len(rows)


def _require_unmerged(path: Path, title: str, content: bytes) -> None:
    if merged := MERGED.findall(content):
        areas = listed([area.decode() for area in merged[:5]])
        raise RlldError(
            f"{path}: sheet {title!r} has merged cells ({areas}), and which rows they speak of "
            "cannot be told; split them, and write into each row what holds for it"
        )


def _require_values(path: Path, title: str, rows: list[Row], formulas: Any) -> None:
    for row, found in zip(rows, _values(formulas, None), strict=False):
        for column, value in enumerate(found):
            if isinstance(value, str) and value.startswith("=") and not row.text(column):
                letter = chr(ord("A") + column) if column < 26 else f"column {column + 1}, row "
                raise RlldError(
                    f"{path}: cell {letter}{row.line} of sheet {title!r} is a formula whose value "
                    "the file does not hold; open it in a spreadsheet and save it, or save it as "
                    ".csv"
                )
