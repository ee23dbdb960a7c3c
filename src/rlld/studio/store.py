"""What people answered and corrected, kept so that nothing acknowledged is ever lost.

``D/studio/studio.sqlite3`` is a log: rows are added, none is changed. An answer that is taken back
has a row that says so, a clip that is corrected anew has one more version. What is acknowledged is
in the database (write-ahead log, synchronous) and in ``journal.jsonl`` beside it, both on the
disk. Each session begins with a copy of the database, ``backup.sqlite3``, and an empty journal, so
that copy and journal hold everything even where the database was damaged.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlld.errors import RlldError
from rlld.studio.recovery import replayed, restored
from rlld.studio.tables import connected, insert, look, opened, sealed
from rlld.utils.files import appended, unwritable, write_bytes, written_aside
from rlld.utils.plain import json_text

FOLDER = "studio"
"""Folder inside a data set where the studio keeps everything."""
FILE, BACKUP, JOURNAL = "studio.sqlite3", "backup.sqlite3", "journal.jsonl"


VERSIONS = "select video, person, revision, events, time from events"
STANDING = """
    select person, video, class, audio, visual, probability, run, time from answers
    where id in (select max(id) from answers
                 where id not in (select answer from undone) group by person, video, class)
"""


@dataclass(frozen=True)
class Answered:
    """What a person said of a tag of a video.

    Attributes:
        person: Who.
        video: Video id.
        label: Class name.
        audio: Whether it is heard; None where they were not sure.
        visual: Whether it is seen.
        probability: The probability with which the question was drawn, None where unknown.
        run: The run whose doubts were shown, None without one.
        time: When, UTC.
    """

    person: str
    video: str
    label: str
    audio: bool | None
    visual: bool | None
    probability: float | None = None
    run: str | None = None
    time: str = ""

    @property
    def unsure(self) -> bool:
        """Whether it says nothing of either track, and counts for nothing."""
        return self.audio is None and self.visual is None


@dataclass(frozen=True)
class Version:
    """The events of a clip as a person left them.

    Attributes:
        video: Video id.
        person: Who.
        revision: Counts the versions of the clip from 1.
        events: What occurs; see ``rlld.studio.events``.
        time: When, UTC.
    """

    video: str
    person: str
    revision: int
    events: tuple[Mapping[str, Any], ...]
    time: str


class SavedMeanwhileError(Exception):
    """Somebody saved a newer version of the clip than the one that was corrected.

    Attributes:
        version: That version.
    """

    def __init__(self, version: Version) -> None:
        super().__init__(f"{version.video}: version {version.revision} by {version.person}")
        self.version = version


class Kept:
    """What a data set holds, for reading, also beside a studio that is open.

    Args:
        data: The data-set folder.

    Raises:
        RlldError: If there is nothing, or it cannot be read.
    """

    def __init__(self, data: Path) -> None:
        path = data / FOLDER / FILE
        if not path.is_file():
            raise RlldError(f"{data}: holds no answers of a studio; open one with 'rlld studio'")
        try:
            if look(path) != "sound":
                raise RlldError(f"{path}: is damaged; 'rlld studio {data}' recovers it")
            self._hold(data, connected(path))
        except sqlite3.Error as error:
            raise _refused(path, error) from None

    def _hold(self, data: Path, base: sqlite3.Connection) -> None:
        self.folder = data / FOLDER
        self._base = base
        self._lock = threading.RLock()

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._base.close()

    def people(self) -> list[str]:
        """Returns the names of those who did something, in the order in which they began."""
        return [row[0] for row in self._all("select name from people order by id")]

    def answers(self) -> list[Answered]:
        """Returns what stands: the last answer of each person to each question."""
        return [_answered(row) for row in self._all(f"{STANDING} order by id")]

    def withdrawn(self) -> list[Answered]:
        """Returns what was said and does not stand any more: taken back, or said anew."""
        fields = STANDING.partition("from")[0]
        standing = STANDING.partition("where id in ")[2].strip()
        query = f"{fields} from answers where id not in {standing} order by id"
        return [_answered(row) for row in self._all(query)]

    def latest(self, video: str) -> Version | None:
        """Returns the last version of a clip, None where nobody corrected it."""
        row = self._one(f"{VERSIONS} where video = ? order by revision desc limit 1", video)
        return None if row is None else _version(row)

    def history(self, video: str) -> list[Version]:
        """Returns all versions of a clip, the first one first."""
        return [
            _version(row)
            for row in self._all(f"{VERSIONS} where video = ? order by revision", video)
        ]

    def corrected(self) -> dict[str, Version]:
        """Returns the last version of every clip that was corrected."""
        rows = self._all(
            f"{VERSIONS} where id in (select max(id) from events group by video)"  # noqa: S608
        )
        return {version.video: version for version in map(_version, rows)}

    def shared(self) -> list[Version]:
        """Returns the last version of each person of the clips that several people corrected."""
        several = "select video from events group by video having count(distinct person) > 1"
        last = "select max(id) from events group by video, person"
        query = f"{VERSIONS} where video in ({several}) and id in ({last}) order by id"
        return [_version(row) for row in self._all(query)]

    def corrected_by(self) -> dict[str, int]:
        """Returns how many clips each person corrected."""
        query = "select person, count(distinct video) from events group by person"
        return dict(self._all(query))

    def count_corrected(self) -> int:
        """Returns how many clips were corrected."""
        row = self._one("select count(distinct video) from events")
        return int(row[0]) if row else 0

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._base.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise _refused(self.folder / FILE, error) from None


class Store(Kept):
    """The answers and corrections of a data set, opened by one process for writing.

    Args:
        data: The data-set folder.

    Attributes:
        notes: What the reader should know of the start: what was recovered, and from where.

    Raises:
        RlldError: If it was written by a newer rlld, or the disk does not let it be written.
    """

    def __init__(self, data: Path) -> None:
        folder = data / FOLDER
        path, backup, journal = folder / FILE, folder / BACKUP, folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.notes = restored(path, backup, journal)
            self._hold(data, connected(path))
            lost = replayed(self._base, journal)
            if lost and not self.notes:
                self.notes = (f"{path}: lacked {lost} entries, which {journal.name} still had",)
            with written_aside(backup) as aside, closing(opened(aside)) as copy:
                self._base.backup(copy)
            write_bytes(journal, b"")
            self._journal = appended(journal)
        except sqlite3.Error as error:
            raise _refused(path, error) from None
        except OSError as error:
            raise unwritable(folder, error) from None

    def close(self) -> None:
        """Closes the files."""
        with self._lock:
            super().close()
            self._journal.close()

    def answer(self, given: Answered) -> int:
        """Keeps an answer; returns its number."""
        fields = {
            "person": given.person,
            "video": given.video,
            "class": given.label,
            "audio": None if given.audio is None else int(given.audio),
            "visual": None if given.visual is None else int(given.visual),
            "probability": given.probability,
            "run": given.run,
        }
        with self._writing() as add:
            self._know(given.person, add)
            number: int = add("answers", fields)
            return number

    def undo(self, person: str, number: int | None = None) -> Answered | None:
        """Takes an answer of a person back.

        Args:
            person: Who.
            number: Which one, as ``answer`` returned it; the last that stands when None. One that
                is taken back already stays so, for a page may ask again whose reply was lost.

        Returns:
            The answer, None where there is none.
        """
        with self._writing() as add:
            row = self._one(
                "select person, video, class, audio, visual, probability, run, time, id "
                "from answers where person = ?1 and "
                "(id = ?2 or ?2 is null and id not in (select answer from undone)) "
                "order by id desc limit 1",
                person,
                number,
            )
            if row is None:
                return None
            if self._one("select 1 from undone where answer = ?", row[-1]) is None:
                add("undone", {"answer": row[-1], "person": person})
            return _answered(row[:-1])

    def save(
        self, video: str, person: str, base: int, events: Sequence[Mapping[str, Any]]
    ) -> Version:
        """Keeps a new version of the events of a clip.

        Args:
            video: Video id.
            person: Who.
            base: The revision that they were made from, 0 for none.
            events: What occurs.

        Raises:
            SavedMeanwhileError: If there is another revision by now; nothing is written.
        """
        with self._writing() as add:
            last = self.latest(video)
            if last is not None and last.revision != base:
                raise SavedMeanwhileError(last)
            if last is None and base:
                raise RlldError(f"{video}: has no version {base}; load the clip again")
            self._know(person, add)
            text = json_text(list(events), video, ensure_ascii=False)
            fields = {"video": video, "person": person, "revision": base + 1, "events": text}
            add("events", fields)
            kept = self.latest(video)
        assert kept is not None  # noqa: S101  (it was just written)
        return kept

    def _know(self, person: str, add: Any) -> None:
        if self._one("select 1 from people where name = ?", person) is None:
            add("people", {"name": person})

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """Gives what adds rows; they are kept together, on the disk, when the block ends."""
        rows: list[tuple[str, dict[str, Any]]] = []

        def add(table: str, fields: Mapping[str, Any]) -> int:
            last = self._one(f"select coalesce(max(id), 0) from {table}")  # noqa: S608
            number = int(last[0]) + 1 if last else 1
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            row = sealed(table, {"id": number, **fields, "time": time})
            if not insert(self._base, table, row):
                raise sqlite3.IntegrityError(f"{table} has such a row already")
            rows.append((table, row))
            return number

        with self._lock:
            try:
                self._base.execute("begin immediate")
                try:
                    yield add
                except BaseException:
                    self._base.execute("rollback")
                    raise
                self._base.execute("commit")
                lines = "".join(json_text(row, JOURNAL, ensure_ascii=False) + "\n" for row in rows)
                self._journal.write(lines.encode())
                self._journal.flush()
                os.fsync(self._journal.fileno())
            except sqlite3.Error as error:
                raise _refused(self.folder / FILE, error) from None
            except OSError as error:
                raise unwritable(self.folder / JOURNAL, error) from None


def _refused(path: Path, error: sqlite3.Error) -> RlldError:
    return RlldError(
        f"{path}: cannot be read or written ({error}); make it possible (room on the disk, rights, "
        "no other program in it) and try again"
    )


def _answered(row: Sequence[Any]) -> Answered:
    person, video, label, audio, visual, probability, run, time = row
    heard, seen = (None if side is None else bool(side) for side in (audio, visual))
    return Answered(person, video, label, heard, seen, probability, run, time)


def _version(row: Sequence[Any]) -> Version:
    video, person, revision, events, time = row
    return Version(video, person, revision, tuple(json.loads(events)), time)
