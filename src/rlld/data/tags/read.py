"""Reading the tags of clips from a file of any kind that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rlld.data.tags.classes import said, split_tags
from rlld.data.tags.columns import NO, YES, Columns, find_columns
from rlld.data.tags.excel import read_excel_sheet
from rlld.data.tags.json_rows import read_json_lines, read_json_sheet
from rlld.data.tags.names import SUFFIX, ClipNames
from rlld.data.tags.sheet import Cell, Row, Sheet
from rlld.data.tags.text import read_text_sheet
from rlld.errors import RlldError, listed

READERS: dict[str, Callable[[Path, ClipNames], Sheet]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".tab"), read_text_sheet),
    **dict.fromkeys((".xlsx", ".xlsm"), read_excel_sheet),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".json": read_json_sheet,
}
"""Readers of tables by the suffix of their files."""


@dataclass(frozen=True)
class ClipTags:
    """Tags as they were found.

    Attributes:
        of: Tags by clip id, as they are spelled; nothing for a clip that is said to be empty.
        unknown: Clips that are named without any tag.
        strangers: Names that mean no clip, as they stand in the file.
        notes: How it was read, and what the reader should know.
    """

    of: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def is_tag_file(text: str) -> bool:
    """Says whether a word is the path of a tag file, not a list of classes."""
    return Path(text).suffix.lower() in READERS or Path(text).is_file()


def read_sheet_of(path: Path, names: ClipNames) -> Sheet:
    """Reads a table.

    Raises:
        RlldError: If there is no such file, or of no known kind, or it cannot be read.
    """
    if not path.is_file():
        raise RlldError(f"{path}: no such file; give a table of clips and their tags")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join(sorted(READERS))
        raise RlldError(
            f"{path}: is no table by its suffix, expected {kinds}; save it as .csv or .xlsx"
        )
    return _below_titles(reader(path, names), names)


TITLES = 5
"""Most lines that are looked at for a title above a table."""


def _below_titles(sheet: Sheet, names: ClipNames) -> Sheet:
    """Returns a sheet without the lines of one cell that stand above its header, and names them.

    A row of tags may have one cell, too: what is passed over, and the header below it, must name
    no clip.
    """
    filled = [[cell for cell in row.cells if cell] for row in sheet.rows[: TITLES + 1]]
    at = next((at for at, cells in enumerate(filled) if len(cells) > 1), 0)
    words = [word for cells in filled[: at + 1] for cell in cells for word in _words(cell)]
    if sheet.header or not at or any(SUFFIX.search(w) or names.find(w).ids for w in words):
        return sheet
    lines = listed([str(row.line) for row in sheet.rows[:at]])
    note = f"{sheet.path.name}: taken for a title above the table: line {lines}"
    return replace(sheet, rows=sheet.rows[at:], notes=(*sheet.notes, note))


def _words(cell: Cell) -> Sequence[str]:
    return (cell,) if isinstance(cell, str) else cell


def read_tags(path: Path, names: ClipNames, columns: str | None = None) -> ClipTags:
    """Reads the tags of clips.

    Args:
        path: The file.
        names: The clips.
        columns: Which columns are read, as the user says; see ``find_columns``.

    Raises:
        RlldError: If it cannot be read, or does not tell its columns apart.
    """
    sheet = read_sheet_of(path, names)
    found = find_columns(sheet, names, columns)
    rows = sheet.rows[found.first :]
    homes, strangers = homes_of(sheet.path, rows, found.clip, names)
    tags: dict[str, list[str]] = {}
    repeated = 0
    for row, video in homes:
        repeated += video in tags
        tags.setdefault(video, []).extend(_tags(path, row, found))
    of: dict[str, tuple[str, ...]] = {}
    for video, words in tags.items():
        told = said(words)
        if told is not None:
            of[video] = told
    notes = [*sheet.notes, f"{path.name}: columns {found}"]
    if repeated:
        notes.append(f"{repeated:,} rows name a clip again; the clip has the tags of all its rows")
    unknown = tuple(video for video in tags if video not in of)
    return ClipTags(of, unknown, strangers, tuple(notes))


def homes_of(
    path: Path, rows: Iterable[Row], column: int, names: ClipNames
) -> tuple[list[tuple[Row, str]], tuple[str, ...]]:
    """Returns every row with its clip, and the names that mean none.

    A clip that some rows name by more of its folders than others belongs to those: the others mean
    a clip that is not here.

    Args:
        path: The file, for messages.
        rows: Its rows.
        column: The column that names the clips.
        names: The clips.

    Raises:
        RlldError: If a name may mean several clips.
    """
    found = [(row, names.find(row.text(column))) for row in rows]
    nearest: dict[str, tuple[int, int]] = {}
    for _, what in found:
        if len(what.ids) == 1:
            video = what.ids[0]
            nearest[video] = min(what.distance, nearest.get(video, what.distance))
    homes, strangers = [], []
    for row, what in found:
        meant = [each for each in what.ids if what.distance <= nearest.get(each, what.distance)]
        if len(meant) > 1:
            paths = listed([repr(names.paths[video]) for video in meant])
            raise RlldError(
                f"{path}:{row.line}: {row.text(column)!r} may be {paths}; write the folder before "
                "the name"
            )
        if meant:
            homes.append((row, meant[0]))
        else:
            strangers.append(row.text(column) or f"line {row.line}")
    return homes, tuple(dict.fromkeys(strangers))


def _tags(path: Path, row: Row, columns: Columns) -> list[str]:
    if columns.classes:
        return _ticked(path, row, columns)
    cells = [row.cells[at] for at in columns.tags if at < len(row.cells)]
    if columns.tags[-1] == len(columns.names) - 1:  # clip, dog, cat: more tags than columns
        cells += row.cells[len(columns.names) :]
    return [tag for cell in cells for tag in split_tags(cell)]


def _ticked(path: Path, row: Row, columns: Columns) -> list[str]:
    """Returns the classes with a yes; a row that says no throughout is empty, one of blanks not."""
    cells = {at: row.text(at).casefold() for at in columns.classes}
    for at, cell in cells.items():
        if cell and cell not in YES | NO:
            raise RlldError(
                f"{path}:{row.line}: {columns.names[at]} is {row.text(at)!r}, expected 1 or 0 "
                "(yes or no, x or nothing); correct it"
            )
    tags = [columns.names[at] for at, cell in cells.items() if cell in YES]
    tags = [tag for name in tags for tag in split_tags((name,))]
    return tags or (["none"] if any(cell in NO for cell in cells.values()) else [])
