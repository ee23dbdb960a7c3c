"""MGN, the multi-modal grouping network (Mo and Tian, NeurIPS 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base
from rlld.networks._blocks import CrossAttending, full_precision
from rlld.networks._grouping import Grouping
from rlld.networks._published import Layout, State, numbered, sizes
from rlld.types import Prediction
from rlld.utils.config import Count, Within, require_positive

Assignment = Literal["soft", "hard"]


@dataclass(frozen=True)
class Config(base.Config):
    """Options of MGN, the published defaults.

    Attributes:
        hidden: Width of the model.
        unimodal_assign: Whether a segment is shared among the classes or given to one of them.
            The grouping of audio by visual positions does the opposite, as released.
        crossmodal_assign: The same for the grouping of audio classes by visual ones.
        depth_audio: Attention blocks before the grouping of the audio segments.
        depth_visual: The same for the visual segments.
        depth_fusion: The same for the grouping across the modalities.
        heads: Attention heads; where they do not divide the width, their largest common divisor.
        drop_path: Probability that a block skips a video in training.
    """

    hidden: int = 128
    unimodal_assign: Assignment = "soft"
    crossmodal_assign: Assignment = "soft"
    depth_audio: Annotated[int, Within(0, 100)] = 3
    depth_visual: Annotated[int, Within(0, 100)] = 3
    depth_fusion: Annotated[int, Within(0, 100)] = 6
    heads: Count = 8
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        require_positive("network mgn: ", self, "hidden", "heads")
        for name in ("depth_audio", "depth_visual", "depth_fusion"):
            if getattr(self, name) < 0:
                raise RlldError(f"network mgn: {name} must be 0 or more")
        if not 0 <= self.drop_path < 1:
            raise RlldError(f"network mgn: drop_path must lie in [0, 1), found {self.drop_path}")


@Config.makes
class MGN(CrossAttending):
    """The network; its state dict has the keys of the published one.

    Across the modalities it groups audio segments by visual ones. The fused probability comes from
    both modalities in any case.

    Attributes:
        config: Its options.
        segments: T, which the layers that mix positions are made for; a shorter video leaves the
            last of them empty.
    """

    gives = base.EMBEDDINGS | {"audio_class_logits", "visual_class_logits"}

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.segments = config, spec.segments
        width, classes = config.hidden, len(spec.classes)
        self.audio_token = nn.Parameter(torch.zeros(classes, width))
        self.visual_token = nn.Parameter(torch.zeros(classes, width))
        heads = math.gcd(config.heads, width)
        within, across = config.unimodal_assign == "hard", config.crossmodal_assign == "hard"
        path = config.drop_path
        self.audio_cug = Grouping(
            width, classes, config.depth_audio, heads, within, path, spec.segments
        )
        self.visual_cug = Grouping(width, classes, config.depth_visual, heads, within, path)
        self.av_mcg = Grouping(width, classes, config.depth_fusion, heads, across, path)
        self.fc_prob = nn.Linear(width, 1)
        self.fc_prob_a = nn.Linear(width, 1)
        self.fc_prob_v = nn.Linear(width, 1)
        self.fc_cls = nn.Linear(width, classes)
        self.apply(_published_start)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, (B, T, D), visual ones also (B, T * frames, D).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction, its segment probabilities cut off at 1. Its extras hold the logits
            ``audio_class_logits`` and ``visual_class_logits`` (C, C) of the class tokens, which
            do not depend on the videos, the groups ``audio_groups``, ``visual_groups`` and
            ``fused_groups`` (B, C, hidden), ``uncut_segment`` (B, T, 2, C), where soft assignment
            exceeds 1, and embeddings of the segments (B, T, hidden): ``audio_before`` and
            ``visual_before`` the blocks, ``audio_after`` and ``visual_after`` them.

        Raises:
            RlldError: If the videos have more segments than those of the data set.
        """
        return self.predict(self.embed(streams), mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether visual positions group the audio segments.
            mask: As in ``forward``.

        Raises:
            RlldError: As ``forward``.
        """
        audio, visual = embedded.unbind(0)
        if audio.shape[1] > self.segments:
            raise RlldError(
                f"network mgn was made for {self.segments} segments per video, found "
                f"{audio.shape[1]}; it mixes positions and takes no larger number"
            )
        seen, seen_when, visual_after = self.visual_cug(visual, self.visual_token, mask=mask)
        other = visual if cross_attention else None
        heard, heard_when, audio_after = self.audio_cug(audio, self.audio_token, other, mask)
        fused, *_ = self.av_mcg(heard, seen)
        audio_probability = _probability(self.fc_prob_a, heard)
        visual_probability = _probability(self.fc_prob_v, seen)
        when = torch.stack([heard_when, seen_when], 1).permute(0, 3, 1, 2)
        both = torch.stack([audio_probability, visual_probability], 1)
        segment = both.unsqueeze(1) * full_precision(when)
        extras = {
            "audio_class_logits": full_precision(self.fc_cls(self.audio_token)),
            "visual_class_logits": full_precision(self.fc_cls(self.visual_token)),
            "audio_before": full_precision(audio),
            "visual_before": full_precision(visual),
            "audio_after": full_precision(audio_after),
            "visual_after": full_precision(visual_after),
            "audio_groups": full_precision(heard),
            "visual_groups": full_precision(seen),
            "fused_groups": full_precision(fused),
            "uncut_segment": segment,
        }
        return Prediction(
            segment.clamp(max=1),
            audio_probability,
            visual_probability,
            _probability(self.fc_prob, fused),
            extras,
        ).within(mask)


def _probability(layer: nn.Linear, groups: Tensor) -> Tensor:
    return full_precision(layer(groups)).squeeze(-1).sigmoid()


def _published_start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _sizes(state: State) -> dict[str, Any]:
    found = sizes(state, hidden=("audio_token", 1))
    for option, part in (
        ("depth_audio", "audio_cug"),
        ("depth_visual", "visual_cug"),
        ("depth_fusion", "av_mcg"),
    ):
        found[f"network.{option}"] = numbered(state, f"{part}.blocks.")
    return found


PUBLISHED = (Layout("MGN", "mgn", infer=_sizes),)
"""Checkpoints of stoneMo/MGN; soft or hard assignment cannot be told from the weights."""
