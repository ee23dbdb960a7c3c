"""The features of a split, wherever its videos were when they were packed.

Who corrects a video and moves it to another split, or takes one out, changes annotation files
alone. The stores still hold all features, so they are read from where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlld.data.ragged import first_rows, rows_of
from rlld.data.spec import SPLITS
from rlld.data.store import Store, read_store, store_path
from rlld.errors import RlldError


def features_of(folder: Path, split: str, ids: Sequence[str]) -> Store:
    """Returns the features of a split in the order of its videos.

    Args:
        folder: The data-set folder.
        split: The split.
        ids: Its videos.

    Returns:
        Its store where that holds these videos in their order, or where some of them are in no
        store; otherwise, in memory, what the stores of all splits hold of them.

    Raises:
        RlldError: If the store of the split cannot be read.
    """
    own = store_path(folder, split)
    stores = {own: read_store(own)} if own.is_file() else {}
    if own in stores and stores[own].ids == tuple(ids):
        return stores[own]
    others = (store_path(folder, name) for name in SPLITS)
    for path in others:
        if path not in stores and path.is_file():
            try:
                stores[path] = read_store(path)
            except RlldError:
                continue  # told where its own split is read; what it lacks here is told as lacking
    found = _gathered(list(stores.values()), ids)
    if found is None:
        return read_store(own)
    return replace(found, path=own, split=split)


def _gathered(stores: Sequence[Store], ids: Sequence[str]) -> Store | None:
    """Returns videos of several stores as one; None where one is missing or stores differ."""
    home: dict[str, tuple[int, int]] = {}
    for place, store in enumerate(stores):  # the first that has a video is the one that counts
        for at, video in enumerate(store.ids):
            home.setdefault(video, (place, at))
    if not ids or any(video not in home for video in ids):
        return None
    used = sorted({home[video][0] for video in ids})
    if len({_kind(stores[place]) for place in used}) > 1:
        return None
    places, rows = torch.tensor([home[video] for video in ids], dtype=torch.int64).unbind(1)
    parts = [(stores[place], (places == place).nonzero()[:, 0]) for place in used]
    model, lengths = stores[used[0]], None
    if model.lengths is not None:
        lengths = torch.zeros(len(ids), dtype=torch.int64)
        for store, index in parts:
            lengths[index] = _lengths(store)[rows[index]]
    size = len(ids) if lengths is None else int(lengths.sum())
    streams = {
        name: value.new_empty(size, *value.shape[1:]) for name, value in model.streams.items()
    }
    for store, index in parts:
        source, target = rows[index], index
        if lengths is not None:
            target = rows_of(first_rows(lengths)[index], lengths[index])
            source = rows_of(first_rows(_lengths(store))[rows[index]], lengths[index])
        for name, value in store.streams.items():
            streams[name][target] = value[source]
    return replace(model, ids=tuple(ids), streams=streams, checksums={}, lengths=lengths)


def _kind(store: Store) -> tuple[Any, ...]:
    """Returns what the features of two stores must have in common to stand beside each other."""
    shapes = tuple((name, tuple(value.shape[1:])) for name, value in store.streams.items())
    return store.provenance, store.dtype, shapes, store.lengths is None


def _lengths(store: Store) -> Tensor:
    assert store.lengths is not None  # noqa: S101  (asked of all stores before)
    return store.lengths
