"""Files of labels that MA removed: the published pickle, read without running it, and our own.

The published ``need_to_change.pkl`` is a pickle of ``[visual, audio]``; each holds a list for every
class, in order, of the training rows (0-based) whose label goes, as zero-dimensional tensors.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.types import MODALITIES
from rlld.utils.files import written_aside
from rlld.utils.foreign.arrays import open_arrays
from rlld.utils.foreign.damage import Told, begins
from rlld.utils.foreign.saved import kind_of, read_saved

PUBLISHED_ORDER = ("visual", "audio")
MASKS = Told(
    "no exchange in it",
    "expected an npz file with the arrays 'audio' and 'visual', or a published need_to_change.pkl",
)
ROWS = Told(
    "cannot be read as labels to remove",
    "need_to_change.pkl holds tensors only, take the file from its publisher",
)


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
    if begins(path, b"PK"):
        return _read_masks(path, (videos, classes))
    return _read_rows(path, videos, classes)


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
    arrays = open_arrays(path, MASKS, MODALITIES)
    for name, mask in arrays.items():
        if mask.shape != shape or mask.dtype != np.bool_:
            raise RlldError(
                f"{path}: array {name!r} is {mask.dtype} of shape {str(mask.shape)[:80]}, expected "
                f"bool of shape {shape} (training videos, classes); it belongs to another data set"
            )
    return torch.from_numpy(np.stack([mask.read() for mask in arrays.values()]))


def _read_rows(path: Path, videos: int, classes: int) -> Tensor:
    removed = torch.zeros(2, videos, classes, dtype=torch.bool)
    lists = read_saved(path, ROWS)
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
    found = []
    for row in rows:
        if isinstance(row, Tensor):
            if row.ndim or row.is_floating_point() or row.is_complex():
                raise RlldError(f"{path}: a row is no whole number; take the file anew")
            found.append(int(row))
        elif isinstance(row, int) and not isinstance(row, bool):
            found.append(row)
        else:
            raise RlldError(f"{path}: a row is {kind_of(row)}, expected a whole number")
    return found
