"""Reading published weights of language models' towers, and putting them into networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import numpy as np

from rlld.errors import RlldError

if TYPE_CHECKING:
    from torch import Tensor, nn

COMPUTED = (".position_ids", ".token_type_ids", ".relative_position_index")
"""Endings of tensors that follow from the sizes; some published files hold them, others not."""


def read_config(path: Path) -> dict[str, Any]:
    """Reads a ``config.json``.

    Raises:
        RlldError: If it is no JSON mapping.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RlldError(f"{path}: not a JSON file ({error}); get it again") from None
    if not isinstance(content, dict):
        raise RlldError(f"{path}: expected a mapping of names to values; get it again")
    return content


def read_state(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name from a safetensors file, or one of ``torch.save``, mapped if possible.

    No code of the file is run: of a pickle only tensors, plain values and numpy's numbers are
    taken. A checkpoint that holds more than weights has them under ``state_dict``.

    Raises:
        RlldError: If the file is damaged, or holds no tensors by name.
    """
    from torch import Tensor

    try:
        state = _read(path)
    except Exception as error:
        # Damaged or hostile bytes make the readers raise nearly anything; all of it is refusal.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RlldError(f"{path}: not a whole file of weights ({reason}); get it again") from None
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not state:
        raise RlldError(f"{path}: holds no tensors by name; get the published file")
    wrong = next((key for key, value in state.items() if not isinstance(value, Tensor)), None)
    if wrong is not None:
        raise RlldError(f"{path}: entry {wrong!r} is no tensor; get the published file")
    return {str(key): value for key, value in state.items()}


def _read(path: Path) -> Any:
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    with _numbers_allowed():
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))


def _numbers_allowed() -> AbstractContextManager[None]:
    """Allows numbers of numpy, such as the loss that a training loop keeps beside the weights."""
    import torch

    scalar = np.float64(0).__reduce__()[0]
    kinds = {
        type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)
    }
    allowed: list[Any] = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *kinds,
    ]
    context: AbstractContextManager[None] = torch.serialization.safe_globals(allowed)
    return context


def parts(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """Returns the tensors whose names begin with one of the prefixes."""
    return {key: value for key, value in state.items() if key.startswith(tuple(prefixes))}


def load_whole(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Fills a network with tensors, every one of it, and makes it ready to be used.

    Args:
        network: The network.
        state: Its tensors by name; ``COMPUTED`` ones are not needed and not looked at.
        path: Where they are from, for messages.

    Raises:
        RlldError: If a tensor is missing, unknown, of another shape, or not finite.
    """
    own = network.state_dict()
    needed = {key: value for key, value in own.items() if not key.endswith(COMPUTED)}
    given = {key: value for key, value in state.items() if not key.endswith(COMPUTED)}
    missing = next((key for key in needed if key not in given), None)
    unknown = next((key for key in given if key not in needed), None)
    if missing or unknown:
        text = f"tensor {missing!r} is missing" if missing else f"unknown tensor {unknown!r}"
        raise RlldError(f"{path}: {text}; these are weights of something else, or incomplete")
    for key, value in needed.items():
        found = given[key]
        if found.shape != value.shape:
            raise RlldError(
                f"{path}: tensor {key!r} is {tuple(found.shape)}, expected {tuple(value.shape)}; "
                "these weights are of another size"
            )
        if not found.isfinite().all():
            raise RlldError(f"{path}: tensor {key!r} holds NaN or infinite values; get it again")
    network.load_state_dict(given, strict=False)
    network.eval().requires_grad_(False)
