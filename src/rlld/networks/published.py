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
    """

    name: str
    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    dead: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    infer: Callable[[State], dict[str, Any]] = lambda state: {}

    def live(self, state: State) -> dict[str, Tensor]:
        """Returns the tensors that the forward pass uses, under our names."""
        return {
            self._renamed(key): value
            for key, value in state.items()
            if not key.startswith(self.dead)
        }

    def _renamed(self, key: str) -> str:
        for published, ours in self.renames.items():
            if key.startswith(published):
                return ours + key.removeprefix(published)
        return key
