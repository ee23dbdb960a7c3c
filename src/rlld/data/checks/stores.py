"""Reading a whole packed store to see whether it is as it was written."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from rlld.data.store import LENGTHS, Store

CHUNK_ROWS = 64


def verify_store(store: Store) -> list[str]:
    """Reads the whole store and says what is wrong with its features.

    Returns:
        One sentence per damaged stream: another checksum than when it was written, or values
        that are not finite. Empty when all is well.
    """
    problems = []
    if store.lengths is not None and _differs(store, LENGTHS, store.lengths):
        problems.append(
            "the numbers of segments differ from their checksum: the file was changed or damaged; "
            "copy it again or pack it again"
        )
    for name, value in store.streams.items():
        if _differs(store, name, value):
            problems.append(
                f"stream '{name}' differs from its checksum: the file was changed or damaged; "
                "copy it again or pack it again"
            )
        broken = [
            store.ids[_video_of(store, start + int(row))]
            for start in range(0, len(value), CHUNK_ROWS)
            for row in np.flatnonzero(
                ~torch.isfinite(value[start : start + CHUNK_ROWS]).flatten(1).all(1).numpy()
            )
        ]
        broken = list(dict.fromkeys(broken))
        if broken:
            problems.append(
                f"stream '{name}' holds NaN or infinity in {len(broken)} videos, first "
                f"'{broken[0]}'; pack it again from good features"
            )
    return problems


def _differs(store: Store, name: str, value: torch.Tensor) -> bool:
    digest = hashlib.sha256(value.view(torch.uint8).numpy().data)
    return digest.hexdigest() != store.checksums[name]


def _video_of(store: Store, row: int) -> int:
    """Returns which video a row of the streams belongs to."""
    if store.lengths is None:
        return row
    return int(torch.searchsorted(store.lengths.cumsum(0), row, right=True))
