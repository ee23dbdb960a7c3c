"""One split of a data set as tensors, resident on a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rlld.data.ragged import by_length, first_rows, rows_of, within
from rlld.errors import RlldError
from rlld.types import VISUAL, Batch

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec


SEGMENTS = 10
"""Videos of any length count by the segments that they take: so many are one of a batch."""


@dataclass(frozen=True)
class Split:
    """Videos with features and labels.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        spec: The data set.
        ids: Video ids, N of them.
        streams: Features by stream name, each (N, T, D); with ``lengths`` the segments of all
            videos one after the other (R, D), which ``batch`` knows to divide.
        labels: Weak labels (N, C), 0 or 1, float32.
        dense: Dense annotation (N, T, 2, C), bool, None where a split has none.
        truth: True events of training videos (N, T, 2, C), bool; known in simulations only, for
            measuring how well labels were cleaned, never for training.
        folder: Its data-set folder, where scores may lie; None where there is none.
        answers: Bare answers (N, 2, C), int8: 1 present, 0 absent, -1 not answered; None where a
            split has none.
        chances: Probability with which the answered questions were drawn (N, 2, C), float32, 0
            where nobody drew them; None where no answer has one.
        lengths: Segments of each video (N,), int64; None where all have T. Per-segment tensors
            keep T, that of the longest, and are False behind the end of a video.
        tracks: Which tracks the videos have (N, 2), bool; None where each has both. A track that
            all of them lack counts as there: its features are missing, not its events.
    """

    name: str
    spec: DataSpec
    ids: tuple[str, ...]
    streams: dict[str, Tensor]
    labels: Tensor
    dense: Tensor | None = None
    truth: Tensor | None = None
    folder: Path | None = None
    answers: Tensor | None = None
    lengths: Tensor | None = None
    chances: Tensor | None = None
    tracks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.labels.device

    def batch(self, index: Tensor) -> Batch:
        """Returns the videos at ``index`` (B,), int64, on the split's device."""
        tracks = None if self.tracks is None else self.tracks[index]
        if self.lengths is None:
            streams = {name: value[index] for name, value in self.streams.items()}
            return Batch(streams, self.labels[index], index, tracks=tracks)
        lengths = self.lengths[index]
        inside = within(lengths, int(lengths.max()))
        # What lies behind the end of a video is read from its first segment and wiped out.
        places = torch.where(inside, torch.arange(inside.shape[1], device=index.device), 0)
        rows = self._first[index, None] + places
        outside = ~inside[..., None]
        streams = {n: value[rows].masked_fill_(outside, 0) for n, value in self.streams.items()}
        mask = inside if outside.any() else None
        return Batch(streams, self.labels[index], index, mask, tracks)

    def all(self) -> Batch:
        """Returns every video as one batch."""
        everyone = torch.arange(len(self), device=self.device)
        if self.lengths is not None:
            return self.batch(everyone)
        return Batch(self.streams, self.labels, everyone, tracks=self.tracks)

    def portions(self, videos: int, index: Tensor | None = None) -> Iterator[Batch]:
        """Yields videos in batches that take about the same memory.

        Args:
            videos: Most videos in a batch; where they are of any length it holds no more than so
                many videos of ``SEGMENTS`` segments, padding included.
            index: Which videos (n,), int64; all when None.
        """
        if index is None:
            index = torch.arange(len(self), device=self.device)
        if self.lengths is None:
            parts: Iterable[Tensor] = torch.split(index, videos)
        else:
            parts = (index[p] for p in by_length(self.lengths[index], videos * SEGMENTS, videos))
        yield from map(self.batch, parts)

    @property
    def mask(self) -> Tensor | None:
        """Which places of a per-segment tensor are of its video (N, T), bool; None: all are."""
        return None if self.lengths is None else within(self.lengths, self.spec.segments)

    @cached_property
    def _first(self) -> Tensor:
        """The row of ``streams`` where each video begins (N,)."""
        if self.lengths is None:
            raise ValueError("the videos are not packed")
        return first_rows(self.lengths)

    @property
    def presence(self) -> Tensor:
        """What annotation and answers say of every event (N, 2, C), int8; -1 where nothing.

        An answer is younger and more pointed than a dense annotation, and wins. What is not heard
        and seen at once may be heard, or seen, alone.
        """
        unknown = torch.full((len(self), 2, self.labels.shape[1]), -1, dtype=torch.int8)
        given = unknown.to(self.device) if self.answers is None else self.answers
        if self.dense is None:
            return given
        told = self.dense.any(1).to(torch.int8)
        if self.spec.modalities == "joint":
            told = torch.where(told > 0, told, -1)
        elif self.spec.modalities == "audio":
            told[:, VISUAL] = -1
        return torch.where(given < 0, told, given)

    @property
    def claims(self) -> Tensor:
        """Labels, of tracks that there are (N, 2, C), bool."""
        tagged = self.labels.bool()[:, None].expand(-1, 2, -1)
        return tagged if self.tracks is None else tagged & self.tracks[..., None]

    @property
    def annotated(self) -> Tensor:
        """Which videos have a label of which something is known (N,), bool."""
        return ((self.presence >= 0) & self.labels.bool()[:, None]).any((1, 2))

    def require_dense(self) -> Tensor:
        """Returns the dense annotation (N, T, 2, C).

        Raises:
            RlldError: If the split has none.
        """
        if self.dense is None:
            raise RlldError(
                f"the {self.name} split of data set {self.spec.name!r} has no dense annotation "
                "(audible and visible events with times), and this needs one; add it and pack anew"
            )
        return self.dense

    def subset(self, index: Tensor) -> Split:
        """Returns the videos at ``index`` (n,) as a split of the same name."""
        rows, lengths = index, None
        if self.lengths is not None:
            lengths = self.lengths[index]
            rows = rows_of(self._first[index], lengths)
        return replace(
            self,
            ids=tuple(self.ids[int(i)] for i in index),
            streams={name: value[rows] for name, value in self.streams.items()},
            labels=self.labels[index],
            dense=None if self.dense is None else self.dense[index],
            truth=None if self.truth is None else self.truth[index],
            answers=None if self.answers is None else self.answers[index],
            chances=None if self.chances is None else self.chances[index],
            lengths=lengths,
            tracks=None if self.tracks is None else self.tracks[index],
        )

    def packed(self) -> Split:
        """Returns the split in the form of videos of any length, for joining it with such ones."""
        if self.lengths is not None:
            return self
        lengths = torch.full((len(self),), self.spec.segments, device=self.device)
        streams = {name: value.flatten(0, 1) for name, value in self.streams.items()}
        return replace(self, streams=streams, lengths=lengths)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Split:
        """Returns the split on a device, its features in ``dtype`` when one is given."""
        return replace(
            self,
            streams={name: v.to(device, dtype or v.dtype) for name, v in self.streams.items()},
            labels=self.labels.to(device),
            dense=None if self.dense is None else self.dense.to(device),
            truth=None if self.truth is None else self.truth.to(device),
            answers=None if self.answers is None else self.answers.to(device),
            chances=None if self.chances is None else self.chances.to(device),
            lengths=None if self.lengths is None else self.lengths.to(device),
            tracks=None if self.tracks is None else self.tracks.to(device),
        )
