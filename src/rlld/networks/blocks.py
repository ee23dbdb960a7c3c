"""What task networks truly share: pooling of frames, dropout, hybrid attention, MMIL pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.errors import RlldError

DRAWS = 1 << 16
"""A CPU dropout mask takes 16 random bits per element."""


def pool_frames(features: Tensor, segments: int) -> Tensor:
    """Averages the frames of each segment.

    A linear layer commutes with the mean, so that averaging first gives the same function as the
    published order (linear layer on every frame, then the mean) for a fraction of the work.

    Args:
        features: (B, T, D), or (B, T * frames, D) with the frames of a segment side by side.
        segments: T.

    Returns:
        (B, T, D).

    Raises:
        RlldError: If the rows are no multiple of T.
    """
    rows = features.shape[1]
    if rows == segments:
        return features
    if rows == 0 or rows % segments:
        raise RlldError(
            f"a visual stream has {rows} rows per video, expected {segments} or a multiple of it; "
            "extract all streams with the same segment length"
        )
    videos, _, dim = features.shape
    return features.reshape(videos, segments, rows // segments, dim).mean(2)


def linear(layer: nn.Linear, features: Tensor) -> Tensor:
    """Applies a layer to features that may be stored in 16 bits, in the precision of the run."""
    if not torch.is_autocast_enabled(features.device.type):
        features = features.to(layer.weight.dtype)
    out: Tensor = layer(features)
    return out


def full_precision(value: Tensor) -> Tensor:
    """Returns 16-bit floating point values as float32, others unchanged."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


class Dropout(nn.Module):
    """Inverted dropout; on a CPU its masks cost a quarter of the random draws of PyTorch's.

    There the probability is rounded to a multiple of 2**-16 (0.1 becomes 0.100006) and the
    remaining values are scaled by the rounded probability, so that the expectation is exact.

    Attributes:
        p: Probability that an element is set to 0, in [0, 1).

    Raises:
        RlldError: If ``p`` is out of range.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise RlldError(f"a dropout probability must lie in [0, 1), found {p}")
        self.p = p

    def forward(self, value: Tensor) -> Tensor:
        """Drops elements of a tensor of any shape in training, returns it unchanged otherwise."""
        if not self.training or self.p == 0:
            return value
        if value.device.type != "cpu":
            return functional.dropout(value, self.p)
        dropped = min(round(self.p * DRAWS), DRAWS - 1)
        # One 64-bit draw holds four 16-bit ones.
        words = torch.empty((value.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.int16)[: value.numel()].view(value.shape)
        keep = (draws >= dropped - DRAWS // 2).to(value.dtype)
        return value * keep.mul_(DRAWS / (DRAWS - dropped))

    def extra_repr(self) -> str:
        """Shows the probability in the printed network."""
        return f"p={self.p}"


class HybridAttentionLayer(nn.Module):
    """One layer of HAN: self-attention and cross-modal attention, added, then feed-forward.

    Both modalities pass through the same weights (Tian et al., ECCV 2020, section 4.2; the
    released layer has one head, layer norms and a feed-forward block as wide as the model).
    They are stacked into one batch, and the six projections are one matrix product.

    Attributes:
        self_attn: Projections within a modality.
        cm_attn: Projections across modalities.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(hidden, 1)
        self.cm_attn = nn.MultiheadAttention(hidden, 1)
        self.linear1 = nn.Linear(hidden, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = Dropout(dropout)

    def forward(self, both: Tensor, cross_attention: bool = True) -> Tensor:
        """Applies the layer.

        Args:
            both: Audio rows, then visual rows (2, B, T, hidden).
            cross_attention: Whether a modality also attends to the other one.

        Returns:
            (2, B, T, hidden).
        """
        branches = [self.self_attn, self.cm_attn] if cross_attention else [self.self_attn]
        projected = functional.linear(
            both,
            _joined([branch.in_proj_weight for branch in branches]),
            _joined([branch.in_proj_bias for branch in branches]),
        )
        # unbind, not indexing: the backward of an index fills the whole tensor with zeros.
        parts = projected.view(*both.shape[:-1], 3 * len(branches), -1).unbind(-2)
        hidden = both + self._attend(self.self_attn, *parts[:3])
        if cross_attention:
            query, key, value = parts[3:]
            hidden = hidden + self._attend(self.cm_attn, query, key.flip(0), value.flip(0))
        hidden = self.norm1(hidden)
        inner = self.dropout(functional.relu(self.linear1(hidden)))
        out: Tensor = self.norm2(hidden + self.dropout(self.linear2(inner)))
        return out

    def _attend(
        self, branch: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor
    ) -> Tensor:
        """Attention over T, written out: at T = 10 a fused kernel gains nothing on a CPU."""
        scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        weights = self.dropout(scores.softmax(-1)).to(value.dtype)
        out: Tensor = self.dropout(branch.out_proj(weights @ value))
        return out


def mmil_pool(
    probability: Tensor, time_logits: Tensor, modality_logits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attentive multimodal multiple-instance pooling (HAN, section 4.3).

    Args:
        probability: Segment probabilities (B, T, 2, C).
        time_logits: Logits of the weights over T, same shape.
        modality_logits: Logits of the weights over the two modalities, same shape.

    Returns:
        Audio, visual and fused video-level probabilities, each (B, C).
    """
    weighted = time_logits.softmax(1) * probability
    audio, visual = weighted.sum(1).unbind(1)
    video = (weighted * modality_logits.softmax(2)).sum((1, 2))
    return audio, visual, video


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def fused_heads(layers: Sequence[nn.Linear], hidden: Tensor) -> tuple[Tensor, ...]:
    """Applies several linear layers of equal size to the same input as one matrix product.

    Args:
        layers: The layers, each D -> C.
        hidden: (..., D).

    Returns:
        One (..., C) for each layer, in full precision.
    """
    weight = _joined([layer.weight for layer in layers])
    bias = _joined([layer.bias for layer in layers])
    logits = full_precision(functional.linear(hidden, weight, bias))
    return tuple(logits.view(*hidden.shape[:-1], len(layers), -1).unbind(-2))
