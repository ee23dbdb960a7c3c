"""LEAP (Zhou et al., ECCV 2024): classes, given as text vectors, ask the video."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.data.text_vectors import text_vectors_of
from rlld.networks import base, mm_pyramid
from rlld.networks._blocks import CrossAttending, full_precision
from rlld.networks._published import Layout, State, depth, sizes
from rlld.networks._sight import EVERYTHING, Sight
from rlld.types import Prediction
from rlld.utils.config import Count, Share, Width, require_positive

PRESENT = 0.5
"""Probability of a track from which on the video holds a class."""
LENGTH = 6.0
"""Length of the vectors that classes begin to learn with: about that of GloVe's."""
VECTORS = "vectors"
NOTE = (
    "each class learned a vector of its own, because there were no text vectors (network.vectors); "
    "other classes cannot be asked for"
)


@dataclass(frozen=True)
class Config(base.Config):
    """Options of LEAP; those of the encoder mean what they do in MM-Pyramid.

    Attributes:
        hidden: Width of the model.
        heads: Attention heads; where they do not divide the width, their largest common divisor.
        feed_forward: Inner width of the feed-forward layers; ``hidden`` when None.
        levels: Levels of the encoder.
        kernel: Kernel of its convolutions, odd.
        dropout: Dropout of the feed-forward layers and of what is added to a residual.
        attention_dropout: Dropout of attention weights.
        decoder_layers: Layers of each track in which classes ask.
        vectors: Table of text vectors (``read_text_vectors``); each class learns its own when None.
        text_dim: Width of a text vector.
    """

    hidden: int = 512
    heads: Count = 8
    feed_forward: int | None = None
    levels: Count = 4
    kernel: int = 3
    dropout: Share = 0.2
    attention_dropout: Share = 0.1
    decoder_layers: Count = 2
    vectors: Path | None = None
    text_dim: Width = 300

    def __post_init__(self) -> None:
        require_positive("network leap: ", self, "hidden", "decoder_layers", "text_dim")
        self.encoder()

    def encoder(self) -> mm_pyramid.Config:
        """Returns the options of the encoder."""
        return mm_pyramid.Config(
            self.hidden,
            self.heads,
            self.feed_forward,
            self.levels,
            self.kernel,
            self.dropout,
            self.attention_dropout,
        )


@Config.makes
class Leap(CrossAttending):
    """The network; its state dict has the published keys, dead ones left out, and the vectors.

    Attributes:
        config: Its options.
        vectors: Of the classes (C, text_dim).
    """

    gives = base.EMBEDDINGS
    vectors: Tensor

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.classes = config, spec.classes
        encoder = config.encoder()
        self.MMP = mm_pyramid.Pyramid(encoder)
        self.fc_l = nn.Linear(config.text_dim, config.hidden)
        self.AVL = _Decoder(encoder, config.decoder_layers)
        self.fc_la, self.fc_lv = nn.Linear(config.hidden, 1), nn.Linear(config.hidden, 1)
        empty = torch.zeros(len(spec.classes), config.text_dim)
        if config.vectors is not None:
            self.register_buffer(VECTORS, empty)
        else:
            self.vectors = nn.Parameter(empty)
            nn.init.normal_(self.vectors, std=LENGTH / config.text_dim**0.5)

    def prepare(self, folder: Path | None) -> None:
        """Reads the text vectors, where a table is given."""
        if self.config.vectors is not None:
            width = self.config.text_dim
            self.vectors.copy_(text_vectors_of(self.config.vectors, folder, self.classes, width))

    def notes(self) -> list[str]:
        """Says that classes learned their vectors."""
        return [NOTE] if self.config.vectors is None else []

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, (B, T, D), visual ones also (B, T * frames, D).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction, whose fused probability is 0 or 1 and has no gradient. Its extras hold
            the embeddings (B, T, hidden) ``audio_before`` and ``visual_before`` the encoder,
            ``audio_after`` and ``visual_after`` it.
        """
        return self.predict(self.embed(streams), mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether the modalities attend to each other in the encoder.
            mask: As in ``forward``.
        """
        before = embedded.unbind(0)
        after = self.MMP(*before, cross_attention, mask)
        classes = self.fc_l(self.vectors).expand(embedded.shape[1], -1, -1)
        seen = EVERYTHING if mask is None else Sight(mask[:, None, None])
        segment, video = [], []
        for rows, layers, head in zip(
            after, self.AVL.tracks, (self.fc_la, self.fc_lv), strict=True
        ):
            asking = classes
            for layer in layers:
                asking, logits = layer(asking, rows, seen)
            segment.append(full_precision(logits).sigmoid().transpose(1, 2))
            video.append(full_precision(head(asking)).squeeze(-1).sigmoid())
        audio, visual = video
        fused = ((audio >= PRESENT) | (visual >= PRESENT)).to(audio.dtype)
        names = ("audio_before", "visual_before", "audio_after", "visual_after")
        values = map(full_precision, (*before, *after))
        extras = dict(zip(names, values, strict=True))
        return Prediction(torch.stack(segment, 2), audio, visual, fused, extras).within(mask)


class _Decoder(nn.Module):
    """The layers in which classes ask the tracks, under their published names."""

    def __init__(self, config: mm_pyramid.Config, layers: int) -> None:
        super().__init__()
        # The released code copies one layer, so that all start alike.
        first = _Asking(config, mm_pyramid.FeedForward(config))
        self.lv_cma_network, self.la_cma_network = (
            nn.ModuleList(copy.deepcopy(first) for _ in range(layers)) for _ in range(2)
        )

    @property
    def tracks(self) -> tuple[nn.ModuleList, nn.ModuleList]:
        """The layers of the audio track, and of the visual one."""
        return self.la_cma_network, self.lv_cma_network


class _Asking(mm_pyramid.TransformerLayer):
    """A layer whose queries are classes, which says besides what resembles them."""

    def forward(  # type: ignore[override]
        self, query: Tensor, other: Tensor, near: Sight
    ) -> tuple[Tensor, Tensor]:
        """Lets classes (B, C, hidden) attend to the segments (B, T, hidden) that they see.

        Returns:
            The classes (B, C, hidden), and logits of their being in a segment (B, C, T).
        """
        attention, feeding = self.sublayer
        asked = attention(query, lambda rows: self.self_attn(rows, other, near))
        return feeding(asked, self.feed_forward), self.self_attn.likeness(asked, other)


def _sizes(state: State) -> dict[str, Any]:
    (layout,) = mm_pyramid.PUBLISHED
    return {
        **layout.infer(state),
        **sizes(state, text_dim=("fc_l.weight", 1)),
        "network.decoder_layers": depth(state, "AVL.la_cma_network."),
    }


PUBLISHED = (
    Layout(
        "LEAP",
        "leap",
        dead=(*mm_pyramid.PUBLISHED[0].dead, "AVL.multiheadattn.", "AVL.feedforward."),
        infer=_sizes,
        tidy=mm_pyramid.PUBLISHED[0].tidy,
        elsewhere={VECTORS: VECTORS},
    ),
)
"""Checkpoints of jasongief/LEAP, which hold no text vectors."""
