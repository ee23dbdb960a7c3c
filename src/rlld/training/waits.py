"""Finds operations that cannot be part of a CUDA graph, on any device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = frozenset(
    (
        "_local_scalar_dense",  # item(), float(), a branch on a tensor
        "equal",
        "is_nonzero",
        "nonzero",
        "masked_select",
        "_unique",
        "_unique2",
        "unique_dim",
        "unique_consecutive",
        "unique_dim_consecutive",
        "repeat_interleave",
        "bincount",
        "histc",
        "lift_fresh",  # torch.tensor of Python values, which has to be copied to the device
    )
)
"""Operations by name that wait for the device, or whose shape depends on values."""

INDEXING = frozenset(("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"))
"""Operations that wait where an index is a mask."""

COPIES = frozenset(("_to_copy", "copy_", "_copy_from"))
"""Operations that wait where they cross devices."""


class WatchWaits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is on, notes every operation that makes the host wait.

    It sees what is dispatched, so that a run on a CPU tells what a GPU would wait for; random
    draws that are made on a generator of the CPU are seen as the copies that follow them.

    Args:
        refuse: Raise at the first one, so that the traceback shows its line.

    Attributes:
        found: Names of the operations, in order.
    """

    def __init__(self, refuse: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.refuse = refuse
        self.found: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs the operation, and notes it if the host has to wait for it."""
        name = func.overloadpacket.__name__
        result = func(*args, **(kwargs or {}))
        if _waits(name, args, result):
            if self.refuse:
                raise RuntimeError(f"the host waits for the device in {name}")
            self.found.append(name)
        return result


def waits_of(work: Callable[[], object]) -> list[str]:
    """Runs some work and returns the operations in it that make the host wait."""
    with WatchWaits() as watch:
        work()
        found: list[str] = watch.found
    return found


def _waits(name: str, args: tuple[Any, ...], result: Any) -> bool:
    if name in WAITING:
        return True
    if name in INDEXING:
        return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    if name in COPIES:
        devices = {each.device for each in (*args, result) if isinstance(each, Tensor)}
        return len(devices) > 1
    return False
