"""Events of a source that goes on: told while it runs, in memory that does not grow.

What is told is what ``rlld.parsing.parse`` finds in the whole, as soon as nothing that follows can
change it. The windows are those of ``rlld.parsing.windows``; a segment is settled when even the
window that ends with the source would begin behind it, so a window and a segment later. What a
causal network says is settled at once (``rlld.parsing.trailing``). An event begins when its gate
opens and ends with its run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.metrics.gates import Gate
from rlld.parsing.events import events_from
from rlld.parsing.result import Event
from rlld.parsing.windows import (
    Evidence,
    Reader,
    above,
    appended,
    keep_marked,
    opened,
    taper_of,
)
from rlld.types import PARTS, Prediction

LONGEST = 3600
"""Segments of an event after which it is told in pieces: what runs on is held in memory."""
CONTEXT = 2
"""Segments before those that are looked at: neighbours are mixed in before they are compared."""


@dataclass(frozen=True)
class Told:
    """A line about an event.

    Attributes:
        state: ``begin`` once it is certain that there is one, ``end`` once it is over.
        event: The event; of one that only began, what is known so far.
    """

    state: Literal["begin", "end"]
    event: Event

    def as_dict(self) -> dict[str, Any]:
        """Returns the line JSON-ready; what is not known yet is left out."""
        event = self.event
        line = {"state": self.state, "label": event.label, "modality": event.modality}
        if self.state == "begin":
            return line | {"start": event.start}
        return line | {"start": event.start, "end": event.end, "confidence": event.confidence}


class LiveWindows:
    """Runs a network over segments as they come, and gives out what is settled.

    Args:
        predict: The network: features by stream (B, L, D) to a prediction.
        length: Segments of a window, T.
    """

    def __init__(self, predict: Callable[[Mapping[str, Tensor]], Prediction], length: int) -> None:
        self._predict = predict
        self._length, self._stride = length, max(1, length // 2)
        self._features: dict[str, Tensor] = {}
        self._sums: list[Tensor] = []  # of the parts, from the first segment that is not given out
        self._weights = torch.zeros(0, dtype=torch.float64)
        self._offset = 0  # segment of the first row of _features
        self._given = 0
        self._next = 0  # where the next window begins
        self._total = 0

    def push(self, streams: Mapping[str, Tensor]) -> Evidence | None:
        """Takes the next n segments, each stream (n, D); returns those that are settled now."""
        self._features = appended(self._features, streams)
        self._total += len(next(iter(streams.values())))
        while self._total >= self._next + self._length:
            self._window(self._next, self._length)
            self._next += self._stride
        keep = max(self._offset, min(self._next, self._total - self._length))
        self._features = {
            name: value[keep - self._offset :] for name, value in self._features.items()
        }
        self._offset = keep
        return self._give(self._total - self._length)

    def finish(self) -> Evidence | None:
        """Returns the rest: the source ends with the segments that came."""
        if 0 < self._total < self._length:
            self._window(0, self._total)
        elif self._total and self._next - self._stride + self._length < self._total:
            self._window(self._total - self._length, self._length)
        return self._give(self._total)

    def _window(self, start: int, length: int) -> None:
        rows = slice(start - self._offset, start - self._offset + length)
        found = self._predict({name: value[None, rows] for name, value in self._features.items()})
        parts = [getattr(found, part)[0].cpu().double() for part in PARTS]
        taper, first = taper_of(length), start - self._given
        self._grow(first + length, parts)
        # Segments that were given out are settled: no window holds them any more.
        for sums, value in zip(self._sums, parts, strict=True):
            carried = value if value.dim() == 3 else value[None].expand(length, -1)
            sums[first : first + length] += carried * taper.view(-1, *[1] * (sums.dim() - 1))
        self._weights[first : first + length] += taper

    def _grow(self, count: int, parts: list[Tensor]) -> None:
        more = count - len(self._weights)
        if more <= 0:
            return
        if not self._sums:
            shapes = [part.shape[-2:] if part.dim() == 3 else part.shape for part in parts]
            self._sums = [torch.zeros(0, *shape, dtype=torch.float64) for shape in shapes]
        self._sums = [
            torch.cat([sums, sums.new_zeros(more, *sums.shape[1:])]) for sums in self._sums
        ]
        self._weights = torch.cat([self._weights, self._weights.new_zeros(more)])

    def _give(self, end: int) -> Evidence | None:
        count = end - self._given
        if count <= 0:
            return None
        weights = self._weights[:count]
        found = Evidence(
            *(
                (sums[:count] / weights.view(-1, *[1] * (sums.dim() - 1))).float()
                for sums in self._sums
            )
        )
        self._sums = [sums[count:] for sums in self._sums]
        self._weights = self._weights[count:]
        self._given = end
        return found


class LiveEvents:
    """Reads events from evidence as it comes.

    Args:
        spec: The data set of the run, for its classes and the length of a segment.
        gate: How probabilities become decisions.
        allowed: Which modalities there are.
    """

    def __init__(self, spec: DataSpec, gate: Gate, allowed: tuple[bool, bool]) -> None:
        self._spec, self._gate = spec, gate
        self._allowed = np.array(allowed)
        self._held: Evidence | None = None
        self._first = 0  # segment of the first row that is held
        self._base = 0  # segment before which nothing began that is still running
        self._kept = np.zeros((2, len(spec.classes)), dtype=bool)  # of runs that ended behind it
        self._begun: set[tuple[str, str, float]] = set()
        self._ended: set[tuple[str, str, float]] = set()

    def push(self, evidence: Evidence) -> Iterator[Told]:
        """Takes settled segments, and yields what they make certain."""
        parts = [getattr(evidence, part) for part in PARTS]
        parts[0] = parts[0] * torch.from_numpy(self._allowed)[:, None]
        if self._held is not None:
            old = (getattr(self._held, part) for part in PARTS)
            parts = [torch.cat(pair) for pair in zip(old, parts, strict=True)]
        self._held = Evidence(*parts)
        # Where neighbours are mixed in, the last one may become another by what follows it.
        yield from self._tell(len(self._held.segment) - bool(self._gate.smoothing), float("inf"))

    def finish(self, duration: float) -> Iterator[Told]:
        """Yields what is left when the source ends.

        Args:
            duration: Its length in seconds.
        """
        if self._held is not None:
            yield from self._tell(len(self._held.segment), duration, over=True)

    def _tell(self, count: int, duration: float, over: bool = False) -> Iterator[Told]:
        held, skip = self._held, self._base - self._first
        if held is None or count <= skip:
            return
        active = above(held, self._gate)[skip:count] & self._allowed[:, None]
        marks = opened(held, self._gate)[skip:count]
        marks[0] |= self._kept
        kept = keep_marked(active, marks)
        over = over or len(active) >= LONGEST
        found = events_from(
            kept,
            held.segment[skip:count].numpy(),
            self._spec.classes,
            self._spec.segment_seconds,
            duration,
            self._base,
        )
        reached = (self._base + len(active)) * self._spec.segment_seconds
        for event in found:
            lane = event.label, event.modality
            if (*lane, event.end) in self._ended:  # of which the beginning may be forgotten
                continue
            if (*lane, event.start) not in self._begun:
                self._begun.add((*lane, event.start))
                yield Told("begin", event)
            if over or event.end < reached:
                self._ended.add((*lane, event.end))
                yield Told("end", event)
        self._forget(kept, 0 if over else _running(active))

    def _forget(self, kept: NDArray[np.bool_], running: int) -> None:
        """Lets go of what no event needs that is still running."""
        past = len(kept) - running
        self._base += past
        self._kept = kept[past] if running else np.zeros_like(self._kept)
        first = max(self._first, self._base - CONTEXT)
        if self._held is not None:
            parts = (getattr(self._held, part)[first - self._first :] for part in PARTS)
            self._held = Evidence(*parts)
        self._first = first
        since = self._base * self._spec.segment_seconds
        self._begun = {key for key in self._begun if key[2] >= since}
        self._ended = {key for key in self._ended if key[2] > since}


def _running(active: NDArray[np.bool_]) -> int:
    """Returns how many segments the longest run has that lasts to the end."""
    still, count = np.ones(active.shape[1:], dtype=bool), 0
    for row in active[::-1]:
        still &= row
        if not still.any():
            break
        count += 1
    return count


def live_events(
    reader: Reader,
    spec: DataSpec,
    gate: Gate,
    chunks: Iterable[Mapping[str, Tensor]],
    allowed: tuple[bool, bool],
    duration: Callable[[], float],
) -> Iterator[Told]:
    """Parses segments as they come.

    Args:
        reader: Runs the network: ``LiveWindows``, or ``Trailing`` where it is causal.
        spec: The data set that it was trained on.
        gate: How probabilities become decisions.
        chunks: Features of consecutive segments by stream, (n, D) each.
        allowed: Which modalities there are.
        duration: Returns the length of the source in seconds, once all chunks have come.
    """
    events = LiveEvents(spec, gate, allowed)
    for chunk in chunks:
        if (settled := reader.push(chunk)) is not None:
            yield from events.push(settled)
    if (rest := reader.finish()) is not None:
        yield from events.push(rest)
    yield from events.finish(duration())
