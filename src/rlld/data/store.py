"""The packed feature store: one safetensors file per split, written in flat memory.

The file holds one tensor (N, T, D) per stream. Its metadata say the format version, the split, the
ids in order with their SHA-256, the element type, the SHA-256 of every array and a free provenance
text. The same input gives the same bytes. Loading maps the file; nothing is copied.

While it grows, a store lives in a folder ``<file>.part`` beside its place: one raw file per stream,
to which videos are appended in any order, and a journal of those that are safely on disk. A writer
that was killed goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rlld.errors import RlldError, nearest
from rlld.files import written_aside

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec

FORMAT = 1
"""Version of the store format that this package writes; older ones can be read."""

DTYPES = {
    "float32": (torch.float32, "F32"),
    "float16": (torch.float16, "F16"),
    "bfloat16": (torch.bfloat16, "BF16"),
}
"""Element types of a store: as torch and as safetensors name them."""
COMMIT_SECONDS = 1.0
COPY_ROWS = 64
ALIGNMENT = 64


@dataclass(frozen=True)
class Store:
    """A packed store, opened.

    Attributes:
        path: The file.
        split: Name of the split.
        ids: Video ids, N of them.
        streams: Features by stream name, each (N, T, D), memory-mapped.
        dtype: Element type: ``float32``, ``float16`` or ``bfloat16``.
        provenance: Where the features come from.
        checksums: SHA-256 of each array by stream name.
    """

    path: Path
    split: str
    ids: tuple[str, ...]
    streams: dict[str, Tensor]
    dtype: str
    provenance: str
    checksums: dict[str, str]


def store_path(folder: Path, split: str) -> Path:
    """Returns where a data-set folder keeps the packed store of a split."""
    return folder / "features" / f"{split}.safetensors"


def ids_hash(ids: Sequence[str]) -> str:
    """Returns the SHA-256 of video ids in order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


class StoreWriter:
    """Writes a packed store video by video; usable as a context manager.

    Leaving the block, also by an exception, keeps what was added for a later writer of the same
    settings; :meth:`finish` makes the store, :meth:`discard` forgets the work.

    Attributes:
        path: The store to be made.

    Args:
        path: The store to be made.
        split: Name of the split.
        spec: The data set, for its streams, dimensions and segments.
        dtype: Element type of the store: ``float32``, ``float16`` or ``bfloat16``.
        provenance: Where the features come from; kept in the store. It also tells whether
            half-done work found beside ``path`` may be continued.

    Raises:
        RlldError: If the dtype is unknown, or half-done work of other settings lies there.
    """

    def __init__(
        self,
        path: Path,
        split: str,
        spec: DataSpec,
        *,
        dtype: str = "float32",
        provenance: str = "",
    ) -> None:
        if dtype not in DTYPES:
            raise RlldError(f"store dtype {dtype!r} is unknown{nearest(dtype, DTYPES)}")
        self.path = path
        self._split = split
        self._shapes = {name: (spec.segments, stream.dim) for name, stream in spec.streams.items()}
        self._dtype = dtype
        self._provenance = provenance
        self._aside = path.with_name(f"{path.name}.part")
        self._rows: dict[str, int] = {}
        self._committed = 0
        self._journal, self._files = self._open()
        self._last_commit = time.monotonic()

    @property
    def done(self) -> frozenset[str]:
        """Ids of the videos that need not be added again."""
        return frozenset(self._rows)

    def add(self, video: str, streams: Mapping[str, NDArray[np.floating[Any]]]) -> None:
        """Appends one video.

        Args:
            video: Its id, new.
            streams: Features by stream name, each (T, D), finite.

        Raises:
            RlldError: If a stream is missing, misshapen, not finite, or too large for the dtype.
            ValueError: If the video was added before.
        """
        if video in self._rows:
            raise ValueError(f"video {video!r} was added before")
        rows = {name: self._encode(video, name, streams) for name in self._shapes}
        for name, data in rows.items():
            self._files[name].write(data)
        self._rows[video] = len(self._rows)
        if time.monotonic() - self._last_commit >= COMMIT_SECONDS:
            self._commit()

    def finish(self, ids: Sequence[str]) -> None:
        """Makes the store of the given videos, in that order, and removes the working folder.

        Args:
            ids: Videos that were added; others that were added are left out.

        Raises:
            RlldError: If the store cannot be written.
            ValueError: If a video was not added.
        """
        missing = [video for video in ids if video not in self._rows]
        if missing:
            raise ValueError(f"{len(missing)} videos were never added, first {missing[0]!r}")
        self.close()
        order = np.array([self._rows[video] for video in ids], dtype=np.int64)
        digests = {name: "0" * 64 for name in self._shapes}
        with written_aside(self.path) as aside, aside.open("w+b") as file:
            file.write(self._header(ids, digests))
            for name in sorted(self._shapes):
                digests[name] = self._copy(name, order, file)
            # Every digest has 64 characters, so that the final header fits its place.
            file.seek(0)
            file.write(self._header(ids, digests))
        self.discard()

    def close(self) -> None:
        """Brings what was added safely to disk and closes the working files."""
        if not self._journal.closed:
            self._commit()
            for file in (self._journal, *self._files.values()):
                file.close()

    def discard(self) -> None:
        """Removes the working folder."""
        for file in (self._journal, *self._files.values()):
            file.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _settings(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "split": self._split,
            "dtype": self._dtype,
            "streams": {name: list(shape) for name, shape in self._shapes.items()},
            "provenance": self._provenance,
        }

    def _row_bytes(self, name: str) -> int:
        segments, dim = self._shapes[name]
        return segments * dim * DTYPES[self._dtype][0].itemsize

    def _open(self) -> tuple[BinaryIO, dict[str, BinaryIO]]:
        """Opens the working folder, after the last video that is complete in every file."""
        first = json.dumps(self._settings(), sort_keys=True)
        journal = self._aside / "journal"
        try:
            self._aside.mkdir(parents=True, exist_ok=True)
            lines = journal.read_text(encoding="utf-8").split("\n") if journal.exists() else []
            # The last piece is what a kill cut off, or nothing.
            found, ids = (lines[0], lines[1:-1]) if len(lines) > 1 else (first, [])
            if found != first:
                raise RlldError(
                    f"{self._aside}: holds half-done work of other settings; run again with those "
                    "settings to go on, or delete that folder to start afresh"
                )
            files: dict[str, BinaryIO] = {
                name: (self._aside / name).open("ab") for name in self._shapes
            }
            whole = min(files[name].tell() // self._row_bytes(name) for name in files)
            ids = ids[:whole]
            for name, file in files.items():
                file.truncate(len(ids) * self._row_bytes(name))
            handle = journal.open("wb")
            handle.write("".join(f"{line}\n" for line in [first, *ids]).encode())
        except OSError as error:
            reason = error.strerror or str(error)
            raise RlldError(f"{self._aside}: cannot be written ({reason})") from None
        self._rows = {video: row for row, video in enumerate(ids)}
        self._committed = len(ids)
        return handle, files

    def _commit(self) -> None:
        """Features first, then the journal: what the journal names is on disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        new = list(self._rows)[self._committed :]
        self._journal.write("".join(f"{video}\n" for video in new).encode())
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._committed = len(self._rows)
        self._last_commit = time.monotonic()

    def _encode(
        self, video: str, name: str, streams: Mapping[str, NDArray[np.floating[Any]]]
    ) -> bytes:
        if name not in streams:
            raise RlldError(f"video {video!r}: stream {name!r} is missing")
        value = torch.as_tensor(np.ascontiguousarray(streams[name]))
        if tuple(value.shape) != self._shapes[name]:
            raise RlldError(
                f"video {video!r}: stream {name!r} has shape {tuple(value.shape)}, expected "
                f"{self._shapes[name]}"
            )
        value = value.to(DTYPES[self._dtype][0])
        if not bool(torch.isfinite(value).all()):
            raise RlldError(
                f"video {video!r}: stream {name!r} holds values that are no finite {self._dtype}"
            )
        return value.view(torch.uint8).numpy().tobytes()

    def _header(self, ids: Sequence[str], digests: Mapping[str, str]) -> bytes:
        """Returns the safetensors header: its length, then JSON padded to a round length."""
        tensors: dict[str, Any] = {}
        start = 0
        for name in sorted(self._shapes):
            end = start + len(ids) * self._row_bytes(name)
            tensors[name] = {
                "dtype": DTYPES[self._dtype][1],
                "shape": [len(ids), *self._shapes[name]],
                "data_offsets": [start, end],
            }
            start = end
        metadata = {
            "rlld_store": str(FORMAT),
            "split": self._split,
            "dtype": self._dtype,
            "provenance": self._provenance,
            "ids": "\n".join(ids),
            "ids_sha256": ids_hash(ids),
            **{f"sha256.{name}": digest for name, digest in digests.items()},
        }
        text = json.dumps({"__metadata__": metadata, **tensors}, sort_keys=True).encode()
        text += b" " * (-(8 + len(text)) % ALIGNMENT)
        return len(text).to_bytes(8, "little") + text

    def _copy(self, name: str, order: NDArray[np.int64], out: BinaryIO) -> str:
        """Copies one array in final order and returns its SHA-256."""
        digest = hashlib.sha256()
        size = self._row_bytes(name)
        with (self._aside / name).open("rb") as source:
            position = 0
            for chunk in np.split(order, range(COPY_ROWS, len(order), COPY_ROWS)):
                for row in chunk:
                    if row != position:
                        source.seek(int(row) * size)
                    data = source.read(size)
                    position = int(row) + 1
                    digest.update(data)
                    out.write(data)
        return digest.hexdigest()


def read_store(path: Path) -> Store:
    """Opens a packed store; the features are mapped, not read.

    Args:
        path: The file.

    Raises:
        RlldError: If the file is missing, truncated, no store, damaged in its metadata, or of a
            newer format.
    """
    if not path.is_file():
        raise RlldError(f"{path}: no such store; make it with 'rlld data pack' or 'rlld extract'")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_version(path, metadata)
            streams = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError) as error:
        raise RlldError(
            f"{path}: not a whole safetensors file ({error}); copy it again or pack it again"
        ) from None
    ids = tuple(metadata["ids"].split("\n")) if metadata.get("ids") else ()
    checksums = {name: metadata.get(f"sha256.{name}", "") for name in streams}
    store = Store(
        path,
        metadata.get("split", ""),
        ids,
        streams,
        metadata.get("dtype", ""),
        metadata.get("provenance", ""),
        checksums,
    )
    _check_metadata(store, metadata.get("ids_sha256", ""))
    return store


def verify_store(store: Store) -> list[str]:
    """Reads the whole store and says what is wrong with its features.

    Returns:
        One sentence per damaged stream: another checksum than when it was written, or values
        that are not finite. Empty when all is well.
    """
    problems = []
    for name, value in store.streams.items():
        digest = hashlib.sha256(value.view(torch.uint8).numpy())
        if digest.hexdigest() != store.checksums[name]:
            problems.append(
                f"stream '{name}' differs from its checksum: the file was changed or damaged; "
                "copy it again or pack it again"
            )
        broken = [
            store.ids[row + start]
            for start in range(0, len(store.ids), COPY_ROWS)
            for row in np.flatnonzero(
                ~torch.isfinite(value[start : start + COPY_ROWS]).flatten(1).all(1).numpy()
            )
        ]
        if broken:
            problems.append(
                f"stream '{name}' holds NaN or infinity in {len(broken)} videos, first "
                f"'{broken[0]}'; pack it again from good features"
            )
    return problems


def _check_version(path: Path, metadata: Mapping[str, str]) -> None:
    version = metadata.get("rlld_store", "")
    if not version.isdecimal():
        raise RlldError(f"{path}: a safetensors file, but no packed store of rlld")
    if int(version) > FORMAT:
        raise RlldError(
            f"{path}: store format {version} is newer than {FORMAT}, the newest this rlld reads; "
            "upgrade rlld"
        )


def _check_metadata(store: Store, digest: str) -> None:
    expected = DTYPES.get(store.dtype)
    if expected is None:
        raise RlldError(
            f"{store.path}: unknown dtype {store.dtype!r}{nearest(store.dtype, DTYPES)}"
        )
    if digest != ids_hash(store.ids) or len(set(store.ids)) != len(store.ids):
        raise RlldError(
            f"{store.path}: its list of video ids is damaged; copy it again or pack it again"
        )
    for name, value in store.streams.items():
        if value.dtype != expected[0] or value.ndim != 3 or len(value) != len(store.ids):
            raise RlldError(
                f"{store.path}: stream {name!r} is {value.dtype} of shape {tuple(value.shape)}, "
                f"its metadata say {store.dtype} and {len(store.ids)} videos; pack it again"
            )
