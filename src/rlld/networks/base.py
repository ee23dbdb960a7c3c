"""What every task network is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from rlld.types import Prediction


class Network(nn.Module, ABC):
    """A task network: features of a video in, event probabilities out.

    Its module ``rlld.networks.NAME`` holds a frozen dataclass ``Config`` with the options and
    ``build(spec: DataSpec) -> Network``.
    """

    @abstractmethod
    def forward(self, streams: Mapping[str, Tensor]) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D of that stream).

        Returns:
            The prediction for the B videos.
        """

    def __call__(self, streams: Mapping[str, Tensor]) -> Prediction:
        """Predicts; see ``forward``."""
        prediction: Prediction = super().__call__(streams)
        return prediction
