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

import torch
from safetensors.torch import save
from torch import Tensor

from rlld.errors import RlldError
from rlld.utils.files import write_bytes
from rlld.utils.foreign.damage import DamagedError, Told, guarded
from rlld.utils.foreign.tensors import read_tensors
from rlld.utils.plain import parsed

if TYPE_CHECKING:
    from rlld.training.run_folder import Run

FILE = "held_out.safetensors"
TOLD = Told("cannot be read", "delete it or train again")


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
    tensors, metadata = read_tensors(file, TOLD)
    ids, keep = _ids(file, metadata.get("ids", "[]")), tensors.get("keep")
    expected = (len(ids), 2, len(run.spec.classes))
    if keep is None or tuple(keep.shape) != expected or keep.dtype != torch.float32:
        found = "none" if keep is None else f"{keep.dtype} of shape {tuple(keep.shape)}"
        raise RlldError(
            f"{file}: tensor 'keep': found {found}, expected float32 of shape {expected}; "
            f"{TOLD.advice}"
        )
    return dict(zip(ids, keep, strict=True))


def _ids(file: Path, text: str) -> list[str]:
    with guarded(file, TOLD):
        ids = parsed(text)
        if not isinstance(ids, list) or not all(isinstance(video, str) for video in ids):
            raise DamagedError("its ids are no list of texts")
    return ids
