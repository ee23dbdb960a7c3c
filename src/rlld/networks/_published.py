"""How published checkpoints are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """How one publication lays out its checkpoints; a network module lists them as ``PUBLISHED``.

    Attributes:
        name: Name of the publication.
        recipe: Packaged recipe whose gate and settings belong to it.
        settings: Dotted settings on top of the recipe.
        dead: Prefixes of keys that the published forward pass never uses.
        renames: Prefixes of ours by published prefix, where they differ.
        infer: Reads dotted settings off the published state dict (the number of layers).
        tidy: Rewrites a published state dict before anything else, where prefixes do not do.
        parts: Entries of the file that make the network together, whose names then stand in front
            of those of their tensors; none where a file holds one state dict.
        elsewhere: Tensors that are published in another file, and the network option that names
            it: ``Network.prepare`` reads them.
    """

    name: str
    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    dead: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    infer: Callable[[State], dict[str, Any]] = lambda state: {}
    tidy: Callable[[State], State] = lambda state: state
    parts: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def live(self, state: State) -> dict[str, Tensor]:
        """Returns the tensors that the forward pass uses, under our names."""
        return {
            self._renamed(key): value
            for key, value in self.tidy(state).items()
            if not key.startswith(self.dead)
        }

    def _renamed(self, key: str) -> str:
        for published, ours in self.renames.items():
            if key.startswith(published):
                return ours + key.removeprefix(published)
        return key


def sizes(state: State, **places: tuple[str, int]) -> dict[str, Any]:
    """Returns network settings that are sizes of tensors; those of absent tensors are left out.

    Args:
        state: A published state dict, perhaps of another network.
        places: Key and axis by the name of a network option.
    """
    return {
        f"network.{option}": state[key].shape[axis]
        for option, (key, axis) in places.items()
        if key in state and axis < state[key].ndim
    }


def encoder(state: State, prefix: str) -> dict[str, Any]:
    """Returns how many layers an encoder has, and how much wider these are inside.

    Args:
        state: A published state dict, perhaps of another network.
        prefix: What stands in front of the number of a layer.
    """
    found: dict[str, Any] = {"network.layers": depth(state, prefix)}
    inner = state.get(f"{prefix}0.linear1.weight")
    if inner is not None and inner.ndim == 2:
        found["network.expansion"] = inner.shape[0] / inner.shape[1]
    return found


def depth(state: State, prefix: str) -> int:
    """Returns how many numbered parts a state dict has, 1 where it has none."""
    return max(numbered(state, prefix), 1)


def numbered(state: State, prefix: str) -> int:
    """Returns how many numbered parts a state dict has: ``prefix0.x``, ``prefix1.x`` are two."""
    return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})
