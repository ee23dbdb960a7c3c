"""VALOR's network (Lai, Chen and Wang, NeurIPS 2023): HAN with an encoder that updates in turn.

VALOR, VALOR+ and VALOR++ differ by width, depth and features alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.networks import base
from rlld.networks._attention import ManyHeads
from rlld.networks._blocks import (
    Dropout,
    full_precision,
    fused_heads,
    mmil_pool,
)
from rlld.networks._maps import HearingMaps
from rlld.networks._published import Layout, State, encoder, sizes
from rlld.networks._sight import Sight, sight_of
from rlld.types import Prediction
from rlld.utils.config import YOUNG, Count, Share, require_positive


@dataclass(frozen=True)
class Config(base.Config):
    """Options of VALOR's network; the defaults are plain VALOR.

    Attributes:
        hidden: Width of the model (VALOR+ and VALOR++: 256).
        layers: Attention layers (VALOR+ and VALOR++: 4).
        heads: Attention heads; where they do not divide the width, their largest common divisor.
        expansion: Width of the feed-forward block in units of ``hidden`` (VALOR+ and VALOR++: 4).
        norm: Layer norms behind (``post``) or in front of (``pre``) what they normalise.
        dropout: Dropout everywhere inside the attention layers.
        causal: Whether a segment attends to itself and to those before it only, for parsing while
            a video goes on.
    """

    hidden: int = 512
    layers: Count = 1
    heads: Count = 8
    expansion: float = 2.0
    norm: Literal["post", "pre"] = "post"
    dropout: Share = 0.1
    causal: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        require_positive("network valor: ", self, "hidden", "layers", "heads", "expansion")


@Config.makes
class Valor(HearingMaps):
    """VALOR's network; its state dict has the keys of the published one.

    With ``norm: post`` the published ``final_norm_a`` and ``final_norm_v``, which are never used,
    are left out.

    Attributes:
        config: Its options.
        segments: Segments of a video, T.
    """

    gives = base.EMBEDDINGS | {"segment_logits"}

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.causal = config, config.causal
        classes = len(spec.classes)
        self.hat_encoder = _Encoder(config)
        self.fc_prob = nn.Linear(config.hidden, classes)
        self.fc_frame_att = nn.Linear(config.hidden, classes)
        self.fc_av_att = nn.Linear(config.hidden, classes)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: As in ``embed``.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold ``segment_logits`` (B, T, 2, C), and the embeddings
            (B, T, hidden) ``audio_before`` and ``visual_before`` the attention, ``audio_after``
            and ``visual_after`` it.
        """
        return self.predict(self.embed(streams), mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether a modality attends to the other one.
            mask: As in ``forward``.
        """
        sight = sight_of(embedded, mask, causal=self.causal)
        encoded = self.hat_encoder(embedded, cross_attention, sight)
        heads = (self.fc_prob, self.fc_frame_att, self.fc_av_att)
        # Logits are small: moving the modalities behind the segments here costs next to nothing.
        logits = [head.permute(1, 2, 0, 3) for head in fused_heads(heads, encoded)]
        event_logits, time_logits, modality_logits = logits
        segment = event_logits.sigmoid()
        pooled = mmil_pool(segment, time_logits, modality_logits, mask)
        before, after = embedded.unbind(0), encoded.unbind(0)
        extras = {
            "segment_logits": event_logits,
            "audio_before": full_precision(before[0]),
            "visual_before": full_precision(before[1]),
            "audio_after": full_precision(after[0]),
            "visual_after": full_precision(after[1]),
        }
        return Prediction(segment, *pooled, extras).within(mask)


class _Encoder(nn.Module):
    """Layers whose weights serve both modalities, one after the other."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.normed_at_end = config.norm == "pre"
        if self.normed_at_end:
            self.final_norm_a = nn.LayerNorm(config.hidden)
            self.final_norm_v = nn.LayerNorm(config.hidden)

    def forward(self, both: Tensor, cross_attention: bool, sight: Sight) -> Tensor:
        """Encodes audio and visual rows, stacked (2, B, T, hidden)."""
        audio, visual = both.unbind(0)
        sight = sight.per_head()
        for layer in self.layers:
            audio = layer(audio, visual if cross_attention else None, sight)
            # The visual rows already see the new audio rows.
            visual = layer(visual, audio if cross_attention else None, sight)
        if self.normed_at_end:
            audio, visual = self.final_norm_a(audio), self.final_norm_v(visual)
        return torch.stack([audio, visual])


class _Layer(nn.Module):
    """Self-attention and cross-modal attention, added, then feed-forward."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        hidden, inner = config.hidden, max(round(config.expansion * config.hidden), 1)
        self.norm_first = config.norm == "pre"
        self.self_attn = ManyHeads(hidden, config.heads, config.dropout)
        self.cm_attn = ManyHeads(hidden, config.heads, config.dropout)
        self.linear1 = nn.Linear(hidden, inner)
        self.linear2 = nn.Linear(inner, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, own: Tensor, other: Tensor | None, sight: Sight) -> Tensor:
        """Updates the rows of a modality (B, T, hidden), which may attend to the other's.

        The other's rows are never normalised here.
        """
        asking = self.norm1(own) if self.norm_first else own
        own = own + self.dropout(self.self_attn(asking, asking, sight))
        if other is not None:
            own = own + self.dropout(self.cm_attn(asking, other, sight))
        if self.norm_first:
            return own + self._fed(self.norm2(own))
        own = self.norm1(own)
        normed: Tensor = self.norm2(own + self._fed(own))
        return normed

    def _fed(self, value: Tensor) -> Tensor:
        inner = self.dropout(functional.relu(self.linear1(value)))
        fed: Tensor = self.dropout(self.linear2(inner))
        return fed


def _infer(state: State) -> dict[str, Any]:
    found = sizes(state, hidden=("fc_prob.weight", 1))
    return {**found, **encoder(state, "hat_encoder.layers.")}


PUBLISHED = (
    Layout("VALOR", "valor", dead=("hat_encoder.final_norm_",), infer=_infer),
    Layout("VALOR pre-norm", "valor", {"network.norm": "pre"}, infer=_infer),
)
"""Checkpoints of Franklin905/VALOR; the keys of both kinds are the same, post-norm comes first."""
