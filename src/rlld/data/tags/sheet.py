"""What every kind of tag file becomes: rows of cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Cell = str | tuple[str, ...]
"""A text, or a list that the file holds as one."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        line: Where it stands in the file, counted from 1.
        cells: Its cells.
    """

    line: int
    cells: tuple[Cell, ...]

    def text(self, column: int) -> str:
        """Returns a cell as text, empty where the row is too short."""
        cell = self.cells[column] if column < len(self.cells) else ""
        return cell if isinstance(cell, str) else ", ".join(cell)


@dataclass(frozen=True)
class Sheet:
    """A table as it was found.

    Attributes:
        path: The file.
        rows: Its rows without those that are empty; the first may be a header.
        header: Names of the columns where the file says them for certain (JSON); empty where the
            first row may hold them.
        notes: What the reader should know of how it was read.
    """

    path: Path
    rows: tuple[Row, ...]
    header: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Cells of the first row, which says how many columns there are."""
        return len(self.header) or len(self.rows[0].cells) if self.rows else 0
