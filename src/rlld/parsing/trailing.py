"""Causal networks: every segment is decided when it has passed, by the window that ends with it.

What follows a segment cannot change what a causal network says of it, so there is nothing to wait
for: its evidence is that of the last T segments, itself included, video level and all. A clip and
a source that goes on are parsed alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rlld.parsing.windows import Evidence, appended, joined, parts_of
from rlld.types import Prediction


class Trailing:
    """Runs a network over segments as they come, in memory that does not grow.

    Args:
        predict: The network: features by stream (B, L, D) to a prediction.
        length: Segments of a window, T.
        batch: Windows that go through the network together.
    """

    def __init__(
        self, predict: Callable[[Mapping[str, Tensor]], Prediction], length: int, batch: int
    ) -> None:
        self._predict, self._length, self._batch = predict, length, batch
        self._features: dict[str, Tensor] = {}  # of the segments before the next one, T - 1 at most

    def push(self, streams: Mapping[str, Tensor]) -> Evidence:
        """Takes the next n segments, each stream (n, D); returns what is known of them."""
        seen = appended(self._features, streams)
        total = len(next(iter(seen.values())))
        first = total - len(next(iter(streams.values())))
        kept = slice(max(0, total - self._length + 1), None)
        self._features = {name: value[kept] for name, value in seen.items()}
        growing = range(first, min(total, self._length - 1))
        found = [self._of(seen, [last], last + 1) for last in growing]
        full = list(range(max(first, self._length - 1), total))
        for start in range(0, len(full), self._batch):
            found.append(self._of(seen, full[start : start + self._batch], self._length))
        return joined(found)

    def finish(self) -> None:
        """Returns what is left: nothing ever is."""

    def _of(self, seen: Mapping[str, Tensor], lasts: list[int], length: int) -> Evidence:
        rows = torch.tensor(lasts)[:, None] + torch.arange(1 - length, 1)
        found = self._predict({name: value[rows] for name, value in seen.items()})
        parts = (part.cpu().float() for part in parts_of(found))
        return Evidence(*(part[:, -1] if part.dim() == 4 else part for part in parts))
