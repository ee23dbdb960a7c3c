"""Cross-validated keep probabilities of the videos that taught a policy, kept in the run folder.

A policy that was trained on annotated videos says nothing honest of their labels. A learner that
works in folds judges each of them by a policy that did not see its annotation, and leaves that
here, so that ``rlld denoise --split validation`` can measure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rlld.errors import RlldError
from rlld.files import write_bytes

if TYPE_CHECKING:
    from rlld.training.run_folder import Run

FILE = "held_out.safetensors"


def save_held_out(folder: Path, ids: Sequence[str], keep: Tensor) -> None:
    """Writes held-out keep probabilities into a run folder.

    Args:
        folder: The run folder.
        ids: Ids of the videos, n of them.
        keep: Keep probabilities (n, 2, C), each by a policy that did not see the video.

    Raises:
        ValueError: If there are not as many ids as rows.
    """
    if len(ids) != len(keep):
        raise ValueError(f"{len(ids)} ids for {len(keep)} videos")
    tensors = {"keep": keep.detach().cpu().float().contiguous()}
    write_bytes(folder / FILE, save(tensors, metadata={"ids": json.dumps(list(ids))}))


def load_held_out(run: Run) -> dict[str, Tensor]:
    """Returns the held-out keep probabilities (2, C) by video id; empty where the run has none.

    Raises:
        RlldError: If the file is damaged or does not fit the run.
    """
    file = run.path / FILE
    if not file.is_file():
        return {}
    try:
        with safe_open(file, framework="pt") as store:
            ids: list[str] = json.loads((store.metadata() or {}).get("ids", "[]"))
            keep: Tensor = store.get_tensor("keep")
            if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
                raise ValueError("ids is no list of texts")
    except (SafetensorError, ValueError, OSError) as error:
        raise RlldError(f"{file}: cannot be read ({error}); delete it or train again") from None
    expected = (len(ids), 2, len(run.spec.classes))
    if tuple(keep.shape) != expected:
        raise RlldError(
            f"{file}: keep has shape {tuple(keep.shape)}, expected {expected}; delete it or train "
            "again"
        )
    return dict(zip(ids, keep, strict=True))
