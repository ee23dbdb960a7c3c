"""The packed feature store: one safetensors file per split, written in flat memory.

The file holds one tensor (N, T, D) per stream; of videos of any length one (R, D), the segments of
all videos one after the other, and the ``lengths`` of the videos (N,). Its metadata say the format
version, the split, the ids in order with their SHA-256, the element type, the SHA-256 of every
array and a free provenance text. The same input gives the same bytes. Loading maps the file;
nothing is copied.

While it grows, a store lives in a folder ``<file>.part`` beside its place; see
:mod:`rlld.data.pile`. A writer that was killed goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlld.data.pile import Pile
from rlld.errors import RlldError, nearest
from rlld.utils.files import held, written_aside
from rlld.utils.foreign.damage import Told
from rlld.utils.foreign.tensors import read_tensors

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

FORMAT, RAGGED = 1, 2
"""Versions of the store format: of videos of one length, and of videos of any length."""

LENGTHS = "lengths"
"""Tensor that says how many segments each video has."""

DTYPES = {
    "float32": (torch.float32, "F32"),
    "float16": (torch.float16, "F16"),
    "bfloat16": (torch.bfloat16, "BF16"),
}
"""Element types of a store: as torch and as safetensors name them."""
TOLD = Told("not a whole safetensors file", "copy it again or pack it again")
LONGEST_VERSION = 9
"""Digits."""
ALIGNMENT = 64


class Rows(Protocol):
    """What a store holds of every video; a ``DataSpec`` says it of features."""

    @property
    def segments(self) -> int:
        """Segments per video, T."""

    @property
    def dims(self) -> dict[str, int]:
        """Dimensions by stream name."""

    @property
    def any_length(self) -> bool:
        """Whether each video has a number of segments of its own."""


class FeatureError(RlldError):
    """Features of one video that cannot be packed; those of other videos may be fine."""


@dataclass(frozen=True)
class Store:
    """A packed store, opened.

    Attributes:
        path: The file.
        split: Name of the split.
        ids: Video ids, N of them.
        streams: Features by stream name, each (N, T, D), or with ``lengths`` (R, D);
            memory-mapped.
        dtype: Element type: ``float32``, ``float16`` or ``bfloat16``.
        provenance: Where the features come from.
        checksums: SHA-256 of each array by its name.
        lengths: Segments of each video (N,), int64; None where all have T.
    """

    path: Path
    split: str
    ids: tuple[str, ...]
    streams: dict[str, Tensor]
    dtype: str
    provenance: str
    checksums: dict[str, str]
    lengths: Tensor | None = None

    def video(self, row: int) -> dict[str, Tensor]:
        """Returns the features of one video by stream name, each (T of the video, D)."""
        if self.lengths is None:
            return {name: value[row] for name, value in self.streams.items()}
        stop = int(self.lengths[: row + 1].sum())
        first = stop - int(self.lengths[row])
        return {name: value[first:stop] for name, value in self.streams.items()}


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

    Args:
        path: The store to be made.
        split: Name of the split.
        spec: The streams, dimensions and segments; with ``any_length`` each video brings its own
            number of segments.
        dtype: Element type of the store: ``float32``, ``float16`` or ``bfloat16``.
        provenance: Where the features come from; kept in the store. Half-done work found beside
            ``path`` is continued when it has the same split, streams, dtype and provenance.

    Raises:
        RlldError: If the dtype is unknown, half-done work of other settings lies there, or another
            process is writing this store.
    """

    def __init__(
        self,
        path: Path,
        split: str,
        spec: Rows,
        *,
        dtype: str = "float32",
        provenance: str = "",
    ) -> None:
        if dtype not in DTYPES:
            raise RlldError(f"store dtype {dtype!r} is unknown{nearest(dtype, DTYPES)}")
        self._path = path
        self._dtype = dtype
        self._ragged = spec.any_length
        # A pile of a ragged store has a row per segment, of another one a row per video.
        row: tuple[int, ...] = () if self._ragged else (spec.segments,)
        self._shapes = {name: (*row, dim) for name, dim in sorted(spec.dims.items())}
        self._metadata = {
            "rlld_store": str(RAGGED if self._ragged else FORMAT),
            "split": split,
            "dtype": dtype,
            "provenance": provenance,
        }
        sizes = {name: self._row_bytes(name) for name in self._shapes}
        settings = {**self._metadata, "streams": {n: list(s) for n, s in self._shapes.items()}}
        with ExitStack() as stack:
            stack.enter_context(held(path))
            self._pile = Pile(_work(path), settings, sizes)
            self._hold = stack.pop_all()

    @property
    def done(self) -> dict[str, str]:
        """The videos that were added, with the stamp of each."""
        return self._pile.done

    @property
    def lengths(self) -> dict[str, int] | None:
        """Segments of each video that was added; None where all have T."""
        return {video: self._pile.count(video) for video in self.done} if self._ragged else None

    def add(
        self, video: str, streams: Mapping[str, NDArray[np.floating[Any]]], stamp: str = ""
    ) -> None:
        """Appends one video; if it was added before, the new features count.

        Args:
            video: Its id.
            streams: Features by stream name, each (T, D), finite; T is the video's own where each
                has its own.
            stamp: What tells whether the source has changed since (times and sizes of files, for
                instance); it is kept until the store is finished and given back by :attr:`done`.

        Raises:
            FeatureError: If a stream is missing, misshapen, not finite, or too large for the
                dtype. Nothing was added then.
            RlldError: If the disk refuses the data.
        """
        counts = {name: len(streams[name]) for name in self._shapes if name in streams}
        if self._ragged and (0 in counts.values() or len(set(counts.values())) > 1):
            raise FeatureError(
                f"video {video!r}: found {_listed(counts)} segments, expected one or more, and as "
                "many in each stream"
            )
        rows = {name: self._encode(video, name, streams) for name in self._shapes}
        self._pile.add(video, rows, stamp)

    def finish(self, ids: Sequence[str]) -> None:
        """Makes the store of the given videos, in that order, and removes the working folder.

        Args:
            ids: Videos that were added; others that were added are left out.

        Raises:
            RlldError: If the store cannot be written.
            ValueError: If a video was not added.
        """
        missing = set(ids).difference(self.done)
        if missing:
            raise ValueError(f"{len(missing)} videos were never added, first {min(missing)!r}")
        self._pile.close()
        hashes = {name: hashlib.sha256() for name in self._shapes}
        lengths = np.array([self._pile.count(video) for video in ids], "<i8").tobytes()
        if self._ragged:
            hashes[LENGTHS] = hashlib.sha256(lengths)
        with written_aside(self._path) as aside, aside.open("wb") as file:
            file.write(self._header(ids, hashes))
            file.write(lengths if self._ragged else b"")
            for name in self._shapes:
                for row in self._pile.rows(name, ids):
                    hashes[name].update(row)
                    file.write(row)
            # Digests have a fixed length, so that the final header fits the place of the first.
            file.seek(0)
            file.write(self._header(ids, hashes))
        self._pile.discard()

    def close(self) -> None:
        """Brings what was added safely to disk and lets others write to it."""
        self._pile.close()
        self._hold.close()

    def discard(self) -> None:
        """Forgets what was added and removes the working folder."""
        self._pile.discard()
        self._hold.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _row_bytes(self, name: str) -> int:
        return math.prod(self._shapes[name]) * DTYPES[self._dtype][0].itemsize

    def _encode(
        self, video: str, name: str, streams: Mapping[str, NDArray[np.floating[Any]]]
    ) -> bytes:
        if name not in streams:
            raise FeatureError(f"video {video!r}: stream {name!r} is missing")
        value = torch.as_tensor(np.ascontiguousarray(streams[name]))
        shape = tuple(value.shape)
        if shape[self._ragged :] != self._shapes[name]:
            wanted = f"(segments, {self._shapes[name][0]})" if self._ragged else self._shapes[name]
            raise FeatureError(
                f"video {video!r}: stream {name!r} has shape {shape}, expected {wanted}"
            )
        value = value.to(DTYPES[self._dtype][0])
        if not bool(torch.isfinite(value).all()):
            raise FeatureError(
                f"video {video!r}: stream {name!r} holds values that are no finite {self._dtype}"
            )
        return value.view(torch.uint8).numpy().tobytes()

    def _header(self, ids: Sequence[str], hashes: Mapping[str, Hash]) -> bytes:
        """Returns the safetensors header: its length, then JSON padded to a round length."""
        tensors: dict[str, Any] = {}
        start = 0
        rows = sum(self._pile.count(video) for video in ids)
        if self._ragged:
            # First, for it is to lie in memory at a multiple of its element size.
            start = 8 * len(ids)
            tensors[LENGTHS] = {"dtype": "I64", "shape": [len(ids)], "data_offsets": [0, start]}
        for name, shape in self._shapes.items():
            end = start + rows * self._row_bytes(name)
            tensors[name] = {
                "dtype": DTYPES[self._dtype][1],
                "shape": [rows, *shape],
                "data_offsets": [start, end],
            }
            start = end
        metadata = {
            **self._metadata,
            "ids": "\n".join(ids),
            "ids_sha256": ids_hash(ids),
            **{f"sha256.{name}": digest.hexdigest() for name, digest in hashes.items()},
        }
        text = json.dumps({"__metadata__": metadata, **tensors}, sort_keys=True).encode()
        text += b" " * (-(8 + len(text)) % ALIGNMENT)
        return len(text).to_bytes(8, "little") + text


def holds(path: Path, ids: Sequence[str], provenance: str, dtype: str) -> bool:
    """Says whether a finished store is of these videos, of that origin and element type.

    Raises:
        RlldError: If it is damaged.
    """
    if not path.is_file():
        return False
    store = read_store(path)
    return (store.ids, store.provenance, store.dtype) == (tuple(ids), provenance, dtype)


def forget_work(path: Path) -> None:
    """Removes what a writer that was killed at its end left beside a finished store."""
    with held(path):
        shutil.rmtree(_work(path), ignore_errors=True)


def _work(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


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
    streams, metadata = read_tensors(path, TOLD)
    ragged = _version(path, metadata) == RAGGED
    ids = tuple(metadata["ids"].split("\n")) if metadata.get("ids") else ()
    checksums = {name: metadata.get(f"sha256.{name}", "") for name in streams}
    lengths = streams.pop(LENGTHS, torch.empty(0)) if ragged else None
    store = Store(
        path,
        metadata.get("split", ""),
        ids,
        streams,
        metadata.get("dtype", ""),
        metadata.get("provenance", ""),
        checksums,
        lengths,
    )
    _check_metadata(store, metadata.get("ids_sha256", ""))
    return store


def _version(path: Path, metadata: Mapping[str, str]) -> int:
    version = metadata.get("rlld_store", "")
    if not version.isdecimal() or len(version) > LONGEST_VERSION:
        raise RlldError(f"{path}: a safetensors file, but no packed store of rlld")
    if int(version) > RAGGED:
        raise RlldError(
            f"{path}: store format {version} is newer than {RAGGED}, the newest this rlld reads; "
            "upgrade rlld"
        )
    return int(version)


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
    rows = len(store.ids) if store.lengths is None else _require_lengths(store, store.lengths)
    axes = 3 if store.lengths is None else 2
    for name, value in store.streams.items():
        if value.dtype != expected[0] or value.ndim != axes or len(value) != rows:
            raise RlldError(
                f"{store.path}: stream {name!r} is {value.dtype} of shape {tuple(value.shape)}, "
                f"its metadata say {store.dtype} and {len(store.ids)} videos; pack it again"
            )


def _require_lengths(store: Store, lengths: Tensor) -> int:
    """Returns how many segments all videos have together."""
    whole = lengths.dtype == torch.int64 and tuple(lengths.shape) == (len(store.ids),)
    if not whole or not bool((lengths >= 1).all()):
        raise RlldError(
            f"{store.path}: its numbers of segments are damaged, expected a positive one for each "
            f"of {len(store.ids)} videos; copy it again or pack it again"
        )
    return sum(lengths.tolist())  # as tensors they could overflow


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({name})" for name, count in counts.items())
