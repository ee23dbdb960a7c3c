"""The tables of the studio: their form, and a seal on every row that tells when it was damaged.

SQLite notices damage to its own structure, not to what stands in a row.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rlld.errors import RlldError

VERSION = 1
WHO = {"person": "text not null", "time": "text not null"}
TABLES = {
    "people": {"name": "text not null unique", "time": "text not null"},
    "answers": {
        "video": "text not null",
        "class": "text not null",
        "audio": "integer",
        "visual": "integer",
        "probability": "real",
        "run": "text",
        **WHO,
    },
    "undone": {"answer": "integer not null unique", **WHO},
    "events": {
        "video": "text not null",
        "revision": "integer not null",
        "events": "text not null",
        **WHO,
        "unique": "(video, revision)",
    },
}
"""Columns besides ``id`` and ``seal``; the events of a clip have each revision once."""
NAMES = {
    table: ("id", *(name for name in columns if name != "unique"))
    for table, columns in TABLES.items()
}
"""What is sealed of a row, in this order."""
SCHEMA = {
    "meta": "CREATE TABLE meta(key text primary key, value text not null, seal text not null)",
    **{
        table: f"CREATE TABLE {table}(id integer primary key, "
        + ", ".join(
            f"{name} {kind}"
            for name, kind in (*columns.items(), ("seal", "text not null"))
            if name != "unique"
        )
        + (", unique (video, revision)" if "unique" in columns else "")
        + ")"
        for table, columns in TABLES.items()
    },
    "answers_of": "CREATE INDEX answers_of on answers(person, video, class)",
}
WRITTEN = 18
"""Where the header of a database says who may write it: 1 with a journal, 2 with a log."""
PASSING = frozenset(
    (
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL),
    )
)
"""What SQLite says where the file may be whole and cannot be reached."""


def seal_of(values: tuple[object, ...]) -> str:
    """Returns what tells whether a row is as it was written."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def insert(base: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> bool:
    """Adds a sealed row unless the table has it; returns whether it was added."""
    names = (*NAMES[table], "seal")
    places = ", ".join("?" * len(names))
    query = f"insert or ignore into {table} ({', '.join(names)}) values ({places})"  # noqa: S608
    return base.execute(query, tuple(row[name] for name in names)).rowcount > 0


def sealed(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row with its seal."""
    return {**row, "seal": seal_of(tuple(row[name] for name in NAMES[table]))}


def is_sealed(table: str, row: object) -> bool:
    """Says whether something is a row of a table, as it was written."""
    if not isinstance(row, dict) or row.keys() != {*NAMES[table], "seal"}:
        return False
    return bool(row["seal"] == seal_of(tuple(row[name] for name in NAMES[table])))


def opened(path: Path) -> sqlite3.Connection:
    """Opens a database file, made when missing."""
    return sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)


def connected(path: Path) -> sqlite3.Connection:
    """Opens a database of this version, made when missing.

    Raises:
        RlldError: If it is of a newer version.
    """
    base = opened(path)
    base.execute("pragma journal_mode = wal")
    base.execute("pragma synchronous = full")
    known = {row[0] for row in base.execute("select name from sqlite_master")}
    if "meta" in known:
        found = _version(base)
        if found != str(VERSION):
            base.close()
            raise RlldError(
                f"{path}: version {found} of a newer rlld, this one reads up to {VERSION}; update "
                "rlld"
            )
        return base
    base.execute("begin immediate")
    for statement in SCHEMA.values():
        base.execute(statement)
    version = ("version", str(VERSION))
    base.execute("insert into meta values (?, ?, ?)", (*version, seal_of(version)))
    base.execute("commit")
    return base


def look(path: Path) -> str:
    """Returns whether a database is ``sound``, ``empty`` or ``damaged``.

    One of another version is sound as far as anybody here can tell.

    Raises:
        sqlite3.OperationalError: If it cannot be reached.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as base:
            sound = base.execute("pragma integrity_check").fetchone()[0] == "ok"
            if not sound or not _can_be_written(path):
                return "damaged"
            found = dict(base.execute("select name, sql from sqlite_master where sql not null"))
            if not found:
                return "empty"
            if found.get("meta") != SCHEMA["meta"] or (version := _version(base)) is None:
                return "damaged"
            if version != str(VERSION):
                return "sound"
            return "sound" if found == SCHEMA and _is_whole(base) else "damaged"
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING:
            raise
        return "damaged"
    except (sqlite3.DatabaseError, ValueError):
        return "damaged"


def _can_be_written(path: Path) -> bool:
    """Says whether SQLite takes the file for one of a kind that it writes.

    One of another kind it only reads, and finds nothing wrong with.
    """
    with path.open("rb") as file:
        head = file.read(WRITTEN + 1)
    return len(head) <= WRITTEN or head[WRITTEN] in (1, 2)


def _version(base: sqlite3.Connection) -> str | None:
    rows = base.execute("select key, value, seal from meta").fetchall()
    known = {key: value for key, value, seal in rows if seal == seal_of((key, value))}
    return known.get("version")


def _is_whole(base: sqlite3.Connection) -> bool:
    return all(
        seal == seal_of(tuple(values))
        for table, names in NAMES.items()
        for *values, seal in base.execute(f"select {', '.join(names)}, seal from {table}")  # noqa: S608
    )
