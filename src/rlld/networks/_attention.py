"""The attention of HAN and that of VALOR, which several task networks share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.networks._blocks import Dropout
from rlld.networks._sight import EVERYTHING, Sight


class Attention(nn.Module):
    """Attention with one head over the segments of a video, within or across the modalities.

    Parameters have the names and the initialisation of ``nn.MultiheadAttention``. Where a batch
    has more rows than the model is wide, query and key matrices are multiplied with each other
    first, and so are value and output matrices: ``(x Wq')(y Wk')' = x (Wq' Wk) y'``. That is the
    same function with half of the large products. (Terms that are constant along a row of the
    logits, the key bias among them, do not change a softmax and are left out there.)

    Attributes:
        hidden: Width of the model.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden))
        self.out_proj = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, both: Tensor, cross: bool, sight: Sight = EVERYTHING) -> Tensor:
        """Attends.

        Args:
            both: Audio rows, then visual rows (2, B, T, hidden).
            cross: Whether each modality attends to the other one instead of itself.
            sight: Which rows it may attend to.

        Returns:
            (2, B, T, hidden).
        """
        many = both.shape[:-1].numel() > self.hidden
        attend = self._composed if many else self._projected
        return attend(both, cross, sight.crossed() if cross else sight)

    def _projected(self, both: Tensor, cross: bool, sight: Sight) -> Tensor:
        projected = functional.linear(both, self.in_proj_weight, self.in_proj_bias)
        # unbind, not indexing: the backward of an index fills the whole tensor with zeros.
        query, key, value = projected.view(*both.shape[:-1], 3, -1).unbind(-2)
        if cross:
            key, value = key.flip(0), value.flip(0)
        weights = self._weights(sight.asking(query), sight.asked(key), sight)
        out: Tensor = self.out_proj(sight.joined(weights @ sight.asked(value)))
        return out

    def _composed(self, both: Tensor, cross: bool, sight: Sight) -> Tensor:
        query, key, value = self.in_proj_weight.chunk(3)
        query_bias, _, value_bias = self.in_proj_bias.chunk(3)
        other = sight.asked(both.flip(0) if cross else both)
        wanted = functional.linear(both, key.T @ query, query_bias @ key)
        weights = self._weights(sight.asking(wanted), other, sight)
        mixed = sight.joined(weights @ other)
        outer = self.out_proj.weight
        shift = outer @ value_bias
        if not self.training:
            return functional.linear(mixed, outer @ value, self.out_proj.bias + shift)
        out = functional.linear(mixed, outer @ value, self.out_proj.bias)
        # Dropout leaves rows of weights that do not sum to 1, which the value bias has to follow.
        return torch.addcmul(out, sight.joined(weights.sum(-1, keepdim=True)), shift)

    def _weights(self, query: Tensor, key: Tensor, sight: Sight) -> Tensor:
        """Attention weights, written out: at T = 10 a fused kernel gains nothing on a CPU."""
        scores = sight.limited((query @ key.transpose(-1, -2)) * self.hidden**-0.5)
        weights: Tensor = self.dropout(scores.softmax(-1))
        return weights.to(query.dtype)


class ManyHeads(nn.Module):
    """Attention with several heads; parameters are those of ``nn.MultiheadAttention``.

    Args:
        hidden: Width of the model.
        heads: How many; where they do not divide the width, their largest common divisor.
        dropout: Dropout of the attention weights.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = math.gcd(heads, hidden)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden))
        self.out_proj = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, asking: Tensor, other: Tensor, sight: Sight) -> Tensor:
        """Lets rows (B, T, hidden) attend to those of rows (B, T, hidden) that they see."""
        return self.with_shares(asking, other, sight)[0]

    def with_shares(
        self, asking: Tensor, other: Tensor, sight: Sight = EVERYTHING
    ) -> tuple[Tensor, Tensor]:
        """Attends as ``forward``; says also how.

        Returns:
            Rows (B, T, hidden), and what each gave to those that it saw (B, heads, T, T), behind
            the dropout; in long videos in blocks, see ``Sight``.
        """
        hidden = asking.shape[-1]
        if asking is other:
            projected = functional.linear(asking, self.in_proj_weight, self.in_proj_bias)
            query, key, value = map(self._split, projected.chunk(3, -1))
        else:
            weights = self.in_proj_weight.tensor_split([hidden])
            biases = self.in_proj_bias.tensor_split([hidden])
            query = self._split(functional.linear(asking, weights[0], biases[0]))
            both = functional.linear(other, weights[1], biases[1])
            key, value = map(self._split, both.chunk(2, -1))
        query, key, value = sight.asking(query), sight.asked(key), sight.asked(value)
        # Keys before queries: a softmax over short rows takes three times as long on a CPU.
        scores = (key @ query.transpose(-1, -2)) * query.shape[-1] ** -0.5
        if sight.allowed is not None:
            scores = sight.limited(scores.transpose(-1, -2)).transpose(-1, -2)
        shares = self.dropout(scores.softmax(-2)).to(value.dtype).transpose(-1, -2)
        out: Tensor = self.out_proj(sight.joined(shares @ value).transpose(1, 2).flatten(2))
        return out, shares

    def _split(self, rows: Tensor) -> Tensor:
        """Gives every head its part: (B, T, hidden) to (B, heads, T, hidden / heads)."""
        return rows.view(*rows.shape[:-1], self.heads, -1).transpose(1, 2)


class HybridAttentionLayer(nn.Module):
    """One layer of HAN: self-attention and cross-modal attention, added, then feed-forward.

    Both modalities pass through the same weights (Tian et al., ECCV 2020, section 4.2; the
    released layer has one head, layer norms and a feed-forward block as wide as the model).
    They are stacked into one batch.

    Args:
        hidden: Width of the model.
        dropout: Dropout of the attention weights and after each part.
        feedforward: Width inside the feed-forward block; that of the model when None.
    """

    def __init__(self, hidden: int, dropout: float, feedforward: int | None = None) -> None:
        super().__init__()
        self.self_attn = Attention(hidden, dropout)
        self.cm_attn = Attention(hidden, dropout)
        self.linear1 = nn.Linear(hidden, feedforward or hidden)
        self.linear2 = nn.Linear(feedforward or hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = Dropout(dropout)

    def forward(
        self, both: Tensor, cross_attention: bool = True, sight: Sight = EVERYTHING
    ) -> Tensor:
        """Applies the layer.

        Args:
            both: Audio rows, then visual rows (2, B, T, hidden).
            cross_attention: Whether a modality also attends to the other one.
            sight: Which rows may be attended to.

        Returns:
            (2, B, T, hidden).
        """
        hidden = both + self.dropout(self.self_attn(both, cross=False, sight=sight))
        if cross_attention:
            hidden = hidden + self.dropout(self.cm_attn(both, cross=True, sight=sight))
        hidden = self.norm1(hidden)
        inner = self.dropout(functional.relu(self.linear1(hidden)))
        out: Tensor = self.norm2(hidden + self.dropout(self.linear2(inner)))
        return out


class HybridEncoder(nn.Module):
    """Hybrid attention layers in a row; the keys of its state dict are the published ones.

    Args:
        layers: How many.
        hidden: Width of the model.
        dropout: Dropout of each layer.
    """

    def __init__(self, layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(HybridAttentionLayer(hidden, dropout) for _ in range(layers))

    def forward(self, both: Tensor, cross_attention: bool, sight: Sight = EVERYTHING) -> Tensor:
        """Maps (2, B, T, hidden) to the same shape, layer by layer."""
        for layer in self.layers:
            both = layer(both, cross_attention, sight)
        return both
