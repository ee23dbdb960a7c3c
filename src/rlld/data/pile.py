"""Rows of bytes that are collected on disk in any order, and survive a kill."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from rlld.errors import RlldError
from rlld.utils.files import appended, unwritable, write_text
from rlld.utils.names import inside

COMMIT_SECONDS = 1.0


class _Item(NamedTuple):
    """Where the rows of an item lie in every file."""

    stamp: str
    first: int
    rows: int


class Pile:
    """A working folder: one raw file per stream, and a journal of the items safely on disk.

    Each item appends one row of fixed size to every file, or several, then the same number to
    each. About every second, rows and then the journal are brought to disk; a pile that is opened
    again goes on after the last item of the journal and forgets what lies behind it.

    Args:
        folder: The working folder, made when missing.
        settings: What the rows depend on, JSON-ready.
        row_bytes: Size of a row by stream name.

    Raises:
        RlldError: If the folder holds work of other settings or cannot be written.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], row_bytes: Mapping[str, int]
    ) -> None:
        self.folder = folder
        self._sizes = dict(row_bytes)
        self._items: dict[str, _Item] = {}
        self._lines: list[str] = []
        self._end = 0
        if folder.is_symlink():
            raise RlldError(f"{folder}: is a symbolic link, and would be written into; remove it")
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            self._recover(json.dumps(settings, sort_keys=True))
            self._files: dict[str, BinaryIO] = {
                name: appended(inside(folder, name, "stream")) for name in self._sizes
            }
            for name, file in self._files.items():
                file.truncate(self._end * self._sizes[name])
            self._journal = appended(folder / "journal")
        self._committed = len(self._lines)
        self._last_commit = time.monotonic()

    @property
    def done(self) -> dict[str, str]:
        """The items of the pile, with the stamp of each."""
        return {key: item.stamp for key, item in self._items.items()}

    def count(self, key: str) -> int:
        """Returns how many rows an item has in each file."""
        return self._items[key].rows

    def add(self, key: str, rows: Mapping[str, bytes], stamp: str = "") -> None:
        """Appends an item; it replaces an earlier one of the same key.

        Args:
            key: Its name, without tab and line end.
            rows: Its rows for every stream, one after the other.
            stamp: Any text without tab and line end, given back by :attr:`done`.

        Raises:
            RlldError: If the disk refuses the data, or the key holds a tab or line end.
        """
        if any(mark in key + stamp for mark in "\t\r\n"):
            raise RlldError(f"{key!r} holds a tab or line end and cannot name a video; rename it")
        with self._writing():
            for name, file in self._files.items():
                file.write(rows[name])
            name, size = next(iter(self._sizes.items()))
            self._remember(key, stamp, len(rows[name]) // size)
            if time.monotonic() - self._last_commit >= COMMIT_SECONDS:
                self._commit()

    def rows(self, name: str, keys: Sequence[str]) -> Iterator[bytes]:
        """Yields the rows of one stream for each of the given items, in that order."""
        size = self._sizes[name]
        position = 0
        with inside(self.folder, name, "stream").open("rb") as file:
            for key in keys:
                item = self._items[key]
                if item.first != position:
                    file.seek(item.first * size)
                yield file.read(item.rows * size)
                position = item.first + item.rows

    def close(self) -> None:
        """Brings everything to disk and closes the files; may be called again."""
        if self._journal.closed:
            return
        with self._writing():
            self._commit()
        self._close_files()

    def discard(self) -> None:
        """Removes the folder."""
        self._close_files()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Pile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _remember(self, key: str, stamp: str, count: int) -> None:
        self._items[key] = _Item(stamp, self._end, count)
        # The journals of piles in which every item has one row say no number.
        self._lines.append(f"{key}\t{stamp}" + (f"\t{count}" if count != 1 else ""))
        self._end += count

    def _recover(self, settings: str) -> None:
        """Reads the journal, up to the last item that is whole in every file."""
        journal = self.folder / "journal"
        # What follows the last line end is what a kill cut off.
        lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
        if lines and lines[0].decode(errors="replace") != settings:
            raise RlldError(
                f"{self.folder}: holds half-done work of other settings; run again with those "
                "settings to go on, or delete that folder to start afresh"
            )
        files = {name: inside(self.folder, name, "stream") for name in self._sizes}
        whole = min(
            file.stat().st_size // self._sizes[name] if file.exists() else 0
            for name, file in files.items()
        )
        for line in lines[1:]:
            try:
                key, _, rest = line.decode().partition("\t")
            except UnicodeDecodeError:
                break  # a damaged line; what it and those behind it name is made anew
            stamp, _, number = rest.partition("\t")
            count = int(number) if number.isdecimal() else 1
            if self._end + count > whole:
                break
            self._remember(key, stamp, count)
        write_text(journal, "".join(f"{line}\n" for line in (settings, *self._lines)))

    def _commit(self) -> None:
        """Rows first, then the journal: what the journal names is on disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        new = self._lines[self._committed :]
        self._journal.write("".join(f"{line}\n" for line in new).encode())
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._committed = len(self._lines)
        self._last_commit = time.monotonic()

    def _close_files(self) -> None:
        for file in (self._journal, *self._files.values()):
            file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self.folder, error) from None
