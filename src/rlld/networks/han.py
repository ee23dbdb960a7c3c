"""HAN, the hybrid attention network with attentive MMIL pooling (Tian et al., ECCV 2020).

It is the task network of RLLD and, with the options named below, of MA and JoMoLD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks import base
from rlld.networks._attention import HybridEncoder
from rlld.networks._blocks import (
    CrossAttending,
    Dropout,
    full_precision,
    fused_heads,
    mmil_pool,
)
from rlld.networks._published import Layout, State, depth, sizes
from rlld.networks._sight import sight_of
from rlld.types import Prediction
from rlld.utils.config import YOUNG, Count, Share, require_positive


@dataclass(frozen=True)
class Config(base.Config):
    """Options of HAN.

    Attributes:
        hidden: Width of the model.
        layers: Hybrid attention layers.
        chained: Whether a layer reads what the layer before it wrote, as in JoMoLD. The released
            HAN feeds the encoder's input to every layer, so that only the last one counts.
        cross_attention: Whether a modality attends to the other one (JoMoLD's noise estimator
            does without).
        attention_dropout: Dropout inside the attention layers.
        visual_dropout: Dropout of the visual stream before the heads (JoMoLD: 0.5).
        causal: Whether a segment attends to itself and to those before it only, for parsing while
            a video goes on.
    """

    hidden: int = 512
    layers: Count = 1
    chained: bool = False
    cross_attention: bool = True
    attention_dropout: Share = 0.1
    visual_dropout: Share = 0.0
    causal: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        require_positive("network han: ", self, "hidden", "layers")


@Config.makes
class HAN(CrossAttending):
    """The hybrid attention network; its state dict has the keys of the published one.

    Attributes:
        config: Its options.
    """

    gives = base.EMBEDDINGS

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.causal = config, config.causal
        hidden, classes = config.hidden, len(spec.classes)
        self.hat_encoder = HybridEncoder(config.layers, hidden, config.attention_dropout)
        self.fc_prob = nn.Linear(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, classes)
        self.fc_av_att = nn.Linear(hidden, classes)
        self.visual_dropout = Dropout(config.visual_dropout)

    def forward(
        self,
        streams: Mapping[str, Tensor],
        mask: Tensor | None = None,
        cross_attention: bool | None = None,
    ) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged first.
            mask: Which segments belong to their video (B, T), bool; all when None.
            cross_attention: Overrides the option of that name for this call.

        Returns:
            The prediction. Its extras hold the embeddings (B, T, hidden) ``audio_before`` and
            ``visual_before`` the attention, ``audio_after`` and ``visual_after`` it (before
            ``visual_dropout``).
        """
        return self.predict(self.embed(streams), cross_attention, mask)

    def predict(
        self,
        embedded: Tensor,
        cross_attention: bool | None = None,
        mask: Tensor | None = None,
    ) -> Prediction:
        """Predicts from embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: As in ``forward``.
            mask: As in ``forward``.
        """
        cross = self.config.cross_attention if cross_attention is None else cross_attention
        # Without chaining every layer but the last is overwritten; it need not be computed.
        layers = list(self.hat_encoder.layers)[0 if self.config.chained else -1 :]
        encoded, sight = embedded, sight_of(embedded, mask, causal=self.causal)
        for layer in layers:
            encoded = layer(encoded, cross, sight)
        audio, visual = encoded.unbind(0)
        if self.training and self.config.visual_dropout:
            encoded = torch.stack([audio, self.visual_dropout(visual)])
        heads = (self.fc_prob, self.fc_frame_att, self.fc_av_att)
        # Logits are small: moving the modalities behind the segments here costs next to nothing.
        logits = [head.permute(1, 2, 0, 3) for head in fused_heads(heads, encoded)]
        event_logits, time_logits, modality_logits = logits
        segment = event_logits.sigmoid()
        pooled = mmil_pool(segment, time_logits, modality_logits, mask)
        before = embedded.unbind(0)
        extras = {
            "audio_before": full_precision(before[0]),
            "visual_before": full_precision(before[1]),
            "audio_after": full_precision(audio),
            "visual_after": full_precision(visual),
        }
        return Prediction(segment, *pooled, extras).within(mask)


def _sizes(state: State) -> dict[str, Any]:
    layers = depth(state, "hat_encoder.layers.")
    return {**sizes(state, hidden=("fc_prob.weight", 1)), "network.layers": layers}


_UNUSED_NORMS = ("hat_encoder.norm1.", "hat_encoder.norm2.")
_UNUSED_ENCODERS = ("audio_encoder.", "visual_encoder.", "cmt_encoder.")
PUBLISHED = (
    Layout(
        "JoMoLD",
        "weak",
        {"name": "jomold", "network.chained": True},
        dead=_UNUSED_NORMS,
        infer=_sizes,
    ),
    Layout("HAN", "han", dead=(*_UNUSED_ENCODERS, *_UNUSED_NORMS), infer=_sizes),
    Layout(
        "MA",
        "han",
        {"name": "ma", "gate.audio": "modality", "gate.visual": "modality"},
        dead=(*_UNUSED_ENCODERS, *_UNUSED_NORMS, "t_att.", "t_att2.", "fc1.", "fc2."),
        infer=_sizes,
    ),
)
"""Checkpoints of MCG-NJU/JoMoLD, YapengTian/AVVP-ECCV20 and Yu-Wu's MA, fewest dead keys first."""
