"""Writing files so that nobody ever sees half of one, and nobody else writes them meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from rlld.errors import RlldError
from rlld.utils.remembering import by_place

NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS))
"""What file systems say that know no locks."""
LOCK = ".lock"
POLL_SECONDS = 0.2
"""How often it is looked whether another process has finished."""
TRIES = 10
"""How often a folder is made again that another process has just removed."""
LONGEST_STEM = 150
"""Bytes of a file's name that stand in the name of its temporary one, which says more."""


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` and renames it there when the block succeeds.

    Args:
        path: The file to write; its folder is made when missing.

    Yields:
        The path to write to; see ``scratch``.

    Raises:
        RlldError: If the folder cannot be made or written to, or the disk is full.
    """
    if flows(path):
        with poured(path) as aside:
            yield aside
        return
    with scratch(path) as aside:
        yield aside
        settle(aside, path)


def flows(path: Path) -> bool:
    """Says whether a path is, or leads to, a pipe or a device that takes what is written."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


@contextmanager
def poured(path: Path) -> Iterator[Path]:
    """Gives a temporary path whose content goes into a pipe or device when the block succeeds.

    Raises:
        RlldError: If it cannot be written to.
    """
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / "content"
        yield aside
        try:
            with aside.open("rb") as made, path.open("wb") as into:
                shutil.copyfileobj(made, into)
        except OSError as error:
            raise unwritable(path, error) from None


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path``, which is removed when the block ends.

    What killed processes of this machine left beside it is removed, which nobody would do for a
    file among the temporary ones of the system.

    Args:
        path: What is to be written there; its folder is made when missing.

    Yields:
        The temporary path.

    Raises:
        RlldError: If the folder cannot be made or written to, or the disk is full.
    """
    if not path.name:  # '.', '/' or nothing
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    # Two machines may write to one place, and their processes have the same numbers.
    aside = path.with_name(f".{_stem(path)}.{platform.node()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        aside.unlink(missing_ok=True)  # what lies there is not ours, a link perhaps
        yield aside
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):  # the folder may not exist; the first error is the one to tell
            aside.unlink()


def settle(aside: Path, path: Path) -> None:
    """Puts a temporary file in its place, once its bytes are on the disk."""
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.replace(path)


def _stem(path: Path) -> str:
    name = path.name
    if len(name.encode(errors="surrogateescape")) <= LONGEST_STEM:
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


@by_place()
def _sweep(folder: Path) -> None:
    """Removes temporary files of processes of this machine that live no more, once per folder."""
    if sys.platform == "win32":  # where asking whether a process lives may end it
        return
    ours = re.compile(rf"\..+\.{re.escape(platform.node())}\.(\d+)\.part")
    with os.scandir(folder) as entries:
        found = [(entry.path, match) for entry in entries if (match := ours.fullmatch(entry.name))]
    for file, match in found:
        if not _lives(int(match[1])):
            with suppress(OSError):  # another process may sweep, or it is none of our files
                os.unlink(file)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def unwritable(path: Path, error: OSError) -> RlldError:
    """Returns what is said of a place that cannot be written to."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RlldError(
            f"{path}: cannot be written ({reason}); make room and run again, or choose another "
            "place"
        )
    return RlldError(f"{path}: cannot be written ({reason}); choose another place")


@contextmanager
def held(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Keeps a second process from writing what this one writes, until the block ends.

    A process that is killed holds nothing any more. Where the file system knows no locks, a file
    that names its process stands for one. A folder in which nothing is renamed is better held by a
    file in it: it has several names, and beside it may be no place for a lock.

    Args:
        path: What is written; its folder is made when missing, ``.NAME.lock`` lies beside it.
        wait: Wait for another process that holds it, instead of refusing.

    Raises:
        RlldError: If another process holds it, or the folder cannot be made or written to.
    """
    whole = Path(os.path.abspath(path))  # '.' and '..' are no names
    with _locked(whole.with_name(f".{_stem(whole)}.lock"), path, wait):
        yield


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Keeps a second process from writing into an output folder; see ``held``.

    A folder that is made here and stays empty is removed again.

    Args:
        folder: The folder, made when missing; ``.lock`` lies in it.

    Raises:
        RlldError: If another process writes there, or the folder cannot be made or written to.
    """
    with _locked(folder / LOCK, folder, wait=False):
        yield


def is_free(folder: Path) -> bool:
    """Says whether a folder is missing or holds nothing but the lock of ``owned``."""
    return not folder.exists() or {file.name for file in folder.iterdir()} <= {LOCK}


@contextmanager
def _locked(lock: Path, told: Path, wait: bool) -> Iterator[None]:
    made = [folder for folder in lock.parents if not folder.exists()]
    try:
        hold = _acquired(lock, -1 if wait else 0)
    except Timeout:
        raise RlldError(
            f"{told}: another process is writing it; wait for that one, or choose another place"
        ) from None
    except OSError as error:
        raise unwritable(told, error) from None
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may be gone; the first error is the one to tell
            if isinstance(hold, FileLock):  # the other kind removes its file itself
                lock.unlink()
        hold.release()
        for folder in made:
            with suppress(OSError):  # it holds something now
                folder.rmdir()


def _acquired(lock: Path, seconds: float) -> BaseFileLock:
    native = FileLock(lock, seconds, poll_interval=POLL_SECONDS, fallback_to_soft=False)
    soft = SoftFileLock(lock, seconds, poll_interval=POLL_SECONDS)
    hold: BaseFileLock = native
    for _ in range(TRIES):
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            hold.acquire()
            return hold
        except Timeout:
            raise
        except FileNotFoundError:
            continue  # whoever held it before took the empty folder along
        except OSError as error:
            if error.errno not in NO_LOCKS or hold is soft:
                raise
            hold = soft
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(lock.parent))


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside and renames it; bytes of file names that are no text are escaped."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes a file aside and renames it.

    What libraries write themselves they also fail to write in ways of their own; written here, a
    full disk is an ``RlldError`` like everywhere.
    """
    with written_aside(path) as aside:
        aside.write_bytes(content)


def appended(path: Path) -> BinaryIO:
    """Opens a file to write behind what it holds, made when missing; never through a link.

    Raises:
        RlldError: If it is a symbolic link.
        OSError: If it cannot be written to.
    """
    if path.is_symlink():
        raise RlldError(f"{path}: is a symbolic link, and would be written through; remove it")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666), "ab")


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
