"""The log of a run, ``metrics.jsonl``, and who else is told of each round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rlld.errors import RlldError
from rlld.training.trainer import Report
from rlld.utils.files import appended, unwritable, write_bytes
from rlld.utils.plain import json_text


class Watcher(Protocol):
    """Who is told of a run beside its log (``rlld.tracking``)."""

    def start(self, folder: Path, config: Mapping[str, Any]) -> Callable[[Report], None]:
        """Looks at what the log of a run folder holds; returns what takes each further round."""


class Log:
    """``metrics.jsonl``: one line a round.

    A resume state holds the text up to it, so that the file and the state never disagree: a resumed
    run writes the file anew.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.told: Callable[[Report], None] | None = None
        write_bytes(path, text.encode())

    def start(self, watcher: Watcher | None, identity: Mapping[str, Any]) -> None:
        """Lets somebody be told of every report that is appended from here on."""
        if watcher is not None:
            self.told = watcher.start(self.path.parent, identity)

    def write(self, report: Report) -> None:
        """Appends a report."""
        line = json_text(report, str(self.path)) + "\n"
        try:
            with appended(self.path) as file:
                file.write(line.encode())
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.text += line
        if self.told is not None:
            self.told(report)

    def settle(self) -> None:
        """Brings the file safely to disk."""
        write_bytes(self.path, self.text.encode())


def open_logs(paths: Sequence[Path], state: Mapping[str, Any] | None) -> list[Log]:
    """Opens the logs of runs as their resume state has them, empty without one.

    Raises:
        RlldError: If the state was written by an rlld that kept no text, only its length, and a
            log is shorter.
    """
    if state is None:
        texts = [""] * len(paths)
    elif "logs" in state:
        texts = state["logs"]
    else:
        counted = zip(paths, state["log_bytes"], strict=True)
        texts = [_beginning(path, size) for path, size in counted]
    return [Log(path, text) for path, text in zip(paths, texts, strict=True)]


def _beginning(path: Path, size: int) -> str:
    found = path.read_bytes()[:size] if path.is_file() and not path.is_symlink() else b""
    if len(found) < size:
        raise RlldError(
            f"{path}: holds {len(found)} bytes, the resume state counts on {size}; bring back the "
            "file, or delete the run and train again"
        )
    return found.decode()
