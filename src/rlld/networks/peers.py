"""Two networks of one kind with different initial weights, for Co-teaching+ and JoCoR.

Their objectives let each choose the labels that the other one learns from, or both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base
from rlld.networks.base import Network
from rlld.types import PARTS, Prediction
from rlld.utils.registry import NETWORKS

PREFIX = "peers."
SAID = frozenset(f"{PREFIX}{name}" for name in PARTS)


@dataclass(frozen=True)
class Config(base.Config):
    """Options of a pair of networks.

    Attributes:
        base: Name of the network of which there are two.
        options: Its options.
        hidden: Width of both, in place of the base's own.
        predicts: Whose prediction counts when scoring and parsing: the ``first``, the ``second``
            or their ``average``. It has no part in training by the objectives made for peers.
    """

    base: str = "han"
    options: Mapping[str, Any] = field(default_factory=dict)
    hidden: int | None = None
    predicts: Literal["first", "second", "average"] = "first"

    def __post_init__(self) -> None:
        self.base_config()

    def base_config(self) -> Any:
        """Returns the options of one network.

        Raises:
            RlldError: If there is no such network, or an option is wrong.
        """
        if self.base == "peers":
            raise RlldError("network peers: base must be another network, such as han")
        width = {} if self.hidden is None else {"hidden": self.hidden}
        return NETWORKS.config({"name": self.base, **self.options, **width}, "network peers")

    @property
    def gives(self) -> frozenset[str]:
        """What both peers say and, unless their average counts, the extras of the one chosen."""
        return super().gives | (set() if self.predicts == "average" else self.base_config().gives)


@Config.makes
class Peers(Network):
    """Two networks that read the same videos and share nothing.

    The extras of a prediction hold what each peer says, stacked: ``peers.segment``
    (2, B, T, 2, C), ``peers.audio``, ``peers.visual`` and ``peers.video`` (2, B, C); besides, those
    of the peer that predicts.

    Attributes:
        first: A network.
        second: Another one.
        predicts: Whose prediction counts; may be changed at any time.
    """

    gives = SAID

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        base = config.base_config()
        self.first: Network = base.build(spec)
        self.second: Network = base.build(spec)
        self.predicts: str = config.predicts
        self.replayable = self.first.replayable and self.second.replayable
        self.causal, self.reach = self.first.causal, self.first.reach

    def prepare(self, folder: Path | None) -> None:
        """Prepares both."""
        self.first.prepare(folder)
        self.second.prepare(folder)

    def notes(self) -> list[str]:
        """Returns the notes of one, which both have."""
        return self.first.notes()

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; see the class for the extras."""
        return self._joined(self.first(streams, mask), self.second(streams, mask))

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts as both networks do when each modality sees itself alone."""
        return self._joined(self.first.unimodal(streams, mask), self.second.unimodal(streams, mask))

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts twice; each network computes once what its two passes share."""
        one = self.first.with_unimodal(streams, mask)
        other = self.second.with_unimodal(streams, mask)
        return self._joined(one[0], other[0]), self._joined(one[1], other[1])

    def _joined(self, first: Prediction, second: Prediction) -> Prediction:
        both = {name: torch.stack([getattr(first, name), getattr(second, name)]) for name in PARTS}
        extras = {f"{PREFIX}{name}": value for name, value in both.items()}
        if self.predicts == "average":
            mean = {name: value.mean(0) for name, value in both.items()}
            return Prediction(**mean, extras=extras, mask=first.mask)
        chosen = first if self.predicts == "first" else second
        parts = {name: getattr(chosen, name) for name in PARTS}
        return Prediction(**parts, extras={**chosen.extras, **extras}, mask=first.mask)


def peer_probabilities(prediction: Prediction, name: str) -> Tensor:
    """Returns what both peers say, stacked along a first axis of 2.

    Args:
        prediction: Of a pair of networks.
        name: ``segment``, ``audio``, ``visual`` or ``video``.
    """
    return prediction.extras[f"{PREFIX}{name}"]
