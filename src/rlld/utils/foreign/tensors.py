"""Safetensors files, whoever wrote them."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from rlld.utils.foreign.damage import DamagedError, Told, guarded
from rlld.utils.foreign.saved import MOST_DIMENSIONS


def read_tensors(path: Path, told: Told) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads a safetensors file; its values are mapped.

    Args:
        path: The file.
        told: How to speak of it.

    Returns:
        The tensors by name, and the texts of its header.

    Raises:
        RlldError: If it cannot be read, or is no whole safetensors file.
    """
    with guarded(path, told), safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in sorted(file.keys())}
        for name, value in tensors.items():
            if value.ndim > MOST_DIMENSIONS:
                raise DamagedError(f"tensor {name[:80]!r} has {value.ndim} dimensions")
        return tensors, metadata


def is_tensors(path: Path) -> bool:
    """Says whether a file begins as safetensors do; one that cannot be read does not."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return False
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size
