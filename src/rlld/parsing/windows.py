"""Videos of any length: overlapping windows, joined without seams.

A network is trained on videos of T segments, or of any number up to T. A longer video is cut into
windows of T segments, but never more than ``LONGEST``, that start every T // 2, the last one ending
with the video; a shorter one is a single window of its own length. Where windows overlap, their
probabilities are averaged with triangular weights, so that a window counts most where it sees most
on both sides.

The video-level probabilities that gate a window are carried to its segments and averaged with the
same weights. Gating segment by segment would cut an event where an open window meets a closed one;
therefore a gate opens whole events: a run of segments above the segment threshold is kept when the
gate is open anywhere in it. With a single window this is exactly the plain rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.metrics.gates import Gate, smoothed
from rlld.types import PARTS, Prediction

BATCH = 32
"""Windows that go through the network together."""

LONGEST = 600
"""Segments of a window at most, where videos of any length were learnt from: attention costs memory
by their square."""
SEGMENTS = 3200
"""Segments that go through such a network together."""

EMPTY = "the video has no segment; give one that lasts longer"


@dataclass(frozen=True)
class Evidence:
    """Joined probabilities of a video of S segments.

    Attributes:
        segment: Segment probabilities (S, 2, C).
        audio: Video-level audio probabilities of the windows around each segment (S, C).
        visual: The same of the visual track (S, C).
        video: The same of the fused probability (S, C).
        held: What a policy says of the tracks of those windows (S, 2, C), None where none did.
    """

    segment: Tensor
    audio: Tensor
    visual: Tensor
    video: Tensor
    held: Tensor | None = None


class Reader(Protocol):
    """What reads segments as they come, and says of each what it knows for good."""

    def push(self, streams: Mapping[str, Tensor]) -> Evidence | None:
        """Takes the next n segments, each stream (n, D); returns what is settled now."""

    def finish(self) -> Evidence | None:
        """Returns the rest: the video ends with the segments that came."""


def appended(features: Mapping[str, Tensor], streams: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the features of segments with those of the next n behind them.

    Args:
        features: By stream (S, D); empty before the first segment.
        streams: By stream (n, D).
    """
    if not features:
        return dict(streams)
    return {name: torch.cat([features[name], value]) for name, value in streams.items()}


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Returns the evidence of consecutive segments as one.

    Raises:
        RlldError: If there is none.
    """
    if not parts:
        raise RlldError(EMPTY)
    return Evidence(*map(torch.cat, zip(*map(parts_of, parts), strict=True)))


def parts_of(known: Prediction | Evidence) -> list[Tensor]:
    """Returns the parts of a prediction or of evidence, ``held`` last where a policy judged."""
    parts = [getattr(known, part) for part in PARTS]
    return parts if known.held is None else [*parts, known.held]


def window_of(spec: DataSpec, reach: int | None = None) -> tuple[int, int]:
    """Returns the segments of a window, and how many windows go through the network together.

    Args:
        spec: The data set that the network was trained on.
        reach: See ``Network``; more than that tells nothing.
    """
    longest = spec.segments if reach is None else min(spec.segments, reach)
    if not spec.any_length:
        return longest, BATCH
    length = min(longest, LONGEST)
    return length, min(BATCH, max(1, SEGMENTS // length))


def taper_of(length: int) -> Tensor:
    """Returns the weights of the segments of a window (L,), float64 whole numbers."""
    ramp = torch.arange(1, length + 1, dtype=torch.float64)
    return torch.minimum(ramp, ramp.flip(0))


def join(starts: list[int], windows: Prediction, total: int) -> Evidence:
    """Averages overlapping windows.

    Args:
        starts: First segment of each of the W windows.
        windows: Their predictions, ``segment`` (W, L, 2, C), the others (W, C), ``held`` (W, 2, C).
        total: Segments of the video, S; the windows cover all of them.

    Returns:
        The evidence, float32. Segments that see equal values in all their windows get exactly
        that value: the weights are whole numbers and the sums float64.
    """
    length = windows.segment.shape[1]
    taper = taper_of(length)
    place = torch.tensor(starts)[:, None] + torch.arange(length)
    weight = torch.zeros(total, dtype=torch.float64)
    weight.index_add_(0, place.flatten(), taper.repeat(len(starts)))

    def blend(values: Tensor) -> Tensor:
        spread = values.double() * taper.view(1, length, *[1] * (values.dim() - 2))
        sums = torch.zeros(total, *values.shape[2:], dtype=torch.float64)
        sums.index_add_(0, place.flatten(), spread.flatten(0, 1))
        return (sums / weight.view(-1, *[1] * (values.dim() - 2))).float()

    segment, *levels = parts_of(windows)
    carried = [value[:, None].expand(-1, length, *value.shape[1:]) for value in levels]
    return Evidence(*(blend(value) for value in (segment, *carried)))


class Windows:
    """Runs a network over a stream of segments and keeps no more features than it needs.

    Attributes:
        predict: The network: features by stream (B, L, D) to a prediction.
        length: Segments of a window, T.
        batch: Windows that go through the network together.
    """

    def __init__(
        self,
        predict: Callable[[Mapping[str, Tensor]], Prediction],
        length: int,
        batch: int = BATCH,
    ) -> None:
        self.predict = predict
        self.length = length
        self.batch = batch
        self.stride = max(1, length // 2)
        self._features: dict[str, Tensor] = {}
        self._offset = 0  # segment of the first row of _features
        self._total = 0
        self._starts: list[int] = []
        self._done: list[list[Tensor]] = []

    def push(self, streams: Mapping[str, Tensor]) -> None:
        """Takes the next n segments, each stream (n, D)."""
        self._features = appended(self._features, streams)
        self._total += len(next(iter(streams.values())))
        while self._pending() >= self.batch:
            self._run(self.batch)

    def finish(self) -> Evidence:
        """Runs what is left and joins all windows.

        Raises:
            RlldError: If there was no segment at all.
        """
        if self._total == 0:
            raise RlldError(EMPTY)
        self._run(self._pending())
        if self._total < self.length:
            self._predict([0], self._total)
        elif self._starts[-1] + self.length < self._total:
            self._predict([self._total - self.length], self.length)
        parts = map(torch.cat, zip(*self._done, strict=True))
        return join(self._starts, _prediction(*parts), self._total)

    def _pending(self) -> int:
        first = self._starts[-1] + self.stride if self._starts else 0
        return max(0, (self._total - self.length - first) // self.stride + 1)

    def _run(self, count: int) -> None:
        if not count:
            return
        first = self._starts[-1] + self.stride if self._starts else 0
        self._predict([first + k * self.stride for k in range(count)], self.length)
        # The last window of the video may start as early as T segments before its end.
        keep = min(self._starts[-1] + self.stride, self._total - self.length) - self._offset
        self._features = {name: value[keep:] for name, value in self._features.items()}
        self._offset += keep

    def _predict(self, starts: list[int], length: int) -> None:
        rows = torch.tensor(starts)[:, None] - self._offset + torch.arange(length)
        prediction = self.predict({name: value[rows] for name, value in self._features.items()})
        self._starts += starts
        self._done.append([part.cpu() for part in parts_of(prediction)])


def _prediction(
    segment: Tensor, audio: Tensor, visual: Tensor, video: Tensor, held: Tensor | None = None
) -> Prediction:
    return Prediction(segment, audio, visual, video, held=held)


def decide(evidence: Evidence, gate: Gate) -> NDArray[np.bool_]:
    """Returns which segments hold an event (S, 2, C).

    Args:
        evidence: Joined probabilities.
        gate: Segment thresholds and video-level gates.
    """
    return keep_marked(above(evidence, gate), opened(evidence, gate))


def opened(evidence: Evidence, gate: Gate) -> NDArray[np.bool_]:
    """Returns the segments above the threshold around which the gate is open (S, 2, C)."""
    return gate.apply(_by_segment(evidence, gate))[:, 0].numpy()


def above(evidence: Evidence, gate: Gate, *, known: bool = False) -> NDArray[np.bool_]:
    """Returns which segments pass the segment threshold alone, all gates open (S, 2, C).

    Args:
        evidence: Joined probabilities.
        gate: Segment threshold.
        known: Whether each class is known to be somewhere in the video.
    """
    return gate.reached(evidence.segment[None], known=known)[0].numpy()


def completed(evidence: Evidence, gate: Gate, tags: Tensor) -> Evidence:
    """Completes a whole video of known tags by what a policy said of its windows.

    Args:
        evidence: Joined probabilities, judged or not.
        gate: How the two are joined.
        tags: Whether each class occurs in it (C,), bool.
    """
    if evidence.held is None:
        return evidence
    # What is said of a window counts as much as the class is perceived there.
    weight = evidence.segment.amax(1, keepdim=True).clamp(min=1e-9)
    held = (evidence.held * weight).sum(0) / weight.sum(0)
    audio, visual, video = (each.amax(0)[None] for each in parts_of(evidence)[1:4])
    whole = _prediction(evidence.segment[None], audio, visual, video, held[None])
    return replace(evidence, segment=gate.completed(whole, tags[None]).segment[0], held=None)


def _by_segment(evidence: Evidence, gate: Gate) -> Prediction:
    """Hands every segment over as a video of one segment, with the video level around it.

    So the rule of the gate stays in one place; only neighbours have to be mixed in before.
    """
    segment = smoothed(evidence.segment[None], gate.smoothing)[0]
    return Prediction(segment[:, None], evidence.audio, evidence.visual, evidence.video)


def keep_marked(active: NDArray[np.bool_], marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keeps the runs along the first axis that hold at least one mark.

    Args:
        active: Cells (S, ...).
        marks: Cells (S, ...); those outside a run count for nothing.

    Returns:
        Cells (S, ...).
    """
    kept = marks & active
    for row in range(1, len(active)):
        kept[row] |= active[row] & kept[row - 1]
    for row in range(len(active) - 2, -1, -1):
        kept[row] |= active[row] & kept[row + 1]
    return kept
