"""A tagger without attention between segments: a template for a task network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks import base
from rlld.networks._blocks import Dropout, full_precision, mmil_pool, pool_frames, stored
from rlld.networks.base import Network
from rlld.types import Prediction


@dataclass(frozen=True)
class Config(base.Config):
    """Options of the tagger.

    Attributes:
        hidden: Width of the model.
        dropout: Dropout before the heads.
    """

    hidden: int = 128
    dropout: float = 0.1


@Config.makes
class Tagger(Network):
    """Maps each modality to the same width and pools what the heads say over the segments.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        hidden, classes = config.hidden, len(spec.classes)
        self.visual_streams = [name for name in spec.dims if name != "audio"]
        self.audio = nn.Linear(spec.dims["audio"], hidden)
        self.visual = nn.Linear(sum(spec.dims[name] for name in self.visual_streams), hidden)
        self.dropout = Dropout(config.dropout)
        self.events = nn.Linear(hidden, classes)
        self.moments = nn.Linear(hidden, classes)
        self.modalities = nn.Linear(hidden, classes)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; no modality sees the other one, so that ``unimodal`` is the same."""
        segments = streams["audio"].shape[1]
        pictures = [pool_frames(streams[name], segments) for name in self.visual_streams]
        audio = self.audio(stored(streams["audio"], self.audio))
        visual = self.visual(stored(torch.cat(pictures, -1), self.visual))
        both = self.dropout(torch.stack([audio, visual], 2).relu())  # (B, T, 2, hidden)
        segment = full_precision(self.events(both)).sigmoid()
        weights = full_precision(self.moments(both)), full_precision(self.modalities(both))
        return Prediction(segment, *mmil_pool(segment, *weights, mask=mask)).within(mask)
