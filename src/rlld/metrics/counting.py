"""True and false positives of all videos at once, for segments and for events.

Two ways to the same counts. Up to ten segments, the map of a class is a number of ten bits, and a
table over pairs of such numbers holds how many events match. Longer videos follow the matching
rule itself, cell by cell, in pieces of bounded memory. Neither waits for the device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from rlld.errors import RlldError

MAX_BITS = 10
"""Longest video whose maps are looked up; the table has 2^10 x 2^10 entries."""

CELLS_PER_PIECE = 1 << 20
"""Cells that the general rule handles at once; it needs about 100 bytes for each."""


class Counts(NamedTuple):
    """Counts by modality (audio, visual, audio-visual), video and class, each (3, N, C), integer.

    Attributes:
        tp: Predicted segments that are true, or predicted events that match a true one.
        fp: The other predicted segments or events.
        fn: True segments not predicted, or true events that no predicted one matches.
    """

    tp: Tensor
    fp: Tensor
    fn: Tensor


class Counter(ABC):
    """Counts predictions against a ground truth that is prepared once."""

    @abstractmethod
    def encode(self, predicted: Tensor) -> Tensor:
        """Returns the maps (N, T, 2, C), bool, in the form that the two counts below take."""

    @abstractmethod
    def segments(self, encoded: Tensor) -> Counts:
        """Counts segments."""

    @abstractmethod
    def events(self, encoded: Tensor) -> Counts:
        """Counts events, the maximal runs of active segments."""


def make_counter(truth: Tensor, iou: float, exclusive: bool = False) -> Counter:
    """Returns the counter for a ground truth.

    Args:
        truth: True maps (N, T, 2, C), bool.
        iou: Events match when their intersection over union is at least this, in (0, 1].
        exclusive: Whether audio and visual count only where the other modality is silent.

    Raises:
        RlldError: If ``iou`` is out of range.
    """
    threshold = exact_threshold(iou)
    if truth.shape[1] <= MAX_BITS:
        return _TableCounter(truth, threshold, exclusive)
    return _RuleCounter(truth, threshold, exclusive)


def exact_threshold(iou: float) -> Fraction:
    """Returns an IoU threshold as the fraction that was meant, so that ties compare exactly.

    Raises:
        RlldError: If it is not in (0, 1].
    """
    if not 0 < iou <= 1:
        raise RlldError(f"IoU threshold {iou} is out of range; give one above 0 and up to 1")
    return Fraction(iou).limit_denominator(10_000)


def _modalities(audio: Tensor, visual: Tensor, exclusive: bool) -> Tensor:
    """Stacks the maps of audio, visual and audio-visual, (3, ...).

    The arguments are bool maps or integer bit codes: the logic is the same.
    """
    both = audio & visual
    if exclusive:
        audio, visual = audio ^ both, visual ^ both
    return torch.stack((audio, visual, both))


class _TableCounter(Counter):
    """Looks counts up by the bit codes of predicted and true map."""

    def __init__(self, truth: Tensor, iou: Fraction, exclusive: bool) -> None:
        self._exclusive = exclusive
        self._sizes, self._runs = _sizes_and_runs(truth.device)
        self._matches = _match_table(iou, truth.device)
        self._one_to_one = _one_to_one(iou)
        self._truth = self.encode(truth)
        self._true_segments = _look_up(self._sizes, self._truth)
        self._true_events = _look_up(self._runs, self._truth)

    def encode(self, predicted: Tensor) -> Tensor:
        codes = predicted[:, 0].to(torch.int16)
        for segment in range(1, predicted.shape[1]):
            codes.add_(predicted[:, segment], alpha=1 << segment)
        audio, visual = codes.int().unbind(1)
        return _modalities(audio, visual, self._exclusive)

    def segments(self, encoded: Tensor) -> Counts:
        tp = _look_up(self._sizes, encoded & self._truth)
        return Counts(tp, _look_up(self._sizes, encoded) - tp, self._true_segments - tp)

    def events(self, encoded: Tensor) -> Counts:
        tp = _look_up(self._matches, (encoded << MAX_BITS) + self._truth)
        found = tp
        if not self._one_to_one:
            found = _look_up(self._matches, (self._truth << MAX_BITS) + encoded)
        return Counts(tp, _look_up(self._runs, encoded) - tp, self._true_events - found)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    return table.index_select(0, index.flatten()).view(index.shape)


def _one_to_one(iou: Fraction) -> bool:
    """Whether equally many predicted and true events match at this threshold.

    Two runs with a gap between them cannot both cover half of one run, so from one half on no
    event matches two others.
    """
    return 2 * iou >= 1


def _codes(device: torch.device) -> Tensor:
    """All maps of ten segments (1024, 10), bool; the row number is the bit code."""
    numbers = torch.arange(1 << MAX_BITS, device=device)
    bits = torch.arange(MAX_BITS, device=device)
    return torch.bitwise_right_shift(numbers[:, None], bits).bitwise_and(1).bool()


@lru_cache(maxsize=8)
def _sizes_and_runs(device: torch.device) -> tuple[Tensor, Tensor]:
    """Active segments and events of each bit code, (1024,) int8 each."""
    maps = _codes(device)
    return maps.sum(-1, dtype=torch.int8), _starts(maps).sum(-1, dtype=torch.int8)


@lru_cache(maxsize=8)
def _match_table(iou: Fraction, device: torch.device) -> Tensor:
    """Events of map p that match an event of map g, at index 1024 p + g, int8."""
    maps = _codes(device)
    bounds = [(s, e) for s in range(MAX_BITS) for e in range(s + 1, MAX_BITS + 1)]
    onset, offset = torch.tensor(bounds, device=device).T
    start, end = _bounds(maps)
    # holds[p, r]: run r is one of the maximal runs of map p.
    holds = (start[:, onset] == onset) & (end[:, onset] == offset) & maps[:, onset]
    shared = torch.minimum(offset, offset[:, None]) - torch.maximum(onset, onset[:, None])
    hull = torch.maximum(offset, offset[:, None]) - torch.minimum(onset, onset[:, None])
    similar = (shared > 0) & (shared * iou.denominator >= hull * iou.numerator)
    holds = holds.float()
    reaches = (holds @ similar.float()).clamp(max=1)
    return torch.mm(holds, reaches.T).to(torch.int8).flatten()


class _RuleCounter(Counter):
    """Applies the matching rule to maps of any length, time last: (3, N, C, T), bool."""

    def __init__(self, truth: Tensor, iou: Fraction, exclusive: bool) -> None:
        self._exclusive = exclusive
        self._iou = iou
        self._truth = self.encode(truth)

    def encode(self, predicted: Tensor) -> Tensor:
        audio, visual = predicted.permute(2, 0, 3, 1).unbind()
        return _modalities(audio, visual, self._exclusive)

    def segments(self, encoded: Tensor) -> Counts:
        return self._in_pieces(encoded, _count_segments)

    def events(self, encoded: Tensor) -> Counts:
        return self._in_pieces(encoded, lambda p, g: count_events(p, g, self._iou))

    def _in_pieces(self, encoded: Tensor, count: Callable[[Tensor, Tensor], Counts]) -> Counts:
        videos = max(1, CELLS_PER_PIECE // encoded[:, 0].numel())
        pieces = [
            count(encoded[:, first : first + videos], self._truth[:, first : first + videos])
            for first in range(0, encoded.shape[1], videos)
        ]
        return Counts(*(torch.cat(parts, 1) for parts in zip(*pieces, strict=True)))


def _count_segments(predicted: Tensor, truth: Tensor) -> Counts:
    tp = (predicted & truth).sum(-1)
    return Counts(tp, predicted.sum(-1) - tp, truth.sum(-1) - tp)


def count_events(predicted: Tensor, truth: Tensor, iou: Fraction) -> Counts:
    """Counts matching events by the many-to-many rule: any match makes an event a hit.

    Overlapping events share an active cell, and there both maps know their event's bounds; so
    each pair is seen without listing pairs.

    Args:
        predicted: Maps with time last (..., T), bool.
        truth: The same for the ground truth.
        iou: Threshold in (0, 1].

    Returns:
        Counts of the shape of the leading axes.
    """
    start, end = _bounds(predicted)
    true_start, true_end = _bounds(truth)
    shared = torch.minimum(end, true_end) - torch.maximum(start, true_start)
    hull = torch.maximum(end, true_end) - torch.minimum(start, true_start)
    match = predicted & truth & (shared * iou.denominator >= hull * iou.numerator)
    tp = _events_with(match, predicted, end)
    found = tp if _one_to_one(iou) else _events_with(match, truth, true_end)
    return Counts(tp, _starts(predicted).sum(-1) - tp, _starts(truth).sum(-1) - found)


def _starts(maps: Tensor) -> Tensor:
    """Marks the first segment of each run (..., T)."""
    return maps & ~pad(maps[..., :-1], (1, 0))


def _bounds(maps: Tensor) -> tuple[Tensor, Tensor]:
    """First and one-past-last segment of the run at each active cell, (..., T) each.

    Values at inactive cells have no meaning, but ends stay within 0..T.
    """
    length = maps.shape[-1]
    steps = torch.arange(length, dtype=torch.int32, device=maps.device)
    start = torch.where(_starts(maps), steps, 0).cummax(-1).values
    # Ends are starts of the reversed map.
    flipped = torch.where(_starts(maps.flip(-1)), steps, 0).cummax(-1).values
    return start, length - flipped.flip(-1)


def _events_with(match: Tensor, maps: Tensor, end: Tensor) -> Tensor:
    """Counts the runs of ``maps`` that hold a matching cell."""
    before = pad(match.cumsum(-1, dtype=torch.int32), (1, 0))
    hits = before.gather(-1, end.long()) > before[..., :-1]
    return (_starts(maps) & hits).sum(-1)
