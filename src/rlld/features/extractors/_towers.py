"""Reading published weights of language models' towers, and putting them into networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.utils.plain import parsed

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
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RlldError(f"{path}: not a JSON file ({error}); get it again") from None
    if not isinstance(content, dict):
        raise RlldError(f"{path}: expected a mapping of names to values; get it again")
    return content


def read_state(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name from a safetensors file, or one of ``torch.save``, mapped if possible.

    No code of the file is run, and what training loops wrap around weights is looked through; see
    ``rlld.utils.foreign.weights``.

    Raises:
        RlldError: If the file is damaged, or holds no tensors by name.
    """
    from rlld.utils.foreign.damage import Told
    from rlld.utils.foreign.weights import read_weights

    told = Told("not a whole file of weights", "get the published file again")
    return read_weights(path, told, mapped=True).tensors


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
