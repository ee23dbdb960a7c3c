"""Which segments an attention may look at: those of its video and, in long videos, near ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 256
"""Segments of the longest video in which every segment sees every other one. In a longer video a
segment sees those at most half as many away, which keeps memory and time linear in its length."""


@dataclass(frozen=True)
class Sight:
    """What the rows of an attention see: everything, or less.

    Long sequences are cut into blocks of half a window, each of which meets itself and its two
    neighbours; nothing as large as T x T is ever made.

    Attributes:
        allowed: Whether a row may look at another one, bool; it broadcasts with the logits
            (..., T, T), or in blocks (..., blocks, S, 3 S). None is everything.
        segments: T, where rows are cut into blocks; None where they are not.
    """

    allowed: Tensor | None = None
    segments: int | None = None

    def asking(self, rows: Tensor) -> Tensor:
        """Returns rows (..., T, D) that ask: as they are, or in blocks (..., blocks, S, D)."""
        if self.segments is None:
            return rows
        size = WINDOW // 2
        padded = functional.pad(rows, (0, 0, 0, -self.segments % size))
        return padded.reshape(*rows.shape[:-2], -1, size, rows.shape[-1])

    def asked(self, rows: Tensor) -> Tensor:
        """Returns what rows look at: all (..., T, D), or what is near (..., blocks, 3 S, D)."""
        if self.segments is None:
            return rows
        size = WINDOW // 2
        around = functional.pad(rows, (0, 0, size, size + -self.segments % size))
        return around.unfold(-2, 3 * size, size).transpose(-1, -2)

    def joined(self, rows: Tensor) -> Tensor:
        """Puts what ``asking`` cut (..., blocks, S, D) together again (..., T, D)."""
        if self.segments is None:
            return rows
        return rows.flatten(-3, -2)[..., : self.segments, :]

    def limited(self, logits: Tensor) -> Tensor:
        """Makes logits so small that a softmax gives nothing to rows that cannot be seen."""
        if self.allowed is None:
            return logits
        # Not minus infinity: behind the end of a video a row may see nothing at all.
        return logits.masked_fill(~self.allowed, torch.finfo(logits.dtype).min)

    def emptied(self, shares: Tensor) -> Tensor:
        """Makes shares 0 where they are of rows that cannot be seen."""
        return shares if self.allowed is None else shares.masked_fill(~self.allowed, 0)

    def count(self, rows: Tensor) -> int | Tensor:
        """Returns how many of rows (..., T, D) each sees; a tensor broadcasts with the logits."""
        if self.allowed is None:
            return rows.shape[-2]
        return self.allowed.sum(-1, keepdim=True)

    def crossed(self) -> Sight:
        """Returns what each modality sees of the other one, where the two differ."""
        if self.allowed is None or len(self.allowed) == 1:
            return self
        return replace(self, allowed=self.allowed.flip(0))

    def of_one(self) -> Sight:
        """Returns the same for the logits (B, ...) of one modality."""
        return self if self.allowed is None else replace(self, allowed=self.allowed.squeeze(0))

    def per_head(self) -> Sight:
        """Returns the same for the logits (B, heads, ...) of several heads of one modality."""
        one = self.of_one()
        return one if one.allowed is None else replace(one, allowed=one.allowed.unsqueeze(1))

    def repeated(self, times: int) -> Sight:
        """Returns the same for as many times the videos, one after the other."""
        if self.allowed is None or len(self.allowed) == 1:
            return self
        return replace(self, allowed=torch.cat([self.allowed] * times))


EVERYTHING = Sight()


def sight_of(
    rows: Tensor, mask: Tensor | None, reach: int | None = None, causal: bool = False
) -> Sight:
    """Returns which segments of a batch see each other.

    Args:
        rows: Rows of the batch (..., T, D), for their number and device.
        mask: Which segments belong to the video, bool: (B, T), or (2, B, T) where audio and
            visual rows are of different videos; all when None.
        reach: How far a segment sees at most, even in a short video; None is no such limit.
        causal: Whether a segment sees itself and those before it only: half a window back in a
            video of any length, so that nothing that follows changes what it sees.
    """
    segments, size = rows.shape[-2], WINDOW // 2
    if causal:
        reach = size if reach is None else min(reach, size)
    if segments <= WINDOW:
        return _whole(segments, mask, reach, causal, rows.device)
    if mask is None:
        mask = torch.ones(1, segments, dtype=torch.bool, device=rows.device)
    place = torch.arange(3 * size, device=rows.device)
    behind = place[:size, None] + size - place
    # A short video in a batch with long ones sees itself whole, as it does alone.
    short = (mask.sum(-1) <= WINDOW)[..., None, None, None]
    near = short | (behind.abs() <= size)
    if reach is not None:
        near = near & _within(behind, reach, causal)
    keys = functional.pad(mask, (size, size + -segments % size)).unfold(-1, 3 * size, size)
    return Sight(_by_modality(keys.unsqueeze(-2) & near, mask), segments)


def _within(behind: Tensor, reach: int, causal: bool) -> Tensor:
    """Returns which rows are in reach of one that they are so many segments behind."""
    return (behind.abs() <= reach) & (behind >= 0) if causal else behind.abs() <= reach


def _whole(
    segments: int, mask: Tensor | None, reach: int | None, causal: bool, device: torch.device
) -> Sight:
    if mask is None and reach is None:
        return EVERYTHING
    if mask is None:
        mask = torch.ones(1, segments, dtype=torch.bool, device=device)
    allowed = mask.unsqueeze(-2)
    if reach is not None:
        place = torch.arange(segments, device=device)
        allowed = allowed & _within(place[:, None] - place, reach, causal)
    return Sight(_by_modality(allowed, mask))


def _by_modality(allowed: Tensor, mask: Tensor) -> Tensor:
    """Gives what a mask (B, T) allows a leading axis of modalities."""
    return allowed if mask.ndim == 3 else allowed.unsqueeze(0)
