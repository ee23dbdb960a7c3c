"""The parts of MGN: attention blocks and grouping blocks, which it has from GroupViT.

Published source: ``nets/grouping.py`` of stoneMo/MGN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.networks._blocks import within


class Grouping(nn.Module):
    """A modality's tokens, attended to together with class tokens and then grouped by them.

    Published name: ``ModalityTrans``.

    Args:
        width: Width of the model.
        groups: Class tokens, C.
        depth: Attention blocks.
        heads: Attention heads, a divisor of the width.
        hard: Whether each token belongs to one group only.
        drop_path: Probability that a block skips a video in training.
        segments: Positions of a second grouping before the first, by the tokens of another
            modality; None leaves it out (only the audio side has it).
    """

    def __init__(
        self,
        width: int,
        groups: int,
        depth: int,
        heads: int,
        hard: bool,
        drop_path: float,
        segments: int | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(GroupingBlock(width, heads, drop_path) for _ in range(depth))
        # As released, this one is hard where the other one is soft, and the other way round.
        self.han_encoder = (
            None if segments is None else _GroupingBlock(width, segments, heads, not hard)
        )
        self.grouping = _GroupingBlock(width, groups, heads, hard)

    def forward(
        self,
        rows: Tensor,
        tokens: Tensor,
        other: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Groups.

        Args:
            rows: Tokens to group (B, L, width).
            tokens: Class tokens (C, width), or one set per video (B, C, width).
            other: Tokens of the other modality (B, segments, width), which group ``rows`` first;
                None leaves that out.
            mask: Which tokens belong to their video (B, L), bool, those of ``other`` as well; all
                when None.

        Returns:
            The groups (B, C, width), the attention of each group to each token (B, C, L), and the
            tokens as they were when they were grouped (B, L, width).
        """
        length = rows.shape[1]
        tokens = tokens.expand(len(rows), -1, -1)
        together = torch.cat([rows, tokens.to(rows.dtype)], 1)
        present = None if mask is None else functional.pad(mask, (0, tokens.shape[1]), value=True)
        for block in self.blocks:
            together = block(together, present)
        rows, tokens = together[:, :length], together[:, length:]
        if self.han_encoder is not None and other is not None:
            rows, _ = self.han_encoder(rows, other, mask, mask)
        groups, shown = self.grouping(rows, tokens, mask)
        return groups, shown, rows


class GroupingBlock(nn.Module):
    """A pre-norm block of a vision transformer."""

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, 4 * width)
        self.drop_path = DropPath(drop_path)

    def forward(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        rows = rows + self.drop_path(self.attn(self.norm1(rows), mask))
        out: Tensor = rows + self.drop_path(self.mlp(self.norm2(rows)))
        return out


class DropPath(nn.Module):
    """Drops what a block adds, for whole videos, and scales up what is left.

    Attributes:
        p: Probability that a video is dropped, in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, rows: Tensor) -> Tensor:
        """Drops in training, returns (B, ...) unchanged otherwise."""
        if not self.training or self.p == 0:
            return rows
        keep = rows.new_empty(len(rows), *(1,) * (rows.ndim - 1)).bernoulli_(1 - self.p)
        return rows * keep / (1 - self.p)


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, rows: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(rows)))
        return out


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, rows: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = self.qkv(rows).chunk(3, -1)
        out: Tensor = self.proj(attend(query, key, value, self.heads, mask))
        return out


class _CrossAttention(nn.Module):
    """Attention of groups to tokens; the last step of it differs in ``_Assignment``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, groups: Tensor, rows: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = self.q_proj(groups), self.k_proj(rows), self.v_proj(rows)
        out: Tensor = self.proj(attend(query, key, value, self.heads, mask))
        return out


class _PreAssign(nn.Module):
    """Lets the groups look at the tokens before these are assigned to them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = _CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, 4 * width)
        self.norm_post = nn.LayerNorm(width)

    def forward(self, groups: Tensor, rows: Tensor, mask: Tensor | None) -> Tensor:
        groups = groups + self.attn(groups, rows, mask)
        out: Tensor = self.norm_post(groups + self.mlp(self.norm2(groups)))
        return out


class _Assignment(nn.Module):
    """Gives the tokens to groups and sums them up there (one head, as wide as the model)."""

    def __init__(self, width: int, hard: bool) -> None:
        super().__init__()
        self.hard = hard
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.proj = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self,
        groups: Tensor,
        rows: Tensor,
        mask: Tensor | None = None,
        members: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        query, key = self.q_proj(groups), self.k_proj(rows)
        logits = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
        if members is not None:
            logits = _emptied(logits, members[:, :, None], torch.finfo(logits.dtype).min)
        # Each token is shared among the groups: the softmax runs over them.
        share = logits.softmax(1)
        assigned = self._one_group(logits, share) if self.hard else share
        if mask is not None:
            assigned = _emptied(assigned, mask[:, None], 0.0)
            share = _emptied(share, mask[:, None], torch.finfo(share.dtype).min)
        # Published constant: 1 is added to the sum, so that an empty group stays finite.
        mean = assigned / (assigned.sum(-1, keepdim=True) + 1)
        shown = assigned if self.hard else 1 + share.softmax(-1)
        return self.proj(mean @ self.v_proj(rows)), shown

    def _one_group(self, logits: Tensor, share: Tensor) -> Tensor:
        """Gives each token to one group, with the gradient of the softmax.

        In training Gumbel noise draws the group with the probability of its share.
        """
        if self.training:
            noise = torch.empty_like(logits).exponential_().log()
            share = (logits - noise).softmax(1)
        one = torch.zeros_like(share).scatter_(1, share.argmax(1, keepdim=True), 1.0)
        # The difference is exactly 0, its gradient is that of the softmax.
        return one + (share - share.detach())


def _emptied(value: Tensor, present: Tensor, filler: float) -> Tensor:
    return value.masked_fill(~present, filler)


class _GroupingBlock(nn.Module):
    """Groups tokens by mixing group tokens, attention, and assignment (``GroupingBlock``)."""

    def __init__(self, width: int, groups: int, heads: int, hard: bool) -> None:
        super().__init__()
        self.places = groups
        self.norm_tokens = nn.LayerNorm(width)
        # It runs along the group tokens; its inner width is nevertheless half the model's.
        self.mlp_inter = _Mlp(groups, max(width // 2, 1))
        self.norm_post_tokens = nn.LayerNorm(width)
        self.norm_x = nn.LayerNorm(width)
        self.pre_assign_attn = _PreAssign(width, heads)
        self.assign = _Assignment(width, hard)
        self.norm_new_x = nn.LayerNorm(width)
        self.mlp_channels = _Mlp(width, 4 * width)

    def forward(
        self,
        rows: Tensor,
        tokens: Tensor,
        mask: Tensor | None = None,
        members: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Groups rows (B, L, width) of a mask (B, L) by tokens (B, groups, width) of another."""
        groups, rows = self.norm_tokens(tokens), self.norm_x(rows)
        mixed = self._mixed(within(groups, members))
        groups = self.pre_assign_attn(self.norm_post_tokens(mixed), rows, mask)
        summed, shown = self.assign(groups, rows, mask, members)
        groups = summed + groups
        return groups + self.mlp_channels(self.norm_new_x(groups)), shown

    def _mixed(self, groups: Tensor) -> Tensor:
        """Mixes the groups of a video; places for which it has none are empty."""
        count = groups.shape[1]
        mixed: Tensor = self.mlp_inter(
            functional.pad(groups.transpose(1, 2), (0, self.places - count))
        )
        return mixed[..., :count].transpose(1, 2)


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None = None
) -> Tensor:
    """Returns softmax(q k' / sqrt(d)) v for each head of width d, side by side.

    Args:
        query: (B, Q, D).
        key: (B, K, D).
        value: (B, K, D).
        heads: A divisor of D.
        mask: Which keys there are (B, K), bool; all when None.

    Returns:
        (B, Q, D).
    """

    def parts(rows: Tensor) -> Tensor:
        return rows.view(*rows.shape[:-1], heads, -1).transpose(1, 2)

    allowed = None if mask is None else mask[:, None, None]
    mixed = functional.scaled_dot_product_attention(
        parts(query), parts(key), parts(value), attn_mask=allowed
    )
    return mixed.transpose(1, 2).flatten(2)
