"""What others call the classes of a data set: a table of their names and ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlld.data.imported import alike, class_of
from rlld.data.lines import read_bytes
from rlld.errors import RlldError
from rlld.utils.sheets import SheetError, read_sheet

COLUMNS = ("theirs", "ours")
LEFT_OUT = "-"
"""Stands for a class of ours where theirs means none, so that its events do not count."""


def read_names(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """Reads what others call classes.

    Args:
        path: A table of two columns, ``theirs`` and ``ours``, separated by commas, or by tabs in a
            ``.tsv``. Several of their names may mean one class; ``-`` leaves a name out.
        classes: The classes of the data set.

    Returns:
        The class by their name, ``-`` for those that are left out.

    Raises:
        RlldError: If it cannot be read, a row has not two names, a name means two classes, or a
            class is unknown.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        rows = [(line, [cell.strip() for cell in row]) for line, row in read_sheet(text, delimiter)]
    except UnicodeDecodeError:
        raise RlldError(f"{path}: is no text in UTF-8; save the table as such") from None
    except SheetError as error:
        raise RlldError(f"{path}:{error.line}: {error.text}") from None
    rows = [(line, cells) for line, cells in rows if any(cells)]
    if not rows or rows[0][1] != list(COLUMNS):
        found = ", ".join(rows[0][1]) if rows else "nothing"
        raise RlldError(f"{path}: expected the columns theirs, ours; found {found[:80]!r}")
    names: dict[str, str] = {}
    for line, cells in rows[1:]:
        if len(cells) != len(COLUMNS) or not all(cells):
            raise RlldError(
                f"{path}:{line}: expected their name and ours, found {cells}; write - for ours "
                "where a name is to be left out"
            )
        theirs, ours = cells
        meant = ours if ours == LEFT_OUT else class_of(ours, classes, f"{path}:{line}", "")
        if names.setdefault(theirs, meant) != meant:
            raise RlldError(
                f"{path}:{line}: {theirs!r} means {names[theirs]!r} above and {meant!r} here; keep "
                "one of them"
            )
    return names


def meant_by(
    label: str, names: Mapping[str, str], classes: Sequence[str], place: str, advice: str
) -> str | None:
    """Returns the class that a label of others means, None where it is left out.

    Args:
        label: What a file calls it.
        names: What ``read_names`` read; a name that is not in it is looked for among the classes.
        classes: The classes of the data set.
        place: Where it stands, for the message.
        advice: What is said of the consequence, and what to do.

    Raises:
        RlldError: If it means none, or may mean two.
    """
    found = (label,) if label in names else alike(label, {name: name for name in names})
    meant = {names[name] for name in found}
    if not meant:
        return class_of(label, classes, place, advice)
    if len(meant) > 1:
        raise RlldError(f"{place}: {label!r} may be {' or '.join(map(repr, found))}{advice}")
    (one,) = meant
    return None if one == LEFT_OUT else one
