"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rlld.errors import RlldError


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


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside and renames it."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
