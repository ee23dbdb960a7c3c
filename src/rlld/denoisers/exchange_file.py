"""Files of labels that MA removed: the published pickle, read without running it, and our own.

The published ``need_to_change.pkl`` is a pickle of ``[visual, audio]``; each holds a list for every
class, in order, of the training rows (0-based) whose label goes, as zero-dimensional tensors.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.files import written_aside
from rlld.types import MODALITIES

PUBLISHED_ORDER = ("visual", "audio")


def read_exchange(path: Path, videos: int, classes: int) -> Tensor:
    """Reads the labels to remove.

    Args:
        path: A published ``need_to_change.pkl``, or an ``.npz`` of ``write_exchange``.
        videos: Training videos N.
        classes: Classes C.

    Returns:
        Mask (2, N, C), bool: audio, visual.

    Raises:
        RlldError: If it cannot be read, would run anything, or does not fit the training split.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RlldError(f"{path}: cannot be read ({error.strerror}); give another file") from None
    if data.startswith(b"PK"):
        return _read_masks(path, (videos, classes))
    return _read_rows(path, data, videos, classes)


def write_exchange(path: Path, removed: Tensor) -> None:
    """Writes the labels to remove: as published if the name ends in ``.pkl``, else as npz.

    Args:
        path: The file.
        removed: Mask (2, N, C), bool: audio, visual.
    """
    masks = dict(zip(MODALITIES, removed.cpu(), strict=True))
    with written_aside(path) as aside, aside.open("wb") as file:
        if path.suffix != ".pkl":
            np.savez_compressed(file, **{name: mask.numpy() for name, mask in masks.items()})
            return
        # A row of a shared tensor would drag all of it into the file, once for each row.
        rows = [
            [[row.clone() for row in column.nonzero()[:, 0]] for column in masks[name].T]
            for name in PUBLISHED_ORDER
        ]
        pickle.dump(rows, file)


def _read_masks(path: Path, shape: tuple[int, int]) -> Tensor:
    try:
        with np.load(path, allow_pickle=False) as file:
            masks = [np.asarray(file[name]) for name in MODALITIES]
    except (OSError, KeyError, ValueError) as error:
        raise RlldError(
            f"{path}: no exchange in it ({error}); expected an npz file with the arrays 'audio' "
            "and 'visual', or a published need_to_change.pkl"
        ) from None
    for name, mask in zip(MODALITIES, masks, strict=True):
        if mask.shape != shape or mask.dtype != np.bool_:
            raise RlldError(
                f"{path}: array {name!r} is {mask.dtype} of shape {mask.shape}, expected bool of "
                f"shape {shape} (training videos, classes); it belongs to another data set"
            )
    return torch.from_numpy(np.stack(masks))


def _read_rows(path: Path, data: bytes, videos: int, classes: int) -> Tensor:
    removed = torch.zeros(2, videos, classes, dtype=torch.bool)
    lists = _unpickled(path, data)
    layout = f"{path}: expected a list of two lists (visual, audio) of {classes} lists of rows"
    if not isinstance(lists, list) or len(lists) != 2:
        raise RlldError(f"{layout}; this is no need_to_change.pkl")
    for name, columns in zip(PUBLISHED_ORDER, lists, strict=True):
        if not isinstance(columns, list) or len(columns) != classes:
            found = len(columns) if isinstance(columns, list) else type(columns).__name__
            raise RlldError(f"{layout}, found {found} for {name}; it belongs to other classes")
        for label, rows in enumerate(columns):
            if not isinstance(rows, list):
                raise RlldError(f"{layout}; class {label} of {name} is no list")
            for row in _numbers(path, rows):
                if not 0 <= row < videos:
                    raise RlldError(
                        f"{path}: row {row} for {name}, but there are {videos} training videos; "
                        "it belongs to another training split"
                    )
                removed[MODALITIES.index(name), row, label] = True
    return removed


def _numbers(path: Path, rows: Sequence[object]) -> list[int]:
    storages: dict[bytes, Tensor] = {}
    found = []
    for row in rows:
        if isinstance(row, int) and not isinstance(row, bool):
            found.append(row)
            continue
        if not isinstance(row, _Call) or row.name != REBUILD:
            raise RlldError(f"{path}: a row is {type(row).__name__}, expected a whole number")
        found.append(_number(path, row, storages))
    return found


def _number(path: Path, row: _Call, storages: dict[bytes, Tensor]) -> int:
    """Returns the value of a pickled zero-dimensional tensor."""
    try:
        stored, offset, size = row.arguments[:3]
        if size != () or not isinstance(stored, _Call) or stored.name != STORAGE:
            raise TypeError
        (content,) = stored.arguments
        if content not in storages:
            storages[content] = _stored(content)
        values = storages[content]
        if values.is_floating_point() or values.is_complex() or not 0 <= offset < len(values):
            raise TypeError
        return int(values[offset])
    except Exception:
        # Bytes that no publication wrote make the readers raise nearly anything.
        raise RlldError(f"{path}: a row is no whole number; take the file anew") from None


def _stored(content: bytes) -> Tensor:
    with warnings.catch_warnings():
        # Typed storages are deprecated, but they are what the published files hold.
        warnings.simplefilter("ignore")
        loaded = torch.load(io.BytesIO(content), weights_only=True)
        return torch.empty(0, dtype=loaded.dtype).set_(loaded.untyped())


REBUILD = "torch._utils._rebuild_tensor_v2"
STORAGE = "torch.storage._load_from_bytes"
HOOKS = "collections.OrderedDict"
ALLOWED = frozenset({REBUILD, STORAGE, HOOKS})


class _Call:
    """What the pickle would have called, and with what; nothing is called."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments


class _Named:
    """Stands for an allowed function; calling it only notes the call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *arguments: Any) -> _Call:
        return _Call(self._name, *arguments)


class _RefusedError(Exception):
    """The pickle names something else."""


class _Inert(pickle.Unpickler):
    """Builds lists, numbers and notes of calls; refuses every name but the three."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns a stand-in for an allowed name."""
        full = f"{module}.{name}"
        if full not in ALLOWED:
            raise _RefusedError(full)
        return _Named(full)

    def persistent_load(self, key: Any) -> Any:
        """Refuses references to things outside of the file."""
        raise _RefusedError("something outside of the file")


def _unpickled(path: Path, data: bytes) -> object:
    try:
        result: object = _Inert(io.BytesIO(data)).load()
    except _RefusedError as refused:
        raise RlldError(
            f"{path}: refused, because reading it would run {refused}; need_to_change.pkl holds "
            "tensors only, take the file from its publisher"
        ) from None
    except Exception:
        # Damaged or hostile bytes make the reader raise nearly anything; all of it is refusal.
        raise RlldError(f"{path}: damaged or no pickle; take the file anew") from None
    return result
