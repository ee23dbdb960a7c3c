"""PreFM's network (Yu et al., NeurIPS 2025): the past of a segment, and a guessed future.

Each segment has a window of its own, which ends with it, so that nothing looks ahead.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.data.text_vectors import text_vectors_of
from rlld.networks import base
from rlld.networks._attention import ManyHeads
from rlld.networks._blocks import Dropout, full_precision, time_max
from rlld.networks._maps import HearingMaps
from rlld.networks._published import Layout, State, encoder, sizes
from rlld.networks._sight import EVERYTHING
from rlld.types import AUDIO, VISUAL, Prediction
from rlld.utils.config import Count, Share, Width, require_positive

VECTORS = "vectors"
NOTE = (
    "no text vectors (network.vectors) taught what a segment of an event looks like inside the "
    "network, as they did in the publication"
)


@dataclass(frozen=True)
class Config(base.Config):
    """Options of PreFM's network; the defaults are those of ``train_PreFM_On_AVVP.sh``.

    Attributes:
        hidden: Width of the model (PreFM+: 256).
        layers: Layers in which the tracks of a window look at each other.
        heads: Attention heads; where they do not divide the width, their largest common divisor.
        expansion: Width of the feed-forward blocks in units of ``hidden``.
        dropout: Dropout everywhere inside the attention layers.
        past: Segments of a window, the decided one included.
        future: Segments behind it that are guessed.
        vectors: Table of text vectors of the classes (``read_text_vectors``), which teach; without
            one nothing does.
        text_dim: Width of a text vector.
    """

    hidden: int = 128
    layers: Count = 4
    heads: Count = 8
    expansion: float = 4.0
    dropout: Share = 0.1
    past: Width = 10
    future: Width = 5
    vectors: Path | None = None
    text_dim: Width = 1536

    def __post_init__(self) -> None:
        sized = ("hidden", "layers", "heads", "expansion", "past", "future", "text_dim")
        require_positive("network prefm: ", self, *sized)

    @property
    def gives(self) -> frozenset[str]:
        """The extras that an objective can count on."""
        return PreFM.gives | ({"words"} if self.vectors is not None else frozenset())


@Config.makes
class PreFM(HearingMaps):
    """PreFM's network; its state dict has the keys of the published one.

    The published ``final_norm_a`` and ``final_norm_v``, which are never used, are left out, and
    so is ``fc_feature`` where there are no text vectors to map.

    Attributes:
        config: Its options.
        segments: Segments of a video of the data set.
        vectors: Text vectors of the classes (C, text_dim), where there are any.
    """

    gives = frozenset(
        {"segment_logits", "current_logits", "future_logits", "current_rows", "future_rows"}
    )
    causal = True
    vectors: Tensor

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.classes, self.reach = config, spec.classes, config.past
        hidden = config.hidden
        self.fc_all = nn.Linear(hidden, len(spec.classes))
        if config.vectors is not None:
            self.fc_feature = nn.Linear(config.text_dim, hidden)
            self.register_buffer(VECTORS, torch.zeros(len(spec.classes), config.text_dim))
        self.hat_encoder = _Encoder(config)
        self.query_future_a, self.query_future_v = _Guess(config), _Guess(config)
        three = ("self_attn", "cm_t_attn", "cm_m_attn")
        self.time_modality_a, self.time_modality_v = (
            _Asking(config, *three),
            _Asking(config, *three),
        )
        self.time_modality_a_f = _Asking(config, *three)
        self.time_modality_v_f = _Asking(config, *three)

    def prepare(self, folder: Path | None) -> None:
        """Reads the text vectors, where a table is given."""
        if self.config.vectors is not None:
            width = self.config.text_dim
            self.vectors.copy_(text_vectors_of(self.config.vectors, folder, self.classes, width))

    def notes(self) -> list[str]:
        """Says that no text taught."""
        return [NOTE] if self.config.vectors is None else []

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, (B, T, D), visual ones also (B, T * frames, D), audio
                also as CLAP feature maps (B, 64, D), where T is not 64.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction; a video has what any of its segments has. Its extras hold
            ``segment_logits`` (B, T, 2, C); of the window of each segment the logits
            ``current_logits`` (B, T, past, 2, C), the last of which decide, and ``future_logits``
            (B, T, future, 2, C), and what they are made of, ``current_rows`` (B, T, past, 2,
            hidden) and ``future_rows``; with text vectors also ``words`` (C + 1, hidden), what a
            segment with that class alone should be like, the last one without any.
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
        segments = embedded.shape[2]
        audio, visual = self._windows(embedded).unbind(0)
        audio, visual = self.hat_encoder(audio, visual, cross_attention)
        guess_a, guess_v = self.query_future_a(audio), self.query_future_v(visual)
        other_a, other_v = (guess_v, guess_a) if cross_attention else (None, None)
        # The published names of the two kinds are exchanged where the future asks.
        future_a = self.time_modality_a_f(guess_a, guess_a, other_a, audio)
        future_v = self.time_modality_v_f(guess_v, guess_v, other_v, visual)
        other_a, other_v = (visual, audio) if cross_attention else (None, None)
        current_a = self.time_modality_a(audio, audio, future_a, other_a)
        current_v = self.time_modality_v(visual, visual, future_v, other_v)
        current = _by_segment(current_a, current_v, segments)
        future = _by_segment(future_a, future_v, segments)
        extras = {
            "current_logits": full_precision(self.fc_all(current)),
            "future_logits": full_precision(self.fc_all(future)),
            "current_rows": full_precision(current),
            "future_rows": full_precision(future),
        }
        if self.config.vectors is not None:
            extras["words"] = full_precision(
                self.fc_feature(functional.pad(self.vectors, (0, 0, 0, 1)))
            )
        extras["segment_logits"] = extras["current_logits"][:, :, -1]
        segment = extras["segment_logits"].sigmoid()
        tracks = time_max(segment, mask)
        video = tracks[:, AUDIO], tracks[:, VISUAL], tracks.amax(1)
        return Prediction(segment, *video, extras).within(mask)

    def _windows(self, embedded: Tensor) -> Tensor:
        """Returns the window of each segment (2, B * T, past, hidden); first comes silence."""
        past = self.config.past
        dark: Tensor = self.fc_v.bias
        if self.has_motion:
            dark = self.fc_fusion(torch.cat([dark, self.fc_st.bias]))
        silence = torch.stack([self.fc_a.bias, dark]).to(embedded.dtype)
        before = silence[:, None, None].expand(-1, embedded.shape[1], past - 1, -1)
        rows = torch.cat([before, embedded], 2).unfold(2, past, 1)
        return rows.transpose(-1, -2).flatten(1, 2)


class _Asking(nn.Module):
    """Rows ask several others at once, are normalised and fed on: the block of everything here.

    Args:
        config: The options.
        names: Published names of the attentions, in the order in which the others are given.
    """

    def __init__(self, config: Config, *names: str) -> None:
        super().__init__()
        hidden, inner = config.hidden, max(round(config.expansion * config.hidden), 1)
        self.names = names
        for name in names:
            self.add_module(name, ManyHeads(hidden, config.heads, config.dropout))
        self.linear1 = nn.Linear(hidden, inner)
        self.linear2 = nn.Linear(inner, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, asking: Tensor, *others: Tensor | None) -> Tensor:
        """Updates rows (B, n, hidden) by what is in others (B, m, hidden); None is nobody."""
        found = asking
        for name, other in zip(self.names, others, strict=True):
            if other is not None:
                found = found + self.dropout(self.get_submodule(name)(asking, other, EVERYTHING))
        found = self.norm1(found)
        inner = self.dropout(functional.relu(self.linear1(found)))
        fed: Tensor = self.norm2(found + self.dropout(self.linear2(inner)))
        return fed


class _Encoder(nn.Module):
    """Layers whose weights serve both tracks; pictures already see the new sounds."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        # The released code copies one layer, so that all start alike.
        first = _Asking(config, "self_attn", "cm_attn")
        self.layers = nn.ModuleList(copy.deepcopy(first) for _ in range(config.layers))

    def forward(self, audio: Tensor, visual: Tensor, cross: bool) -> tuple[Tensor, Tensor]:
        """Encodes audio and visual rows, each (B, past, hidden)."""
        for layer in self.layers:
            audio = layer(audio, audio, visual if cross else None)
            visual = layer(visual, visual, audio if cross else None)
        return audio, visual


class _Guess(_Asking):
    """Learned rows ask a window what comes next."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, "attn")
        self.learnable_query = nn.Parameter(torch.randn(1, config.future, config.hidden))

    def forward(self, window: Tensor) -> Tensor:  # type: ignore[override]
        """Guesses what follows windows (B, past, hidden): (B, future, hidden)."""
        return super().forward(self.learnable_query.expand(len(window), -1, -1), window)


def _by_segment(audio: Tensor, visual: Tensor, segments: int) -> Tensor:
    """Puts rows of all windows (B * T, n, hidden) at their segments (B, T, n, 2, hidden)."""
    both = torch.stack([audio, visual], 2)
    return both.view(-1, segments, *both.shape[1:])


def _infer(state: State) -> dict[str, Any]:
    found = sizes(
        state,
        hidden=("fc_all.weight", 1),
        future=("query_future_a.learnable_query", 1),
        text_dim=("fc_feature.weight", 1),
    )
    return {**found, **encoder(state, "hat_encoder.layers.")}


_DEAD = "hat_encoder.final_norm_"
PUBLISHED = (
    Layout("PreFM", "prefm", dead=(_DEAD, "fc_feature."), infer=_infer),
    Layout(
        "PreFM, to be taught", "prefm", dead=(_DEAD,), infer=_infer, elsewhere={VECTORS: VECTORS}
    ),
)
"""Checkpoints of XiaoYu-1123/PreFM for LLP, which hold no text vectors; without a table of them
the layer that maps them serves nothing."""
