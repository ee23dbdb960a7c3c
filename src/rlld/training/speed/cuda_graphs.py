"""A step of fixed shapes, recorded once as a CUDA graph and replayed.

A GPU runs the few hundred small kernels of a step faster than Python can launch them. A graph
launches them all at once. The same function runs with and without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rlld.utils.console import ERR

WARM_UP = 3
"""Calls before the recording: they make what is made once (moments, tables, work spaces)."""

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


class Recording(NamedTuple):
    """A recorded function.

    Attributes:
        graph: What is replayed.
        inputs: Where it reads its arguments.
        output: Where it writes its value.
    """

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    output: Tensor

    def replay(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the value for other arguments of the same shapes."""
        for static, value in zip(self.inputs, inputs, strict=True):
            static.copy_(value)
        self.graph.replay()
        # The next replay writes into the same place.
        return self.output.clone()


class Captured:
    """Calls a function; on a GPU it is recorded at the fourth call and replayed from then on.

    The first calls run as they are, and count like any other. In the last of them every operation
    is looked at: if one makes the host wait, nothing is recorded and a line says why.

    What the function changes it has to change in place, and what it reads besides its arguments
    has to stay where it is; Python in it runs when it is recorded, not when it is replayed.

    Args:
        function: Takes tensors on the device and returns one; the shapes never change.
        title: What it does, for the line.
        enabled: Whether to record at all.
        generators: What the function draws from, besides torch's own generator.
        pool: A recording that never runs at the same time; both share memory for intermediates.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        title: str,
        enabled: bool,
        generators: Sequence[torch.Generator] = (),
        pool: Captured | None = None,
    ) -> None:
        self.function, self.title, self.enabled = function, title, enabled
        self.generators, self.pool = tuple(generators), pool
        self._calls = 0
        self._recording: Recording | None = None

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed."""
        return self._recording is not None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Returns the function's value, a tensor that later calls leave alone."""
        if not self.enabled:
            return self.function(*inputs)
        if self._calls < WARM_UP:
            self._calls += 1
            return self._warm_up(inputs)
        if self._recording is None:
            self._recording = self._record(inputs)
        return self._recording.replay(inputs)

    def _warm_up(self, inputs: Sequence[Tensor]) -> Tensor:
        # A recording may not use the default stream, and what autograd keeps between calls
        # belongs to the stream on which it was made.
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            output = self._watched(inputs) if self._calls == WARM_UP else self.function(*inputs)
        current.wait_stream(side)
        output.record_stream(current)
        return output

    def _watched(self, inputs: Sequence[Tensor]) -> Tensor:
        with WatchWaits() as watch:
            output = self.function(*inputs)
        if watch.found:
            self.enabled = False
            reason = ", ".join(dict.fromkeys(watch.found))
            _say(f"{self.title}: not recorded as a CUDA graph, the host waits in {reason}")
        return output

    def _record(self, inputs: Sequence[Tensor]) -> Recording:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        static = tuple(value.clone() for value in inputs)
        shared = self.pool._recording if self.pool else None
        with torch.cuda.graph(graph, pool=shared.graph.pool() if shared else None):
            output = self.function(*static)
        return Recording(graph, static, output)


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


def _waits(name: str, args: tuple[Any, ...], result: Any) -> bool:
    if name in WAITING:
        return True
    if name in INDEXING:
        return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    if name in COPIES:
        devices = {each.device for each in (*args, result) if isinstance(each, Tensor)}
        return len(devices) > 1
    return False


@lru_cache
def _say(line: str) -> None:
    """Says a thing once, however many networks are trained for a denoiser."""
    ERR.print(line)
