"""What is acknowledged is never lost: kills, damage, restarts, versions, two at once."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.studio.store import (
    BACKUP,
    FILE,
    FOLDER,
    JOURNAL,
    Answered,
    Kept,
    SavedMeanwhileError,
    Store,
)
from rlld.studio.tables import seal_of

KILLS = 100


def said(video: str, person: str = "Ada", audio: bool | None = True) -> Answered:
    return Answered(person, video, "Bell", audio, False, 0.25, "run")


def event(start: float) -> dict[str, object]:
    return {
        "class": "Bell",
        "modality": "audio",
        "start": start,
        "end": start + 1,
        "confidence": None,
    }


def in_it(store: Kept) -> tuple[list[str], dict[str, int]]:
    """Videos of the answers that stand, and the revision of every corrected clip."""
    answers = sorted(each.video for each in store.answers())
    return answers, {name: version.revision for name, version in store.corrected().items()}


def damage(path: Path, where: int, size: int = 64) -> None:
    with path.open("r+b") as file:
        file.seek(where)
        file.write(b"\xa5" * size)


def test_kill_9_at_100_moments_loses_nothing_acknowledged(tmp_path: Path):
    rng = random.Random(20)  # noqa: S311  (moments are drawn, not encrypted)
    told: dict[str, set[str]] = {"answer": set(), "undoing": set(), "undone": set()}
    revision = 0
    for round_ in range(KILLS):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            _work(tmp_path, round_, revision, writer)
        os.close(writer)
        with os.fdopen(reader) as heard:
            # From before it has opened anything to behind its tenth word, however slow it is.
            lines = [heard.readline() for _ in range(rng.randint(0, 10))]
            time.sleep(rng.uniform(0, 0.005) if lines else rng.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            lines += heard.readlines()
        lines = [line.strip() for line in lines if line.endswith("\n")]  # a half was not told
        for kind, value in (line.split(" ") for line in lines):
            if kind == "saved":
                revision = max(revision, int(value))
            else:
                told[kind].add(value)
        with closing(Store(tmp_path)) as store:
            kept, revisions = in_it(store)
            last = store.latest("clip")
        assert told["answer"] - told["undoing"] <= set(kept)
        assert not told["undone"] & set(kept)
        assert revisions.get("clip", 0) >= revision
        revision = revisions.get("clip", 0)
        assert last is None or last.events == (event(revision - 1),)
    assert len(told["answer"]) > KILLS
    assert told["undone"]
    assert revision > 10


def _work(folder: Path, round_: int, revision: int, writer: int) -> None:
    """Answers, takes back and corrects without end, and tells of each only when it is kept."""
    try:
        store = Store(folder)
        for number in range(1_000_000):
            name = f"{round_}-{number}"
            store.answer(said(name))
            os.write(writer, f"answer {name}\n".encode())
            if number % 5 == 4:
                os.write(writer, f"undoing {name}\n".encode())
                taken = store.undo("Ada")
                assert taken is not None
                os.write(writer, f"undone {taken.video}\n".encode())
            if number % 3 == 0:
                revision = store.save("clip", "Ada", revision, [event(revision)]).revision
                os.write(writer, f"saved {revision}\n".encode())
    finally:
        os._exit(1)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Two sessions of answers, the second of which was killed: its log was never folded in."""
    with closing(Store(tmp_path)) as store:
        for number in range(50):
            store.answer(said(f"early-{number:02d}"))
        store.save("clip", "Ada", 0, [event(0)])
    child = os.fork()
    if not child:
        store = Store(tmp_path)
        for number in range(50):
            store.answer(said(f"late-{number:02d}", "Bo"))
        store.undo("Bo")
        store.save("clip", "Bo", 1, [event(1)])
        os._exit(0)
    os.waitpid(child, 0)
    return tmp_path


EVERYTHING = (
    sorted([f"early-{n:02d}" for n in range(50)] + [f"late-{n:02d}" for n in range(49)]),
    {"clip": 2},
)


def test_nothing_is_told_of_what_is_whole(filled: Path):
    with closing(Store(filled)) as store:
        assert in_it(store) == EVERYTHING
        assert store.notes == ()


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no database" * 500),
        lambda file: damage(file, 0),
        lambda file: damage(file, 20, 4000),
        lambda file: damage(file, 4096, 4096),
        lambda file: os.truncate(file, 5000),
    ],
    ids=["gone", "empty", "other", "header", "first page", "second page", "cut"],
)
def test_a_damaged_database_is_made_again(filled: Path, harm):
    harm(filled / FOLDER / FILE)
    (filled / FOLDER / f"{FILE}-wal").unlink()
    with closing(Store(filled)) as store:
        assert in_it(store) == EVERYTHING
        (note,) = store.notes
        assert "recovered from backup.sqlite3 and journal.jsonl" in note
    with closing(Store(filled)) as store:
        assert in_it(store) == EVERYTHING
        assert store.notes == ()


def test_a_lost_log_is_made_up_for_by_the_journal(filled: Path):
    (filled / FOLDER / f"{FILE}-wal").unlink()
    with closing(Store(filled)) as store:
        assert in_it(store) == EVERYTHING
        assert "its journal" in store.notes[0] or "journal.jsonl" in store.notes[0]


def test_damage_in_database_and_copy_leaves_the_journal(filled: Path):
    damage(filled / FOLDER / FILE, 0)
    damage(filled / FOLDER / BACKUP, 0)
    (filled / FOLDER / f"{FILE}-wal").unlink()
    with closing(Store(filled)) as store:
        answers, _ = in_it(store)
        assert answers == [f"late-{n:02d}" for n in range(49)]
        assert "alone was left" in store.notes[0]
    assert list((filled / FOLDER).glob("damaged-*.sqlite3"))  # kept for whoever can read it


def test_a_journal_that_is_cut_or_strange_harms_nothing(filled: Path):
    journal = filled / FOLDER / JOURNAL
    lines = journal.read_bytes()
    strange = [["meta", {"key": "version", "value": "9"}], ["answers", {"id": 1}], 7, "x"]
    told = b"".join(json.dumps(line).encode() + b"\n" for line in strange)
    journal.write_bytes(told + lines + lines[: len(lines) // 3].rpartition(b"\n")[0][:-5])
    with closing(Store(filled)) as store:
        assert in_it(store) == EVERYTHING


def test_a_database_that_may_only_be_read_is_damaged(tmp_path: Path):
    """By its header; SQLite itself finds nothing wrong with it."""
    with closing(Store(tmp_path)) as store:
        store.answer(said("video"))
    path = tmp_path / FOLDER / FILE
    content = bytearray(path.read_bytes())
    content[18] = 3
    path.write_bytes(content)
    with closing(Store(tmp_path)) as store:
        assert len(store.answers()) == 1
        store.answer(said("another"))
        assert len(store.answers()) == 2


@given(st.data())
def test_any_bytes_instead_of_the_database_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("store")
    with closing(Store(folder)) as store:
        for number in range(8):
            store.answer(said(f"video-{number}"))
    content = bytearray((folder / FOLDER / FILE).read_bytes())
    first = data.draw(st.integers(0, len(content) - 1))
    piece = data.draw(st.binary(min_size=1, max_size=200))
    content[first : first + len(piece)] = piece
    (folder / FOLDER / FILE).write_bytes(content)
    try:
        with closing(Store(folder)) as store:
            assert len(store.answers()) == 8
    except RlldError as error:
        assert "newer rlld" in str(error)  # the bytes hit the version itself


def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path):
    Store(tmp_path).close()
    path = tmp_path / FOLDER / FILE
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("update meta set value = ?, seal = ?", ("2", seal_of(("version", "2"))))
    before = path.read_bytes()
    for kind in (Store, Kept):
        with pytest.raises(RlldError, match="version 2 of a newer rlld, this one reads up to 1"):
            kind(tmp_path)
    assert path.read_bytes() == before


def test_two_at_once_never_overwrite_each_other(tmp_path: Path):
    with closing(Store(tmp_path)) as store:
        won: list[int] = []

        def save(start: int) -> None:
            for number in range(40):
                base = store.latest("clip")
                revision = base.revision if base else 0
                try:
                    made = store.save("clip", f"P{start}", revision, [event(start + number)])
                except SavedMeanwhileError as error:
                    assert error.version.revision > revision
                else:
                    won.append(made.revision)

        threads = [threading.Thread(target=save, args=(start,)) for start in (0, 100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        history = store.history("clip")
        assert [version.revision for version in history] == list(range(1, len(history) + 1))
        assert sorted(won) == list(range(1, len(history) + 1))


def test_what_is_kept_is_read_beside_an_open_studio(tmp_path: Path):
    with pytest.raises(RlldError, match="holds no answers of a studio"):
        Kept(tmp_path)
    with closing(Store(tmp_path)) as store:
        store.answer(said("a"))
        with closing(Kept(tmp_path)) as kept:
            assert [each.video for each in kept.answers()] == ["a"]
            store.answer(said("b"))
            assert [each.video for each in kept.answers()] == ["a", "b"]


def test_the_last_answer_of_each_person_stands(tmp_path: Path):
    with closing(Store(tmp_path)) as store:
        store.answer(said("a", audio=True))
        store.answer(said("a", audio=False))
        store.answer(said("a", "Bo", audio=None))
        assert [(each.person, each.audio) for each in store.answers()] == [
            ("Ada", False),
            ("Bo", None),
        ]
        store.undo("Ada")
        assert [(each.person, each.audio) for each in store.answers()] == [
            ("Ada", True),
            ("Bo", None),
        ]
        assert store.people() == ["Ada", "Bo"]
        assert store.answers()[0].probability == 0.25
