"""A database that was damaged or is gone, made again from its last copy and its journal."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlld.errors import RlldError
from rlld.studio.tables import TABLES, insert, is_sealed, look
from rlld.utils.files import settle
from rlld.utils.plain import parsed

BESIDE = ("", "-wal", "-shm")
"""Files that SQLite keeps for a database, by what stands behind its name."""


def restored(path: Path, backup: Path, journal: Path) -> tuple[str, ...]:
    """Puts the last copy of a database in its place where it is damaged or gone.

    What is damaged is kept beside it. The journal is not read here; see ``replayed``.

    Args:
        path: The database.
        backup: Its copy of the last start.
        journal: What was added since.

    Returns:
        What was done, in a sentence; nothing where nothing was.
    """
    before = backup.is_file() or journal.is_file()
    found = look(path) if path.is_file() else "empty"
    if found == "sound" or (found == "empty" and not before):
        return ()
    told = f"{path}: was gone"
    if found == "damaged":
        mark = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        aside = path.with_name(f"damaged-{mark}.sqlite3")
        for end in BESIDE:
            if (file := path.with_name(path.name + end)).is_file():
                os.replace(file, aside.with_name(aside.name + end))
        told = f"{path}: was damaged, and is kept as {aside.name}"
    else:  # a log without its database belongs to none
        for end in BESIDE:
            path.with_name(path.name + end).unlink(missing_ok=True)
    if backup.is_file() and look(backup) == "sound":
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(backup, part)
        settle(part, path)
        return (f"{told}; everything was recovered from {backup.name} and {journal.name}",)
    return (f"{told}; {journal.name} alone was left to recover from, for no copy of it is sound",)


def replayed(base: sqlite3.Connection, journal: Path) -> int:
    """Adds what a journal holds and a database lacks; returns how many entries that were."""
    base.execute("begin immediate")
    added = sum(insert(base, table, row) for table, row in _entries(journal))
    base.execute("commit")
    return added


def _entries(journal: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields table and row of every line that is whole; the last may have been cut by a kill."""
    if not journal.is_file():
        return
    try:
        lines = journal.read_bytes().split(b"\n")
    except OSError as error:
        raise RlldError(f"{journal}: cannot be read ({error.strerror}); make it possible") from None
    for line in lines:
        try:
            table, row = parsed(line)
        except (ValueError, TypeError):
            continue
        if table in tuple(TABLES) and is_sealed(table, row):
            yield table, row
