"""What every feature extractor is."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.media.container import ClipInfo
from rlld.media.decode import Clip
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.media.views import CHUNK, Chunk, Segment, Shown, View, chunks
from rlld.utils.registry import Buildable

if TYPE_CHECKING:
    import torch

    from rlld.features.weights import PublishedWeights

Rows = Mapping[str, NDArray[np.float32]]
"""Rows of consecutive segments by stream name, each (n * frames, D), as its ``StreamSpec`` says."""


@dataclass(frozen=True)
class ClipFeatures:
    """Features of one clip.

    Attributes:
        info: The clip as decoded: its length, which tracks it has, notes on damage.
        streams: Features by stream name, each (S * frames, D), float32, in the layout of the
            published files; zeros where a segment has no sound (``audio``) or no picture
            (``visual_2d``, ``visual_3d``).
    """

    info: ClipInfo
    streams: dict[str, NDArray[np.float32]]


class Extractor(ABC):
    """Turns a clip into features, one row per segment and stream.

    Its module ``rlld.features.extractors.NAME`` holds a frozen dataclass ``Config`` with the
    parameters and, where it needs weights, ``files() -> tuple[PublishedWeights, ...]``.

    Attributes:
        name: Its name in ``EXTRACTORS``, in manifests and in ``dataset.yaml``.
        views: What it wants to see of a clip.
        alone: Whether it says of each segment what it says of that one alone, so that a source
            that goes on is described without waiting for a chunk.
    """

    name: str
    views: tuple[View, ...]
    alone: bool = False

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on, JSON-ready, weights by their hash."""

    @abstractmethod
    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its streams and their dimensions."""

    @abstractmethod
    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Describes segments of one or several clips.

        Args:
            chunks: Segments of clips; what is written of one chunk depends on it alone, so that
                features do not depend on what is batched.
            segment_seconds: Length of a segment in seconds.

        Returns:
            Rows of all segments, chunk after chunk.
        """

    def to(self, device: torch.device) -> None:
        """Moves its networks to a device."""

    def rows(self, clip: Shown, segment_seconds: float, at_once: int = CHUNK) -> Iterator[Rows]:
        """Decodes a clip and yields the rows of consecutive segments, some at a time.

        Memory stays flat however long the clip is; its outcome is complete afterwards.

        Args:
            clip: The clip.
            segment_seconds: Length of a segment in seconds.
            at_once: Segments that are described together; fewer than ``CHUNK`` only if ``alone``.

        Raises:
            RlldError: If nothing of the clip can be decoded.
        """
        for chunk in chunks(clip.segments(segment_seconds, self.views), at_once):
            yield self.describe([chunk], segment_seconds)

    @property
    def version(self) -> str:
        """Hash of name and parameters; features of one version can be mixed, others not."""
        text = json.dumps([self.name, self.parameters()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def extract(
        self, path: Path | str, segment_seconds: float = 1.0, tracks: TrackChoice = AS_PLAYED
    ) -> ClipFeatures:
        """Extracts the features of one clip.

        Args:
            path: The file.
            segment_seconds: Length of a segment in seconds.
            tracks: Which of several tracks are described; those of a player when not given.

        Returns:
            Features of all its segments.

        Raises:
            RlldError: If the file cannot be read.
        """
        clip = Clip(path, tracks)
        parts = list(self.rows(clip, segment_seconds))
        names = self.streams(segment_seconds)
        streams = {name: np.concatenate([part[name] for part in parts]) for name in names}
        return ClipFeatures(clip.outcome(), streams)


def flat(chunks: Sequence[Chunk]) -> list[Segment]:
    """Returns the segments of all chunks."""
    return [segment for chunk in chunks for segment in chunk]


def per_segment(rows: Rows, streams: Mapping[str, StreamSpec]) -> dict[str, NDArray[np.float32]]:
    """Averages rows of frames (n * frames, D) to rows of segments (n, D)."""
    return {
        name: rows[name].reshape(-1, spec.frames, spec.dim).mean(1, dtype=np.float32)
        if spec.frames > 1
        else rows[name]
        for name, spec in streams.items()
    }


def fitted(rows: NDArray[np.float32], segments: int) -> NDArray[np.float32]:
    """Returns features (S, D) cut or filled with zeros to (segments, D)."""
    return np.pad(rows[:segments], ((0, max(0, segments - len(rows))), (0, 0)))


def rows_where_seen(
    segments: Sequence[Segment],
    view: View,
    frames: int,
    dim: int,
    describe: Callable[[list[NDArray[Any]]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Describes the segments that show something.

    Args:
        segments: All segments.
        view: What is described of them.
        frames: Rows of a segment.
        dim: Dimensions of a row.
        describe: Gets what each such segment shows, returns their rows (M * frames, dim).

    Returns:
        Rows (N * frames, dim), zeros where nothing is seen.
    """
    rows = np.zeros((len(segments), frames, dim), np.float32)
    shown = {number: segment.views[view] for number, segment in enumerate(segments)}
    seen = {number: pictures for number, pictures in shown.items() if pictures is not None}
    if seen:
        rows[list(seen)] = describe(list(seen.values())).reshape(-1, frames, dim)
    return rows.reshape(-1, dim)


def files_of(config: Any) -> tuple[PublishedWeights, ...]:
    """Returns the weights that an extractor needs; one whose parameters name none needs none."""
    named = getattr(config, "files", None)
    return () if named is None else tuple(named())


class Config(Buildable):
    """Base of the parameters of an extractor."""

    def build(self) -> Extractor:
        """Makes the extractor.

        Raises:
            RlldError: If a package or weights that it needs are missing, damaged or others.
        """
        extractor: Extractor = self.made(self)
        return extractor
