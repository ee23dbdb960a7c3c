"""Several networks of one architecture as one: weights stacked, matrix products batched.

One network of this size leaves most of a GPU idle. The rows of a stack compute what the networks
would compute one after the other, within rounding; only draws of dropout differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from rlld.data.split import Split
from rlld.networks.base import Network
from rlld.training.predict import joined, pieces
from rlld.types import PARTS, Prediction

State = Mapping[str, Tensor]
"""Parameters and buffers by name, each with a leading axis K."""

Way = Literal["forward", "unimodal", "with_unimodal"]


class _Called(nn.Module):
    """Makes a method of a network its ``forward``, and mappings of its predictions."""

    def __init__(self, network: Network, way: Way) -> None:
        super().__init__()
        self.network, self.way = network, way

    def forward(self, streams: State) -> tuple[dict[str, Tensor], ...]:
        found = getattr(self.network, self.way)(streams)
        return tuple(map(_parts, found if isinstance(found, tuple) else (found,)))


def stacked_call(
    network: Network, state: State, streams: State, way: Way = "forward", *, shared: bool = False
) -> list[tuple[Prediction, ...]]:
    """Calls every network of a stack.

    Args:
        network: Says what is computed, and whether for training; its own weights are not used.
        state: The stack.
        streams: Features by stream name, (K, B, T, D), or (B, T, D) where all see the same.
        way: The method of the network that is called.
        shared: Whether they see the same.

    Returns:
        For each of the K networks its prediction, or both of ``with_unimodal``.
    """
    called = _Called(network, way)

    def one(weights: State, features: State) -> tuple[dict[str, Tensor], ...]:
        named = {f"network.{name}": value for name, value in weights.items()}
        found: tuple[dict[str, Tensor], ...] = functional_call(called, named, (features,))
        return found

    dims = (0, None) if shared else (0, 0)
    found = vmap(one, dims, randomness="different")(dict(state), dict(streams))
    count = len(next(iter(state.values())))
    rows = [_rows(each, count) for each in found]
    return list(zip(*rows, strict=True))


@torch.no_grad()
def predict_stack(network: Network, state: State, split: Split) -> list[Prediction]:
    """Predicts a split of one length by every network of a stack; see ``predict_split``."""
    training = network.training
    network.eval()
    batches = list(pieces(split, len(next(iter(state.values())))))
    found = [stacked_call(network, state, batch.streams, shared=True) for batch in batches]
    network.train(training)
    return [
        joined(split, [(each.index, part[0]) for each, part in zip(batches, parts, strict=True)])
        for parts in zip(*found, strict=True)
    ]


def stack_rows(networks: Sequence[Network]) -> dict[str, Tensor]:
    """Stacks the parameters and buffers of networks and makes the networks rows of the stack.

    What changes the stack changes them, and the other way round.

    Returns:
        The stack; what the networks train are leaves that require gradients.
    """
    state: dict[str, Tensor] = {}
    for name, first in networks[0].state_dict(keep_vars=True).items():
        rows = [network.state_dict(keep_vars=True)[name] for network in networks]
        together = torch.stack([row.detach() for row in rows])
        for row, place in zip(rows, together, strict=True):
            row.data = place
        state[name] = together.requires_grad_(first.requires_grad)
    return state


def stacked_optimizer(
    optimizers: Sequence[torch.optim.Optimizer], stack: Mapping[Tensor, Tensor]
) -> torch.optim.Optimizer:
    """Returns one optimizer of a stack that does what an optimizer of each network does.

    Args:
        optimizers: Adam or a kin of it, that of each of the K networks; their settings are equal.
        stack: Where the parameters of the first one's network lie in the stack.
    """
    first = optimizers[0]
    groups = [
        {**group, "params": [stack[p] for p in group["params"] if p in stack]}
        for group in first.param_groups
    ]
    made = type(first)([group for group in groups if group["params"]])  # type: ignore[call-arg]
    for row in zip(*map(_parameters, optimizers), strict=True):
        entries = [
            each.state[p] for each, p in zip(optimizers, row, strict=True) if p in each.state
        ]
        if entries and row[0] in stack:
            made.state[stack[row[0]]] = {
                name: value.clone() if name == "step" else torch.stack([e[name] for e in entries])
                for name, value in entries[0].items()
            }
    return made


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _parts(prediction: Prediction) -> dict[str, Tensor]:
    named = {name: getattr(prediction, name) for name in PARTS}
    return {**named, **{f"extras.{name}": value for name, value in prediction.extras.items()}}


def _rows(parts: Mapping[str, Tensor], count: int) -> list[Prediction]:
    # unbind, not indexing: the backward of an index fills the whole stack with zeros.
    rows = {name: value.unbind() for name, value in parts.items()}
    return [
        Prediction(
            **{name: rows[name][number] for name in PARTS},
            extras={
                name.removeprefix("extras."): value[number]
                for name, value in rows.items()
                if name.startswith("extras.")
            },
        )
        for number in range(count)
    ]
