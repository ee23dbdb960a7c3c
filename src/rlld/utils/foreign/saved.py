"""Files of ``torch.save`` and pickles: checkpoints, resume states, lists of labels."""

from __future__ import annotations

import io
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, ZipFile
from zlib import crc32

import torch
from torch import Tensor, UntypedStorage

from rlld.utils.foreign.damage import DamagedError, Told, guarded
from rlld.utils.foreign.pickles import Builder, Bytes, Named, Opaque, mapping, unpickled

ZIP = b"PK\x03\x04"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""What a file of torch before 1.6 begins with."""

MOST_DIMENSIONS = 16
LOCAL_HEADER = 30
ALIGNED = 16
UNSUMMED = 0
"""Checksum of the parts of a file that PyTorch was told to write without checksums."""
BLOCK = 1 << 24

STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {
        "Double": torch.float64,
        "Float": torch.float32,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "ComplexFloat": torch.complex64,
        "ComplexDouble": torch.complex128,
    }.items()
} | {"torch.storage.UntypedStorage": torch.uint8}

DTYPES = {str(dtype): dtype for dtype in STORAGES.values()} | {
    f"torch.{name}": getattr(torch, name)
    for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")
}

VALUELESS = {
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without values (meta)",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
}

NUMBERS = ("Float64", "Float32", "Float16", "Int64", "Int32", "UInt64", "UInt32", "Bool")
BUILTINS = (
    *("int", "float", "complex", "bool", "str", "bytearray", "slice"),
    *("list", "dict", "tuple", "set", "frozenset"),
)
PLAIN = (
    *("argparse.Namespace", "torch.device", "torch.nn.parameter.Parameter", "_codecs.encode"),
    *("torch.Tensor", "torch.serialization._get_layout", "numpy.ndarray", "numpy.dtype"),
    *(f"numpy.dtypes.{kind}DType" for kind in NUMBERS),
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
    *(
        f"{module}.{kind}"
        for module in ("pathlib", "pathlib._local")
        for kind in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    ),
    *(f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in BUILTINS),
)
"""Names of plain values that lie beside weights; nothing of them is looked at."""


@dataclass(frozen=True)
class Stored:
    """A storage of a file, and the element type that its reference gives it."""

    data: UntypedStorage
    dtype: torch.dtype


def read_saved(
    path: Path, told: Told, *, device: torch.device | str = "cpu", mapped: bool = False
) -> Any:
    """Reads a file of ``torch.save``, new or old, or a pickle, without running any of it.

    Memory stays within a small multiple of the size of the file: tensors have no more values than
    their storage, storages no more bytes than the file, and pickles are bounded in their
    instructions.

    Args:
        path: The file.
        told: How to speak of it.
        device: Where the tensors shall live.
        mapped: Map the values of a new file instead of reading them.

    Returns:
        Tensors, numbers, text and containers of them; ``Opaque`` stands for other plain objects.

    Raises:
        RlldError: If it cannot be read, is damaged, claims more than it holds, or names anything
            that would have to be run.
    """
    target = torch.device(device)
    with guarded(path, told), path.open("rb") as file:
        if file.read(len(ZIP)) == ZIP:
            with _Archive(path, file, target, mapped) as archive:
                return archive.read()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Stream(content, len(content), target).read()


def kind_of(value: Any) -> str:
    """Names the kind of a value that was read, for messages."""
    return "an object" if isinstance(value, (Opaque, Named, Stored)) else type(value).__name__


class _Archive:
    """A zip of ``torch.save``: ``NAME/data.pkl``, and ``NAME/data/KEY`` for every storage."""

    def __init__(self, path: Path, file: BinaryIO, device: torch.device, mapped: bool) -> None:
        self._file, self._device, self._zip = file, device, ZipFile(file)
        self._size = path.stat().st_size
        self._whole = UntypedStorage.from_file(str(path), False, self._size) if mapped else None
        self._found: dict[str, UntypedStorage] = {}
        self._left = self._size

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self) -> Any:
        names = [name for name in self._zip.namelist() if name.endswith("data.pkl")]
        if len(names) != 1 or names[0].count("/") > 1:
            raise DamagedError("a zip archive without one data.pkl in it")
        self._root = names[0].removesuffix("data.pkl")
        self._check_order()
        start, size = self._place(names[0])
        self._file.seek(start)
        content = io.BytesIO(self._file.read(size))
        return unpickled(content, NAMES, self._stored)

    def _check_order(self) -> None:
        name = f"{self._root}byteorder"
        if name in self._zip.namelist():
            start, size = self._place(name)
            self._file.seek(start)
            if self._file.read(min(size, 16)) != b"little":
                raise DamagedError("its numbers are not in little-endian order")

    def _place(self, name: str) -> tuple[int, int]:
        """Returns where a part begins and its size."""
        info = self._zip.getinfo(name)
        if info.compress_type != ZIP_STORED or info.file_size != info.compress_size:
            raise DamagedError(f"its part {name[:40]!r} is compressed, which PyTorch never does")
        self._file.seek(info.header_offset)
        header = self._file.read(LOCAL_HEADER)
        lengths = (header[26:28], header[28:30])
        start = info.header_offset + LOCAL_HEADER
        start += sum(int.from_bytes(length, "little") for length in lengths)
        if header[:4] != ZIP or start + info.file_size > self._size:
            raise DamagedError(f"its part {name[:40]!r} is cut off")
        self._left -= info.file_size
        if self._left < 0:
            raise DamagedError("its parts overlap")
        return start, info.file_size

    def _stored(self, reference: Any) -> Stored:
        key, dtype, count = _reference(reference)
        if key not in self._found:
            self._found[key] = self._load(f"{self._root}data/{key}")
        data = self._found[key]
        if count * dtype.itemsize > data.nbytes():
            raise DamagedError(
                f"storage {key[:40]!r} claims {count} values, the file holds {data.nbytes()} bytes"
            )
        return Stored(data, dtype)

    def _load(self, name: str) -> UntypedStorage:
        start, size = self._place(name)
        if self._whole is not None and size and start % ALIGNED == 0:
            part: UntypedStorage = self._whole[start : start + size]
            return part
        self._file.seek(start)
        data = _allocated(size, self._device)
        written, found = self._zip.getinfo(name).CRC, _fill(data, self._file)
        if written not in (found, UNSUMMED):
            raise DamagedError(f"its part {name[:40]!r} is not what was written")
        return data


class _Stream:
    """A pickle with everything inside, or a file of torch before 1.6: pickles, then storages."""

    def __init__(self, content: Bytes, size: int, device: torch.device) -> None:
        self._content, self._device, self._left = content, device, size
        self._found: dict[str, Stored] = {}

    def read(self) -> Any:
        loader = _Contents()
        first = unpickled(self._content, {**NAMES, LOAD_FROM_BYTES: loader})
        return self.rest(NAMES) if first == MAGIC else first

    def rest(self, names: Mapping[str, Builder]) -> Any:
        """Reads what follows the magic number."""
        content = self._content
        protocol, system = unpickled(content, {}), unpickled(content, {})
        little = isinstance(system, dict) and system.get("little_endian") is True
        if protocol != PROTOCOL or not little:
            raise DamagedError("an unknown version or order of bytes")
        value = unpickled(content, names, self._stored)
        keys = unpickled(content, {})
        if not isinstance(keys, list) or set(map(str, keys)) != self._found.keys():
            raise DamagedError("its list of storages is not that of its tensors")
        for key in dict.fromkeys(keys):
            stored = self._found[key]
            count = int.from_bytes(content.read(8), "little")
            if count * stored.dtype.itemsize != stored.data.nbytes():
                raise DamagedError(f"storage {key[:40]!r} has {count} values, not as many as told")
            _fill(stored.data, content)
        return value

    def _stored(self, reference: Any) -> Stored:
        key, dtype, count = _reference(reference)
        size = count * dtype.itemsize
        if key not in self._found:
            self._left -= size
            if self._left < 0:
                raise DamagedError(f"storage {key[:40]!r} claims more bytes than the file has")
            self._found[key] = Stored(_allocated(size, self._device), dtype)
        stored = self._found[key]
        if stored.data.nbytes() != size or stored.dtype != dtype:
            raise DamagedError(f"storage {key[:40]!r} has two sizes")
        return stored


class _Contents:
    """Storages that a pickle holds as bytes, which are files of ``torch.save`` themselves."""

    def __init__(self) -> None:
        self._known: dict[bytes, Stored] = {}

    def __call__(self, content: bytes) -> Stored:
        if content not in self._known:
            stream = io.BytesIO(content)
            if unpickled(stream, {}) != MAGIC:
                raise DamagedError("a storage that is none")
            stored = _Stream(stream, len(content), torch.device("cpu")).rest(NAMES)
            if not isinstance(stored, Stored):
                raise DamagedError("a storage that is none")
            self._known[content] = stored
        return self._known[content]


def _reference(reference: Any) -> tuple[str, torch.dtype, int]:
    """Returns key, element type and number of elements of what refers to a storage."""
    kind, named, key, _, count, *view = reference
    if kind != "storage" or not isinstance(named, Named) or named.name not in STORAGES:
        raise DamagedError("a reference to something that is no storage")
    if type(count) is not int or count < 0 or any(view):
        raise DamagedError(f"storage {str(key)[:40]!r} of no size")
    return str(key), STORAGES[named.name], count


def _allocated(size: int, device: torch.device) -> UntypedStorage:
    return torch.empty(size, dtype=torch.uint8, device=device).untyped_storage()


def _fill(data: UntypedStorage, file: Bytes) -> int:
    """Reads all bytes of a storage, and returns their checksum."""
    size, found = data.nbytes(), 0
    values = torch.empty(0, dtype=torch.uint8, device=data.device).set_(data)
    for start in range(0, size, BLOCK):
        block = file.read(min(BLOCK, size - start))
        if len(block) != min(BLOCK, size - start):
            raise DamagedError("it is cut off")
        values[start : start + len(block)] = torch.frombuffer(bytearray(block), dtype=torch.uint8)
        found = crc32(block, found)
    return found


def _view(stored: Any, dtype: torch.dtype, offset: Any, size: Any, stride: Any) -> Tensor:
    """Returns a tensor of a storage, which has at least as many values as the tensor."""
    if not isinstance(stored, Stored):
        raise DamagedError("a tensor without a storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or any(type(each) is not int or each < 0 for each in numbers):
        raise DamagedError("a tensor whose size is no size")
    if len(size) > MOST_DIMENSIONS:
        raise DamagedError(f"a tensor of {len(size)} dimensions, the most are {MOST_DIMENSIONS}")
    held, count = stored.data.nbytes() // dtype.itemsize, math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count > held or (count and last >= held):
        shape = str(size)[:80]
        raise DamagedError(f"a tensor of shape {shape} in a storage of {held} values")
    if not count:
        return torch.empty(size, dtype=dtype, device=stored.data.device)
    empty = torch.empty(0, dtype=dtype, device=stored.data.device)
    return empty.set_(stored.data, offset, size, stride)


def _tensor(stored: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    return _view(stored, getattr(stored, "dtype", torch.uint8), offset, size, stride)


def _typed_tensor(
    stored: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, named: Any, *___: Any
) -> Tensor:
    return _view(stored, DTYPES[named.name], offset, size, stride)


def _with_type(named: Any, _: Any, arguments: Any, __: Any) -> Any:
    if not isinstance(named, Named):
        raise DamagedError("a tensor that nothing makes")
    return named.build(*arguments)


def _first(value: Any, *_: Any) -> Any:
    return value


def _refused(what: str) -> Builder:
    def build(*_: Any) -> Any:
        raise DamagedError(f"it holds {what}, expected plain ones")

    return build


LOAD_FROM_BYTES = "torch.storage._load_from_bytes"
NAMES: dict[str, Builder] = {
    **dict.fromkeys((*STORAGES, *DTYPES, *PLAIN), Opaque),
    **{name: _refused(what) for name, what in VALUELESS.items()},
    **dict.fromkeys(
        (f"collections.{k}" for k in ("OrderedDict", "defaultdict", "Counter")), mapping
    ),
    "torch.Size": lambda size=(): tuple(size) if isinstance(size, tuple) else (),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _with_type,
}
"""All that a file may name, and what is done instead of calling it."""
