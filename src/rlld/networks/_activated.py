"""Input layers with an activation behind each, which CMPAE and NREP share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks._blocks import pool_frames, stored
from rlld.networks.base import Network

SLOPE = 0.2
"""Slope of the leaky ReLUs below 0."""


def layer(inputs: int, outputs: int, *rest: nn.Module) -> nn.Sequential:
    """Makes a linear layer under its published name, with what follows it."""
    return nn.Sequential(nn.Linear(inputs, outputs), *rest)


class ActivatedEmbedding(Network):
    """A network whose input layers end in an ELU; the keys of its state dict are the published.

    Without ``visual_3d`` there is only ``fc_v`` for what is seen.

    Args:
        hidden: Width of the model.
        spec: The data set.
    """

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__()
        dims = spec.dims
        self.fc_a = layer(dims["audio"], hidden, nn.ELU())
        self.fc_v = layer(dims["visual_2d"], hidden, nn.ELU())
        self.has_motion = "visual_3d" in dims
        if self.has_motion:
            self.fc_st = layer(dims["visual_3d"], hidden, nn.ELU())
            self.fc_fusion = layer(2 * hidden, hidden, nn.ELU())

    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the features to the width of the model; nothing random happens here.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged behind the first layer.

        Returns:
            Audio and visual embeddings, stacked (2, B, T, hidden).
        """
        audio = self.hear(streams)
        segments = audio.shape[1]
        visual = _mapped(self.fc_v, streams["visual_2d"], segments)
        if self.has_motion:
            motion = _mapped(self.fc_st, streams["visual_3d"], segments)
            visual = self.fc_fusion(torch.cat([visual, motion], -1))
        return torch.stack([audio, visual])

    def hear(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the sound to the width of the model (B, T, hidden)."""
        audio = streams["audio"]
        return _mapped(self.fc_a, audio, audio.shape[1])


def _mapped(own: nn.Sequential, rows: Tensor, segments: int) -> Tensor:
    # The activation does not commute with the mean over the frames of a segment.
    return pool_frames(own(stored(rows, cast(nn.Linear, own[0]))), segments)
