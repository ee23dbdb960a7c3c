"""Networks that were trained for a denoiser, kept for runs that would train the very same.

State networks depend on the data, the seed and the task settings, not on how many videos are
annotated or how the policy learns; runs that differ in these alone share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.recipes.recipe import Recipe
from rlld.types import ModalityLabels
from rlld.utils.files import write_bytes
from rlld.utils.foreign.damage import Told
from rlld.utils.foreign.tensors import read_tensors

PARTS = ("network", "objective", "schedule")
"""Sections of a recipe that a training on given labels depends on."""

TOLD = Told("not the weights of a network", "delete it")


def training_key(
    recipe: Recipe,
    train: Split,
    labels: ModalityLabels,
    seed: int,
    unimodal: bool,
    start: Mapping[str, Tensor] | None = None,
    teachers: Split | None = None,
) -> str:
    """Returns a name for what training a network on fixed labels gives on one machine.

    Args:
        recipe: What is trained; its denoiser and selection have no part in it, and its
            supervision only where there are teachers.
        train: The videos, on their device and in their precision.
        labels: Their labels.
        seed: Seed of the training.
        unimodal: Whether ``Network.unimodal`` is trained.
        start: Weights that the training starts from; drawn from the seed where there are none.
        teachers: Annotated videos that teach in every step, if any do.

    Returns:
        32 hexadecimal digits.
    """
    taught = () if teachers is None else ("supervision",)
    settings = {part: recipe.as_dict()[part] for part in (*PARTS, *taught)}
    where = [str(train.device), torch.__version__, seed, unimodal]
    digest = hashlib.blake2b(json.dumps([settings, where], sort_keys=True).encode(), digest_size=16)
    seen = {**_seen(train), **_given(labels), **(start or {})}
    learnt = {} if teachers is None else {**_seen(teachers), "dense": teachers.require_dense()}
    for name, value in (*seen.items(), *learnt.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def take(folder: Path, key: str, network: nn.Module) -> bool:
    """Puts kept weights into a network and says whether there were any.

    Raises:
        RlldError: If the file is damaged or does not fit.
    """
    path = _path(folder, key)
    if not path.is_file():
        return False
    weights, _ = read_tensors(path, TOLD)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RlldError(f"{path}: not the weights of a network ({reason}); delete it") from None
    return True


def keep(folder: Path, key: str, network: nn.Module) -> None:
    """Keeps the weights of a network."""
    weights = network.state_dict().items()
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in weights}
    write_bytes(_path(folder, key), save(copies))


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"


def _seen(split: Split) -> dict[str, Tensor]:
    lengths = {} if split.lengths is None else {"lengths": split.lengths}
    return {**split.streams, **lengths}


def _given(labels: ModalityLabels) -> dict[str, Tensor]:
    parts = {name: getattr(labels, name) for name in ("audio", "visual", "video", "segment")}
    return {f"{name} labels": part for name, part in parts.items() if part is not None}
