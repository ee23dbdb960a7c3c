"""A database that was damaged or is gone, made again from its last copy and its journal."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlld.errors import RlldError
from rlld.utils.files import settle

BESIDE = ("", "-wal", "-shm")
"""Files that SQLite keeps for a database, by what stands behind its name."""


def tables_in(path: Path) -> int | None:
    """Returns how many tables a database has; None where it is damaged, or no database."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as base:
            found = base.execute("pragma quick_check").fetchone()
            count = base.execute("select count(*) from sqlite_master").fetchone()
            return int(count[0]) if found[0] == "ok" else None
    except sqlite3.OperationalError:
        raise  # it is locked, or the disk does not let it be read, which damages nothing
    except sqlite3.DatabaseError:
        return None


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
    tables = tables_in(path) if path.is_file() else 0
    if tables or (tables == 0 and not before):
        return ()
    told = f"{path}: was gone"
    if tables is None:
        mark = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        aside = path.with_name(f"damaged-{mark}.sqlite3")
        for end in BESIDE:
            if (file := path.with_name(path.name + end)).is_file():
                os.replace(file, aside.with_name(aside.name + end))
        told = f"{path}: was damaged, and is kept as {aside.name}"
    else:  # a log without its database belongs to none
        for end in BESIDE:
            path.with_name(path.name + end).unlink(missing_ok=True)
    if backup.is_file() and tables_in(backup):
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(backup, part)
        settle(part, path)
        return (f"{told}; everything was recovered from {backup.name} and {journal.name}",)
    return (f"{told}; {journal.name} alone was left to recover from, for no copy of it is sound",)


def replayed(base: sqlite3.Connection, journal: Path) -> int:
    """Adds what a journal holds and a database lacks; returns how many entries that were."""
    before = base.total_changes
    base.execute("begin immediate")
    for table, row in _entries(journal):
        places = ", ".join("?" * len(row))
        query = f"insert or ignore into {table} ({', '.join(row)}) values ({places})"  # noqa: S608
        base.execute(query, tuple(row.values()))
    base.execute("commit")
    return base.total_changes - before


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
            table, row = json.loads(line)
        except ValueError:
            continue
        if table in TABLES and isinstance(row, dict) and row.keys() == TABLES[table]:
            yield table, row


TABLES = {
    "people": {"id", "name", "time"},
    "answers": {
        *("id", "person", "video", "class", "audio", "visual", "probability", "run", "time"),
    },
    "undone": {"id", "answer", "person", "time"},
    "events": {"id", "video", "person", "revision", "events", "time"},
}
"""Columns of the tables; a line of a journal that names others was not written here."""
