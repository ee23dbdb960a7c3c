"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from rlld.errors import RlldError

NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS))
"""What file systems say that know no locks."""


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` and renames it there when the block succeeds.

    Args:
        path: The file to write; its folder is made when missing.

    Yields:
        The path to write to. It is removed when the block raises.

    Raises:
        RlldError: If the folder cannot be made or written to.
    """
    # Two machines may write to one place, and their processes have the same numbers.
    aside = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RlldError(f"{path}: cannot be written ({reason}); choose another place") from None
    finally:
        with suppress(OSError):  # the folder may not exist; the first error is the one to tell
            aside.unlink()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps a second process from writing what this one writes, until the block ends.

    A process that is killed holds nothing any more. File systems without locks, and Windows,
    guard nothing.

    Args:
        path: What is written; its folder is made when missing, ``.NAME.lock`` lies beside it.

    Raises:
        RlldError: If another process holds it, or the folder cannot be made or written to.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(lock)
    except BlockingIOError:
        raise RlldError(
            f"{path}: another process is writing it; wait for that one, or choose another place"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise RlldError(f"{path}: cannot be written ({reason}); choose another place") from None
    with file:
        try:
            yield
        finally:
            with suppress(OSError):  # the folder may be gone; the first error is the one to tell
                lock.unlink()


def _locked(lock: Path) -> TextIO:
    """Opens and locks a file; raises ``BlockingIOError`` when another process holds it."""
    while True:
        file = lock.open("a", encoding="utf-8")
        try:
            _lock(file)
        except BlockingIOError:
            file.close()
            raise
        except OSError as error:
            if error.errno not in NO_LOCKS:
                file.close()
                raise
        # Whoever held it before may have removed the file after it was opened here.
        if _same(lock, file):
            return file
        file.close()


def _lock(file: TextIO) -> None:
    if sys.platform == "win32":
        # Its locks cannot be taken off a file that is removed; there nobody is kept out.
        return
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _same(path: Path, file: TextIO) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside and renames it."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
