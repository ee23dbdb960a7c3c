"""Arrays of numpy, ``.npy`` and ``.npz``: the header first, the values when they are wanted."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from rlld.utils.foreign.damage import DamagedError, Told, guarded

HEAD = 1 << 14
"""Bytes that hold any header that numpy reads without being told to trust the file."""
KINDS = "biuf"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Array:
    """An array of a file; only its header was read.

    Attributes:
        dtype: Element type: truth values, whole or floating-point numbers.
        shape: Its shape. The file is as large as it takes, except where it is compressed.
        read: Returns the values.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


def open_array(path: Path, told: Told, *, mapped: bool = False) -> Array:
    """Opens an ``.npy`` file.

    Args:
        path: The file.
        told: How to speak of it.
        mapped: Map the values instead of reading them.

    Raises:
        RlldError: If it is no whole array of numbers.
    """
    with guarded(path, told), path.open("rb") as file:
        head = _Header(file.read(HEAD), path.stat().st_size)

    def read() -> NDArray[Any]:
        with guarded(path, told), path.open("rb") as file:
            if mapped and head.count:
                values: NDArray[Any] = np.memmap(
                    path, head.dtype, "r", head.start, head.shape, head.order
                )
                return values
            file.seek(head.start)
            return head.array(np.fromfile(file, head.dtype, head.count))

    return Array(head.dtype, head.shape, read)


def open_arrays(path: Path, told: Told, names: Sequence[str]) -> dict[str, Array]:
    """Opens arrays of an ``.npz`` file, compressed or not.

    Args:
        path: The file.
        told: How to speak of it.
        names: The arrays.

    Raises:
        RlldError: If it is no whole archive, or one of them is missing or no array of numbers.
    """
    with guarded(path, told):
        return {name: _member(path, told, name) for name in names}


def _member(path: Path, told: Told, name: str) -> Array:
    with _opened(path, name) as (file, size):
        head = _Header(file.read(HEAD), size)

    def read() -> NDArray[Any]:
        with guarded(path, told), _opened(path, name) as (file, _):
            file.read(head.start)
            content = file.read(head.count * head.dtype.itemsize)
            file.read(1)  # to the end, where the checksum of the archive is compared
            return head.array(np.frombuffer(bytearray(content), head.dtype))

    return Array(head.dtype, head.shape, read)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """Opens an array of an archive, and says how many bytes it claims to have."""
    with ZipFile(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            raise DamagedError(f"array {name!r} is missing")
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise DamagedError(f"array {name!r} is compressed in a way that numpy never does")
        with archive.open(info) as file:
            yield file, info.file_size


class _Header:
    """The header of an ``.npy`` file, compared with the size of the file."""

    def __init__(self, content: bytes, size: int) -> None:
        stream = io.BytesIO(content)
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise DamagedError(f"an unknown version {version}")
        with warnings.catch_warnings():
            # Python remarks on the spelling of a damaged header; the refusal says enough.
            warnings.simplefilter("ignore")
            self.shape, fortran, self.dtype = HEADERS[version](stream)
        self.order: Literal["F", "C"] = "F" if fortran else "C"
        self.start = stream.tell()
        if self.dtype.kind not in KINDS or self.dtype.subdtype is not None:
            raise DamagedError(f"values of type {str(self.dtype)[:80]}, expected numbers")
        if any(length < 0 for length in self.shape):
            raise DamagedError(f"a shape of {str(self.shape)[:80]}")
        self.count = math.prod(self.shape)
        if self.count * self.dtype.itemsize > size - self.start:
            raise DamagedError(
                f"a shape of {str(self.shape)[:80]}, for which {size} bytes are too few"
            )

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns values in the shape of the header."""
        if len(values) != self.count:
            raise DamagedError("it is cut off")
        return values.reshape(self.shape, order=self.order)
