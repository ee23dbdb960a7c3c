"""Standard output and error as a command finds them: in any code page, full, closed, or gone."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import IO, NoReturn, TextIO

PIPE_STATUS = 141
"""What shells report of tools whose reader has gone: 128 and the number of SIGPIPE."""
PLAIN = {"\u2588": "#", "\u00b7": ".", "\u2026": "~", "\u00b1": "+-"}
"""What stands for characters of our tables where a code page lacks them."""


def prepare() -> None:
    """Lets any text be written: what a code page lacks is replaced, what is closed swallows it."""
    codecs.register_error("rlld", _replaced)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="rlld")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = (PLAIN.get(mark) or mark.encode("ascii", "backslashreplace").decode() for mark in text)
    return "".join(plain), error.end


def write_data(stream: IO[str], text: str) -> None:
    """Writes what programs read, as UTF-8 whatever the code page, so that it can be read back."""
    content = text.encode("utf-8", "backslashreplace")
    if isinstance(stream, TextIOWrapper):
        stream.flush()
        stream.buffer.write(content)
        stream.buffer.flush()
    else:  # a notebook's, say, which knows no bytes
        stream.write(content.decode("utf-8"))


def say(text: str) -> None:
    """Writes to standard error, unless that cannot be written."""
    try:
        sys.stderr.write(text)
    except OSError:
        silence(sys.stderr)


def end_unread() -> NoReturn:
    """Ends the process without a word, because the reader of its output (head, less) has gone."""
    silence(sys.stdout)
    silence(sys.stderr)  # which may go the same way
    sys.exit(PIPE_STATUS)


def silence(stream: TextIO) -> None:
    """Leads a stream that cannot be written nowhere: Python would try at exit, and complain."""
    with suppress(OSError):  # some stand-in for it, which is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
