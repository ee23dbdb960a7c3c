"""MM-Pyramid: attention and convolutions at several temporal scales (Yu et al., ACM MM 2022)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base
from rlld.networks._blocks import (
    CrossAttending,
    Dropout,
    full_precision,
    fused_heads,
    mmil_pool,
    within,
)
from rlld.networks._published import Layout, State, depth, sizes
from rlld.networks._sight import EVERYTHING, Sight, sight_of
from rlld.types import Prediction
from rlld.utils.config import Count, Share, require_positive


@dataclass(frozen=True)
class Config(base.Config):
    """Options of MM-Pyramid.

    Attributes:
        hidden: Width of the model.
        heads: Attention heads; where they do not divide the width, their largest common divisor.
        feed_forward: Inner width of the feed-forward layers; ``hidden`` when None.
        levels: Levels of the pyramid; level i (0-based) attends 2**i segments far to both sides
            and dilates its convolution by 2**i.
        kernel: Kernel of the dilated convolution, odd.
        dropout: Dropout of the feed-forward layers and of what is added to a residual.
        attention_dropout: Dropout of attention weights.
        stream_order: ``official`` takes what is called audio from the visual branch of the
            pyramid and the other way round, as the released code does; ``corrected`` does not.
    """

    hidden: int = 512
    heads: Count = 8
    feed_forward: int | None = None
    levels: Count = 4
    kernel: int = 3
    dropout: Share = 0.2
    attention_dropout: Share = 0.1
    stream_order: Literal["official", "corrected"] = "official"

    def __post_init__(self) -> None:
        require_positive(
            "network mm_pyramid: ", self, "hidden", "heads", "feed_forward", "levels", "kernel"
        )
        if self.kernel % 2 == 0:
            raise RlldError(f"network mm_pyramid: kernel must be odd, found {self.kernel}")


@Config.makes
class MMPyramid(CrossAttending):
    """The network; its state dict has the keys of the published one, dead ones left out.

    Attributes:
        config: Its options.
    """

    gives = base.EMBEDDINGS

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config = config
        self.MMP = Pyramid(config)
        classes = len(spec.classes)
        self.fc_prob = nn.Linear(config.hidden, classes)
        self.fc_frame_att = nn.Linear(config.hidden, classes)
        self.fc_av_att = nn.Linear(config.hidden, classes)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, (B, T, D), visual ones also (B, T * frames, D).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold the embeddings (B, T, hidden) ``audio_before`` and
            ``visual_before`` the pyramid, ``audio_after`` and ``visual_after`` it, named by the
            streams that they come from.
        """
        return self.predict(self.embed(streams), mask=mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts without cross-modal attention, and without swapping the streams.

        A judge of audio labels has to hear the video, whatever the released order is.
        """
        return self.predict(self.embed(streams), cross_attention=False, mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether the modalities attend to each other.
            mask: As in ``forward``.
        """
        audio, visual = embedded.unbind(0)
        heard, seen = self.MMP(audio, visual, cross_attention, mask)
        swapped = cross_attention and self.config.stream_order == "official"
        rows = torch.stack([seen, heard] if swapped else [heard, seen], 2)
        layers = (self.fc_prob, self.fc_frame_att, self.fc_av_att)
        event_logits, time_logits, modality_logits = fused_heads(layers, rows)
        segment = event_logits.sigmoid()
        pooled = mmil_pool(segment, time_logits, modality_logits, mask)
        extras = {
            "audio_before": full_precision(audio),
            "visual_before": full_precision(visual),
            "audio_after": full_precision(heard),
            "visual_after": full_precision(seen),
        }
        return Prediction(segment, *pooled, extras).within(mask)


class Pyramid(nn.Module):
    """The multimodal pyramid attentional module (``nets/MPAM.py``).

    Args:
        config: Its options.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.capture = Capture(config)
        self.fusion = Fusion(config)

    def forward(
        self, audio: Tensor, visual: Tensor, cross: bool = True, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Maps both streams (B, T, hidden) to as many embeddings of the same shape."""
        heard, seen = self.capture(audio, visual, cross, mask)
        return self.fusion(heard, seen)  # type: ignore[no-any-return]


class Capture(nn.Module):
    """Looks at the streams level by level, each level reading what the one before wrote."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        # The released code copies one feed-forward layer, so that all start alike.
        first = FeedForward(config)
        self.msa = nn.ModuleList(_Scale(config, first) for _ in range(config.levels))
        dilations = [2**level for level in range(config.levels)]
        self.vnetwork = nn.ModuleList(_TimeConvolution(config, each) for each in dilations)
        self.anetwork = nn.ModuleList(_TimeConvolution(config, each) for each in dilations)

    def forward(
        self, audio: Tensor, visual: Tensor, cross: bool = True, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns what all levels wrote, audio and visual, each (B, T, levels, hidden)."""
        heard, seen = [], []
        parts = zip(self.msa, self.anetwork, self.vnetwork, strict=True)
        for level, (scale, of_audio, of_visual) in enumerate(parts):
            near = sight_of(audio, mask, 2**level).per_head()
            audio, visual = scale(audio, visual, near, cross)
            audio, visual = of_audio(audio, mask), of_visual(visual, mask)
            heard.append(audio)
            seen.append(visual)
        return torch.stack(heard, 2), torch.stack(seen, 2)


class Fusion(nn.Module):
    """Lets the levels of a segment attend to each other and sums them by a gate each."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        first = TransformerLayer(config, FeedForward(config))
        self.vadaptiveinteraction = copy.deepcopy(first)
        self.aadaptiveinteraction = copy.deepcopy(first)
        self.vselectfusion = nn.Linear(config.hidden, 1)
        self.aselectfusion = nn.Linear(config.hidden, 1)

    def forward(self, heard: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Maps levels (B, T, levels, hidden) of both streams to (B, T, hidden) each."""
        heard = self.aadaptiveinteraction(heard, heard)
        seen = self.vadaptiveinteraction(seen, seen)
        # The gates are no weights of a mean: nothing makes them add up to 1.
        audio = (self.aselectfusion(heard).sigmoid() * heard).sum(2)
        return audio, (self.vselectfusion(seen).sigmoid() * seen).sum(2)


class _Scale(nn.Module):
    """Attention within and across the streams at one scale, mixed by gates."""

    def __init__(self, config: Config, feed_forward: FeedForward) -> None:
        super().__init__()
        hidden = config.hidden
        self.vsablock = _Block(config, feed_forward)
        self.asablock = _Block(config, feed_forward)
        self.cmablock = _Block(config, feed_forward)
        self.lv1, self.lv2 = nn.Linear(2 * hidden, hidden), nn.Linear(2 * hidden, hidden)
        self.la1, self.la2 = nn.Linear(2 * hidden, hidden), nn.Linear(2 * hidden, hidden)

    def forward(
        self, audio: Tensor, visual: Tensor, near: Sight, cross: bool
    ) -> tuple[Tensor, Tensor]:
        heard = self.asablock.layer(audio, audio, near)
        seen = self.vsablock.layer(visual, visual, near)
        if cross:
            # One layer serves both directions and reads the level's inputs.
            asked, given = torch.cat([audio, visual]), torch.cat([visual, audio])
            told, shown = self.cmablock.layer(asked, given, near.repeated(2)).chunk(2)
        else:
            told, shown = torch.zeros_like(heard), torch.zeros_like(seen)
        both, pair = torch.cat([heard, told], -1), torch.cat([seen, shown], -1)
        audio = self.la1(both).sigmoid() * heard + self.la2(both).sigmoid() * told
        return audio, self.lv1(pair).sigmoid() * seen + self.lv2(pair).sigmoid() * shown


class _Block(nn.Module):
    """Holds a layer under its published name."""

    def __init__(self, config: Config, feed_forward: FeedForward) -> None:
        super().__init__()
        self.layer = TransformerLayer(config, copy.deepcopy(feed_forward))


class TransformerLayer(nn.Module):
    """Attention and a feed-forward layer (``nets/Transformer.py``).

    Only the query is normalised; keys and values are read as they come, also where all three are
    the same.
    """

    def __init__(self, config: Config, feed_forward: FeedForward) -> None:
        super().__init__()
        self.self_attn = HeadsAttention(config)
        self.feed_forward = feed_forward
        self.sublayer = nn.ModuleList(_Residual(config) for _ in range(2))

    def forward(self, query: Tensor, other: Tensor, near: Sight = EVERYTHING) -> Tensor:
        """Lets ``query`` (..., T, hidden) attend to what it sees of ``other``."""
        attention, feeding = self.sublayer
        hidden = attention(query, lambda rows: self.self_attn(rows, other, near))
        out: Tensor = feeding(hidden, self.feed_forward)
        return out


class _Residual(nn.Module):
    """Adds what a function makes of the normalised rows."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, rows: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        out: Tensor = rows + self.dropout(function(self.norm(rows)))
        return out


class HeadsAttention(nn.Module):
    """Attention with several heads; its four matrices start alike, as released."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        first = nn.Linear(config.hidden, config.hidden)
        self.linears = nn.ModuleList(copy.deepcopy(first) for _ in range(4))
        self.heads = math.gcd(config.heads, config.hidden)
        self.dropout = Dropout(config.attention_dropout)

    def forward(self, rows: Tensor, other: Tensor, near: Sight) -> Tensor:
        """Lets ``rows`` (..., T, hidden) attend to what they see of ``other``."""
        read = (rows, other, other)
        query, key, value = (
            self._parts(layer(each)) for layer, each in zip(self.linears[:3], read, strict=True)
        )
        query, key, value = near.asking(query), near.asked(key), near.asked(value)
        logits = near.limited(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]))
        mixed = near.joined(self.dropout(logits.softmax(-1)) @ value)
        out: Tensor = self.linears[3](mixed.transpose(-2, -3).flatten(-2))
        return out

    def likeness(self, rows: Tensor, other: Tensor) -> Tensor:
        """Returns the mean over the heads of their logits (..., T, S), which no softmax has seen.

        Args:
            rows: Queries (..., T, hidden).
            other: Keys (..., S, hidden).
        """
        query, key = self.linears[0](rows), self.linears[1](other)
        # The products of the heads add up to one over the whole width.
        scale = math.sqrt(self.heads * query.shape[-1])
        out: Tensor = query @ key.transpose(-1, -2) / scale
        return out

    def _parts(self, rows: Tensor) -> Tensor:
        """Gives every head its part: (..., T, hidden) to (..., heads, T, hidden / heads)."""
        return rows.view(*rows.shape[:-1], self.heads, -1).transpose(-2, -3)


class FeedForward(nn.Module):
    """Two linear layers with dropout between them."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        inner = config.feed_forward or config.hidden
        self.w_1 = nn.Linear(config.hidden, inner)
        self.w_2 = nn.Linear(inner, config.hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Maps (..., hidden) to (..., hidden)."""
        out: Tensor = self.w_2(self.dropout(self.w_1(rows).relu()))
        return out


class _TimeConvolution(nn.Module):
    """A dilated convolution over time, a linear layer, and what came in added to it."""

    def __init__(self, config: Config, dilation: int) -> None:
        super().__init__()
        hidden, padding = config.hidden, dilation * (config.kernel // 2)
        self.net = nn.Sequential(
            nn.Conv1d(hidden, hidden, config.kernel, padding=padding, dilation=dilation),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 1),
        )

    def forward(self, rows: Tensor, mask: Tensor | None) -> Tensor:
        mixed: Tensor = self.net(within(rows, mask).transpose(1, 2))
        return (rows + mixed.transpose(1, 2)).relu()


_ALIASES = {".conv1.": ".net.0.", ".conv2.": ".net.2."}
_DEAD = tuple(
    f"MMP.{part}.{name}."
    for part in ("capture", "fusion")
    for name in ("multiheadattn", "feedforward")
)


def _tidy(state: State) -> State:
    """Drops norms that attention never uses and the second name of each convolution.

    A checkpoint has each convolution twice; where the two differ the ``net`` one is in force,
    because it is loaded last.
    """
    live = {key: value for key, value in state.items() if ".self_attn.layer_norm." not in key}
    second = {_second_name(key): value for key, value in live.items()}
    return {**second, **{key: value for key, value in live.items() if key in second}}


def _second_name(key: str) -> str:
    for alias, name in _ALIASES.items():
        if key.startswith(("MMP.capture.vnetwork.", "MMP.capture.anetwork.")):
            key = key.replace(alias, name)
    return key


def _sizes(state: State) -> dict[str, Any]:
    first = "MMP.capture.msa.0.vsablock.layer."
    return {
        **sizes(
            state,
            hidden=("fc_a.weight", 0),
            feed_forward=(f"{first}feed_forward.w_1.weight", 0),
            kernel=("MMP.capture.vnetwork.0.net.0.weight", 2),
        ),
        "network.levels": depth(state, "MMP.capture.msa."),
    }


PUBLISHED = (Layout("MM-Pyramid", "mm-pyramid", dead=_DEAD, infer=_sizes, tidy=_tidy),)
"""Checkpoints of JustinYuu/MM_Pyramid."""
