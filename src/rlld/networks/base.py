"""What every task network is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.types import Prediction
from rlld.utils.registry import Buildable

LARGEST = 250_000_000
"""Parameters of a network: 1 GB, and 4 GB with what training keeps beside them. The largest
published one has 41 million."""
COUNTED = 2**60
"""Parameters from which on torch may fail to count them."""

EMBEDDINGS = frozenset({"audio_before", "visual_before", "audio_after", "visual_after"})
"""Extras of most networks: embeddings (B, T, hidden) before and after the attention."""

Module = TypeVar("Module", bound=nn.Module)


class Network(nn.Module, ABC):
    """A task network: features of a video in, event probabilities out.

    Its module ``rlld.networks.NAME`` holds a frozen dataclass ``Config`` with the options.

    Attributes:
        gives: The extras of its predictions that an objective can count on.
        replayable: Whether ``forward`` does the same operations in every call, so that a GPU can
            record a step and replay it without Python.
        stackable: Whether several networks can be computed as one, their weights stacked
            (``torch.func.vmap``). LSTMs cannot.
        causal: Whether what is said of a segment depends on nothing that follows it; the
            video level is of all segments in any case.
        reach: Of how many segments, itself and those before it, what a causal network says of a
            segment is made; None where it is all of them.
    """

    gives: ClassVar[frozenset[str]] = frozenset()
    replayable: bool = True
    stackable: bool = True
    causal: bool = False
    reach: int | None = None

    @abstractmethod
    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Whatever a video is padded with changes nothing of what is said of it.

        Args:
            streams: Features by stream name, each (B, T, D of that stream), zeros behind the end
                of a video.
            mask: Which segments belong to their video (B, T), bool, the first ones of each; all
                when None.

        Returns:
            The prediction for the B videos, with its mask; see ``Prediction.within``.
        """

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts each modality from itself as far as the network can.

        Cross-modal attention tells a modality what the other one perceives, which is what a judge
        of modality labels must not see. Networks with such a path switch it off here.

        Args:
            streams: As in ``forward``.
            mask: As in ``forward``.
        """
        return self(streams, mask)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts twice: as ``unimodal``, without gradient, then as ``forward``.

        Networks compute only once what both passes share.

        Args:
            streams: As in ``forward``.
            mask: As in ``forward``.
        """
        with torch.no_grad():
            unimodal = self.unimodal(streams, mask)
        return unimodal, self(streams, mask)

    def prepare(self, folder: Path | None) -> None:
        """Is told before the first step, and never when trained weights are loaded.

        What a network takes from a file that an option names, it reads here and keeps in buffers,
        so that a run folder holds it.

        Args:
            folder: The data-set folder, if there is one.

        Raises:
            RlldError: If a file that an option names is wrong or missing.
        """

    def notes(self) -> list[str]:
        """Returns what readers of scores have to know; one sentence each."""
        return []

    def rate_factors(self) -> dict[nn.Parameter, float]:
        """Returns factors of the learning rate of parameters that have one; 1 for the others."""
        return {}

    def __call__(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; see ``forward``."""
        # A network of another distribution may know of videos of one length only.
        given = (streams,) if mask is None else (streams, mask)
        prediction: Prediction = super().__call__(*given)
        return prediction


class Config(Buildable):
    """Base of the options of a network, which is made of them and the data set's dimensions."""

    @property
    def gives(self) -> frozenset[str]:
        """The extras that an objective can count on with these options."""
        return self.made.gives  # type: ignore[no-any-return]

    def build(self, spec: DataSpec) -> Network:
        """Builds the network for a data set; it is called on the meta device as well."""
        network: Network = self.made(self, spec)
        return network


class Unimodal(Network):
    """A network whose ``forward`` is another network's ``unimodal``, with its parameters.

    Args:
        network: The other network.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.stackable = network.stackable

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; see ``Network.unimodal``."""
        return self.network.unimodal(streams, mask)


def require_mask(network: Network, what: str) -> None:
    """Refuses a network that takes videos of one length only.

    Args:
        network: It.
        what: What it is, for the message: ``network tagger``.

    Raises:
        RlldError: If its ``forward`` has no ``mask``.
    """
    if "mask" not in signature(network.forward).parameters:
        raise RlldError(
            f"{what}: its forward takes no mask, so that it cannot tell videos of different "
            "lengths from their padding; give it one (docs/add-a-method.md), or choose another "
            "network for this data set"
        )


def built(make: Callable[[], Module], what: str) -> Module:
    """Builds a network whose options came from a file or a command, unless it is too large.

    Args:
        make: Builds it. It is called twice, first for the sizes alone.
        what: What it is, for the message: ``network han``.

    Raises:
        RlldError: If it has more than ``LARGEST`` parameters; nothing is allocated then.
    """
    try:
        with torch.device("meta"):
            count = sum(parameter.numel() for parameter in make().parameters())
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        count = COUNTED  # a tensor is larger than torch can count, though nothing is allocated
    if count > LARGEST:
        found = f"{count:,}" if count < COUNTED else "more than 2^60"
        raise RlldError(
            f"{what}: has {found} parameters, expected at most {LARGEST:,}; choose smaller sizes "
            "(hidden, layers), or features of fewer dimensions"
        )
    return make()
