"""What damaged and hostile files make readers raise, told in one sentence."""

from __future__ import annotations

import struct
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

from safetensors import SafetensorError

from rlld.errors import RlldError

SHOWN = 160
"""Characters of a reason that are shown."""

DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, BadZipFile, SafetensorError, struct.error, tokenize.TokenError, zlib.error),
)
"""What Python, numpy, torch and safetensors raise at bytes that nobody wrote on purpose."""


class Told(NamedTuple):
    """How a reader speaks of a file.

    Attributes:
        fault: What is wrong with a file that cannot be read, such as ``not a whole .npy file``.
        advice: What to do then.
    """

    fault: str
    advice: str


class DamagedError(Exception):
    """A file holds something else than it claims."""


class RunsError(Exception):
    """A file names something that would have to be run; its text is that name."""


@contextmanager
def guarded(path: Path, told: Told) -> Iterator[None]:
    """Turns what damaged bytes raise into one sentence.

    Args:
        path: The file.
        told: How to speak of it.

    Raises:
        RlldError: If it is no file, cannot be read, is damaged, or would have to be run.
    """
    try:
        if not path.is_file():
            raise DamagedError("a folder" if path.is_dir() else "not there")
        if not path.stat().st_size:
            raise DamagedError("it is empty")
        yield
    except RunsError as error:
        raise RlldError(
            f"{path}: refused, because reading it would run {_short(str(error))}; {told.advice}"
        ) from None
    except OSError as error:
        reason = error.strerror or _short(str(error))
        raise RlldError(f"{path}: {told.fault} ({reason}); {told.advice}") from None
    except (DamagedError, *DAMAGE) as error:
        reason = _short(str(error)) or type(error).__name__
        raise RlldError(f"{path}: {told.fault} ({reason}); {told.advice}") from None


def begins(path: Path, mark: bytes) -> bool:
    """Says whether a file begins with certain bytes; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
