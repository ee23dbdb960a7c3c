"""LSLD's network (Fan, Wu, Du and Lin, NeurIPS 2023): HAN, deeper, on CLIP and CLAP features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rlld.data.spec import DataSpec
from rlld.networks import base, han
from rlld.networks._published import Layout
from rlld.utils.config import YOUNG, Count, Share, require_positive


@dataclass(frozen=True)
class Config(base.Config):
    """Options of LSLD's network.

    Attributes:
        hidden: Width of the model.
        layers: Hybrid attention layers, each of which reads what the one before it wrote.
        attention_dropout: Dropout inside the attention layers.
        visual_dropout: Dropout of the visual stream before the heads.
        causal: Whether a segment attends to itself and to those before it only, for parsing while
            a video goes on.
    """

    hidden: int = 512
    layers: Count = 4
    attention_dropout: Share = 0.1
    visual_dropout: Share = 0.5
    causal: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        require_positive("network lsld: ", self, "hidden", "layers")

    def build(self, spec: DataSpec) -> han.HAN:
        """Builds the network for a data set; it does not read ``visual_3d``."""
        streams = {name: spec.streams[name] for name in ("audio", "visual_2d")}
        options = han.Config(
            hidden=self.hidden,
            layers=self.layers,
            chained=True,
            attention_dropout=self.attention_dropout,
            visual_dropout=self.visual_dropout,
            causal=self.causal,
        )
        return han.HAN(options, replace(spec, streams=streams))


Config.makes(han.HAN)


PUBLISHED = (
    Layout(
        "LSLD",
        "lsld",
        dead=("hat_encoder.norm1.", "hat_encoder.norm2."),
        infer=han.PUBLISHED[0].infer,
    ),
)
"""Checkpoints of fyyCS/LSLD."""
