"""Tables that people open in a spreadsheet: cells that cannot act, and rows that are read back.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula. Ids and
class names come from anybody, and many ids of YouTube begin with ``-``; so such cells are written
behind an apostrophe, which reading takes off again.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

ACTING = re.compile(r"'*[=+\-@\t\r]")
"""How a cell begins that is guarded; apostrophes before it are its own."""
GUARDED = re.compile(r"'+[=+\-@\t\r]")
"""How a guarded cell begins."""
LONGEST = csv.field_size_limit()
"""Characters of a cell that the reader takes."""


class SheetError(Exception):
    """A line that cannot be read.

    Attributes:
        line: Line of the file, counted from 1, on which the row begins.
        text: What is wrong with it, and what to do.
    """

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def sheet_text(rows: Iterable[Sequence[str | float]], delimiter: str = "\t") -> str:
    """Returns rows of cells as text, the header first.

    Args:
        rows: The cells. Text is guarded; numbers are not, and have four decimals unless whole.
        delimiter: What separates cells.
    """
    text = io.StringIO()
    plain = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    # The module puts quotes around the line end that it writes, not around others.
    quoted = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [_cell(cell) for cell in row]
        writer = quoted if any("\r" in cell for cell in cells) else plain
        writer.writerow(cells)
    return text.getvalue()


def number_text(value: float) -> str:
    """Returns a number as text that reads back as the same one: ``3``, ``2.88``."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def read_sheet(text: str, delimiter: str = "\t") -> Iterator[tuple[int, list[str]]]:
    """Yields line number and cells of every row, the header too, as they were written.

    Args:
        text: The file. Cells that are not guarded are read as they stand.
        delimiter: What separates cells.

    Raises:
        SheetError: On a quote that is not closed, or a cell of more than ``LONGEST`` characters.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise SheetError(line, _reason(error)) from None
        if cells is None:
            return
        yield reader.line_num, [_bare(cell) for cell in cells]


def _cell(cell: str | float) -> str:
    if isinstance(cell, str):
        return f"'{cell}" if ACTING.match(cell) else cell
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def _bare(cell: str) -> str:
    return cell[1:] if GUARDED.match(cell) else cell


def _reason(error: csv.Error) -> str:
    if "field limit" in str(error):
        return (
            f"a cell has more than {LONGEST:,} characters, or its quote is not closed; correct the "
            "line"
        )
    return (
        f'a quote (") is not closed or not at the end of its cell ({error}); correct it, or write '
        "it twice in a cell that stands in quotes"
    )
