"""Small networks of one modality with a token for every class, which teach another one (CoLeaF).

They see nothing of the other modality, so that what they believe was heard was heard. The published
code is ``Self_Audio_Net`` and ``Self_Video_Net`` of faeghehsardari/coleaf (a36a153).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks._attention import HybridEncoder
from rlld.networks._blocks import Dropout, VisualEmbedding, full_precision, stored, time_weights
from rlld.networks._sight import sight_of

ATTENTION_DROPOUT = 0.1
DROPOUT = 0.5


class Said(NamedTuple):
    """What a reference says of a batch.

    Attributes:
        video: Video-level probabilities (B, C), pooled over the segments.
        tokens: The same, read off the class tokens (B, C).
        segment: Segment-level probabilities (B, T, C).
        rows: Embeddings behind the attention (B, T, hidden).
    """

    video: Tensor
    tokens: Tensor
    segment: Tensor
    rows: Tensor


class _Reference(nn.Module):
    """What both references have behind their embedding, under the published keys."""

    def add_heads(self, hidden: int, classes: int) -> None:
        """Makes the layers."""
        self.fc_prob = nn.Linear(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, classes)
        # The cross-modal attention of its layer is never called, as published.
        self.hat_encoder = HybridEncoder(1, hidden, ATTENTION_DROPOUT)
        self.dropout = Dropout(DROPOUT)

    def encoded(
        self, embedded: Tensor, tokens: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Attends to class tokens, which stand in front, and segments alike.

        Args:
            embedded: Segments (B, T, hidden).
            tokens: (1, C, hidden).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            Tokens (B, C, hidden) and segments (B, T, hidden) behind the attention.
        """
        videos, count = len(embedded), tokens.shape[1]
        rows = torch.cat([tokens.expand(videos, -1, -1).to(embedded.dtype), embedded], 1)
        seen = mask if mask is None else torch.cat([mask.new_ones(videos, count), mask], 1)
        found: Tensor = self.hat_encoder(rows[None], False, sight_of(rows, seen))[0]
        return found[:, :count], found[:, count:]

    def said(
        self, tokens: Tensor, rows: Tensor, dropped: Tensor, pooled: Tensor, mask: Tensor | None
    ) -> Said:
        """Predicts.

        Args:
            tokens: Class tokens behind the attention (B, C, hidden).
            rows: Segments behind it (B, T, hidden).
            dropped: What dropout left of them, for the probabilities.
            pooled: What the weights of the pooling are made of.
            mask: Which segments belong to their video (B, T), bool; all when None.
        """
        segment = full_precision(self.fc_prob(dropped)).sigmoid()
        weights = time_weights(full_precision(self.fc_frame_att(pooled)), mask)
        by_token = full_precision(tokens).mean(-1).sigmoid()
        return Said((weights * segment).sum(1), by_token, segment, full_precision(rows))


class AudioReference(_Reference):
    """The reference that hears.

    Args:
        hidden: Width of the model.
        spec: The data set.
    """

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__()
        classes = len(spec.classes)
        self.fc_a = nn.Linear(spec.dims["audio"], hidden)
        self.add_heads(hidden, classes)
        self.cls_tokens_a = nn.Parameter(torch.zeros(1, classes, hidden))

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Said:
        """Predicts from the feature streams (B, T, D) of a batch, by name."""
        embedded = self.fc_a(stored(streams["audio"], self.fc_a))
        tokens, rows = self.encoded(embedded, self.cls_tokens_a, mask)
        return self.said(tokens, rows, self.dropout(rows), rows, mask)


class VisualReference(VisualEmbedding, _Reference):
    """The reference that sees.

    Args:
        hidden: Width of the model.
        spec: The data set.
    """

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__(hidden, spec)
        classes = len(spec.classes)
        self.add_heads(hidden, classes)
        self.cls_tokens_v = nn.Parameter(torch.zeros(1, classes, hidden))

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Said:
        """Predicts from the feature streams of a batch, by name; sound only says how many."""
        embedded = self.embed_visual(streams, streams["audio"].shape[1])
        tokens, rows = self.encoded(embedded, self.cls_tokens_v, mask)
        # Unlike in the other one, the pooling too reads what dropout left.
        dropped = self.dropout(rows)
        return self.said(tokens, rows, dropped, dropped, mask)
