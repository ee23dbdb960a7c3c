"""UWAV's network (Lai et al., CVPR 2025): VALOR's, with one layer for both visual streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base, valor
from rlld.networks._blocks import pool_frames, stored
from rlld.networks._published import Layout, State
from rlld.utils.config import YOUNG, Count, Share, require_positive

VISUAL = ("visual_2d", "visual_3d")


@dataclass(frozen=True)
class Config(base.Config):
    """Options of UWAV's network; the defaults are those of its ``train_han.sh``.

    Attributes:
        hidden: Width of the model.
        layers: Attention layers.
        heads: Attention heads; where they do not divide the width, their largest common divisor.
        expansion: Width of the feed-forward block in units of ``hidden``.
        dropout: Dropout everywhere inside the attention layers.
        visual_projection: Whether a layer maps the visual streams to the width of the model. The
            published code has none where there are pictures without motion (CLIP and CLAP);
            ``hidden`` is then the width of the pictures, 768.
        causal: Whether a segment attends to itself and to those before it only, for parsing while
            a video goes on.
    """

    hidden: int = 512
    layers: Count = 5
    heads: Count = 16
    expansion: float = 4.0
    dropout: Share = 0.1
    visual_projection: bool = True
    causal: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        require_positive("network uwav: ", self, "hidden", "layers", "heads", "expansion")


@Config.makes
class Uwav(valor.Valor):
    """UWAV's network: VALOR's encoder, heads and pooling behind other input layers.

    The visual rows of an attention layer read the audio rows that the layer has just made.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        hidden = config.hidden
        options = valor.Config(
            hidden,
            config.layers,
            config.heads,
            config.expansion,
            "post",
            config.dropout,
            config.causal,
        )
        super().__init__(options, spec)
        self.add_module("fc_a", Layers(spec.dims["audio"], 2 * hidden, hidden))
        if not config.visual_projection:
            self._require_width(hidden, spec)
            self.add_module("fc_fusion", nn.Identity())

    def add_visual_layers(self, hidden: int, spec: DataSpec) -> None:
        """Makes the layer of both visual streams, under its published name."""
        self.has_motion = "visual_3d" in spec.dims
        width = sum(spec.dims.get(name, 0) for name in VISUAL)
        self.add_module("fc_fusion", Layers(width, hidden))

    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the features to the width of the model; see ``StreamEmbedding``."""
        audio = streams["audio"]
        names = VISUAL if self.has_motion else VISUAL[:1]
        pooled = [pool_frames(streams[name], audio.shape[1]) for name in names]
        visual = torch.cat([stored(rows, self.fc_prob) for rows in pooled], -1)
        return torch.stack([self.fc_a(stored(audio, self.fc_prob)), self.fc_fusion(visual)])

    def _require_width(self, hidden: int, spec: DataSpec) -> None:
        found = {name: spec.dims[name] for name in VISUAL if name in spec.dims}
        if found != {"visual_2d": hidden}:
            raise RlldError(
                "network uwav: visual_projection false needs pictures as wide as hidden "
                f"({hidden}) and no motion, and the data set has {found}; set hidden to the width "
                "of the pictures, or leave visual_projection on"
            )


class Layers(nn.Module):
    """Linear layers with ReLU between them, under the published names.

    Args:
        widths: Width of the input, and of what each layer gives.
    """

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(self, value: Tensor) -> Tensor:
        """Maps (..., D) to (..., width of the last layer)."""
        first, *others = self.layers
        value = first(value)
        for layer in others:
            value = layer(functional.relu(value))
        return value


def _infer(state: State) -> dict[str, Any]:
    projected = any(key.startswith("fc_fusion.") for key in state)
    return {**valor.PUBLISHED[0].infer(state), "network.visual_projection": projected}


PUBLISHED = (
    Layout(
        "UWAV",
        "uwav",
        dead=("hat_encoder.final_norm_",),
        renames={f"fc_{name}_att.layers.0.": f"fc_{name}_att." for name in ("frame", "av")},
        infer=_infer,
    ),
)
"""Checkpoints of UWAV's ``HybridAttentionNet``."""
