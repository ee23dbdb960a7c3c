"""Several networks as one, whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from rlld.networks.base import Network
from rlld.types import PARTS, Prediction

MEMBER = r"members\.\d+\."
"""What stands before the name of a weight in an ensemble, as a pattern."""


class Ensemble(Network):
    """Networks of one architecture that differ in the weights they start from.

    Each takes its own steps in training (see ``members_of``); what they say together is the mean of
    their probabilities (a deep ensemble, Lakshminarayanan et al., NeurIPS 2017), without extras.

    Args:
        members: The networks, at least one.
    """

    stackable = False

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.replayable = members[0].replayable
        self.causal, self.reach = members[0].causal, members[0].reach

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; see ``Network.forward``."""
        return mean([network(streams, mask) for network in members_of(self)])

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts each modality from itself; see ``Network.unimodal``."""
        return mean([network.unimodal(streams, mask) for network in members_of(self)])

    def prepare(self, folder: Path | None) -> None:
        """Prepares every member."""
        for network in members_of(self):
            network.prepare(folder)

    def notes(self) -> list[str]:
        """Returns what the members have to say, which is the same."""
        return members_of(self)[0].notes()

    def rate_factors(self) -> dict[nn.Parameter, float]:
        """Returns the factors of all members' parameters."""
        every = (network.rate_factors() for network in members_of(self))
        return {parameter: factor for each in every for parameter, factor in each.items()}


def members_of(network: Network) -> list[Network]:
    """Returns the networks of an ensemble, or a network by itself."""
    if not isinstance(network, Ensemble):
        return [network]
    return cast("list[Network]", list(network.members))  # ModuleList forgets it


def mean(predictions: Sequence[Prediction]) -> Prediction:
    """Returns the mean of predictions of the same videos, without extras."""
    segment, audio, visual, video = (
        torch.stack([getattr(each, part) for each in predictions]).mean(0) for part in PARTS
    )
    return Prediction(segment, audio, visual, video, mask=predictions[0].mask)
