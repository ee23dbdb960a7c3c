"""AVE: audio-guided visual attention and bidirectional LSTMs (Tian et al., ECCV 2018).

It was published for localising one event per video in AVE's data; the form for parsing is ours,
because nobody published one (see ``docs/methods/ave.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks._blocks import full_precision
from rlld.networks._published import Layout, State, sizes
from rlld.networks._recurrent import (
    RecurrentConfig,
    RecurrentEncoder,
    encoder_sizes,
    over_time,
    recurrent,
    residual_fusion,
    residual_layers,
    xavier,
)
from rlld.types import Prediction
from rlld.utils.config import Count


@dataclass(frozen=True)
class Config(RecurrentConfig):
    """Options of AVE; those that AVSDN has, too, are in ``RecurrentConfig``.

    Scores of a video are pooled from those of its segments, by their maximum as released. The
    parsing form ends in sigmoids, the localisation form in a softmax over the classes.

    Attributes:
        fusion: ``concat`` puts both streams side by side, ``dmrn`` fuses them by residual blocks.
        blocks: Residual blocks of ``dmrn``, which share their layers.
        head: Width of the classifier's hidden layer; ``dmrn`` has none in its joint head.
    """

    network = "ave"

    fusion: Literal["concat", "dmrn"] = "concat"
    blocks: Count = 1
    head: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("blocks", "head")


@Config.makes
class AVE(RecurrentEncoder):
    """The network; in the localisation form its state dict has the published keys.

    Attributes:
        config: Its options.
    """

    gives = frozenset({"audio_after", "visual_after"})

    config: Config

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec)
        classes, width, head = len(spec.classes), self.state_width, config.head
        if config.fusion == "dmrn":
            self.U_v, self.U_a = residual_layers(width), residual_layers(width)
            self.L2 = nn.Linear(width, classes)
            xavier(self.L2)
        else:
            self.L1, self.L2 = nn.Linear(2 * width, head), nn.Linear(head, classes)
            xavier(self.L1, self.L2)
        if config.form == "parsing":
            self.L1_a, self.L2_a = nn.Linear(width, head), nn.Linear(head, classes)
            self.L1_v, self.L2_v = nn.Linear(width, head), nn.Linear(head, classes)
            xavier(self.L1_a, self.L2_a, self.L1_v, self.L2_v)

    def forward(
        self,
        streams: Mapping[str, Tensor],
        mask: Tensor | None = None,
        attend: bool = True,
    ) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, (B, T, D); ``visual_2d`` with (B, T * positions, D).
            mask: Which segments belong to their video (B, T), bool; all when None.
            attend: Whether the sound weights the positions; otherwise they are averaged.

        Returns:
            The prediction. Its extras hold the joint scores ``segment_score`` (B, T, C) before
            any softmax or sigmoid, ``attended_visual`` (B, T, width), and what the LSTMs say,
            ``audio_after`` and ``visual_after`` (B, T, 2 * hidden).
        """
        audio, visual = self.embed(streams, attend)
        heard, _ = recurrent(self.lstm_audio, audio, mask=mask)
        seen, _ = recurrent(self.lstm_video, visual, mask=mask)
        scores = full_precision(self._joint_scores(heard, seen))
        extras = {
            "segment_score": scores,
            "attended_visual": visual,
            "audio_after": heard,
            "visual_after": seen,
        }
        if self.config.form == "localisation":
            segment = scores.softmax(-1).unsqueeze(2).expand(-1, -1, 2, -1)
            video = self.pooled(scores, mask)
            return Prediction(segment, video, video, video, extras).within(mask)
        audio_scores = full_precision(self.L2_a(self.L1_a(heard.relu()).relu()))
        visual_scores = full_precision(self.L2_v(self.L1_v(seen.relu()).relu()))
        segment = torch.stack([audio_scores, visual_scores], 2).sigmoid()
        audio_score, visual_score, video = (
            self.pooled(each, mask) for each in (audio_scores, visual_scores, scores)
        )
        return Prediction(segment, audio_score, visual_score, video, extras).within(mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts with averaged positions, which the sound does not weight.

        The heads of the modalities then see nothing of each other; the fused probability, and
        everything in the localisation form, still comes from both.
        """
        prediction: Prediction = self.forward(streams, mask, attend=False)
        return prediction

    def pooled(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns video-level probabilities (B, C) of segment scores (B, T, C)."""
        value = over_time(scores, self.config.pooling, mask)
        return value.softmax(-1) if self.config.form == "localisation" else value.sigmoid()

    def _joint_scores(self, heard: Tensor, seen: Tensor) -> Tensor:
        if self.config.fusion == "dmrn":
            fused = residual_fusion(heard, seen, self.U_a, self.U_v, self.config.blocks)
            scores: Tensor = self.L2(fused)
            return scores
        both = torch.cat([heard, seen], -1).relu()
        scores = self.L2(self.L1(both).relu())
        return scores


def _sizes(state: State) -> dict[str, Any]:
    return {**encoder_sizes(state), **sizes(state, head=("L1.weight", 0))}


PUBLISHED = (
    Layout("AVE", "ave", {"network.form": "localisation"}, infer=_sizes),
    Layout(
        "DMRN",
        "ave",
        {"network.form": "localisation", "network.fusion": "dmrn"},
        infer=encoder_sizes,
    ),
)
"""Checkpoints of YapengTian/AVE-ECCV18, weakly supervised (also supervised, same keys) and DMRN."""
