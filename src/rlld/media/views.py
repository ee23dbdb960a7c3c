"""What an extractor wants to see of a clip, and the segments in which it gets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

CHUNK = 10
"""Segments of a clip that are described together at most: an LLP video of 10 seconds."""


@dataclass(frozen=True)
class Sound:
    """Mono sound: the mean of left and right, to which more channels are mixed down.

    Attributes:
        rate: Samples per second.
    """

    rate: int


@dataclass(frozen=True)
class Pictures:
    """RGB pictures at even times; picture k is on screen at the middle of its k-th part.

    Attributes:
        fps: Pictures per second.
        width: Width in pixels; 0 leaves pictures as large as the clip's.
        height: Height in pixels; 0 with ``width`` 0.
        short_side: When 0, pictures are stretched to width x height. Else their shorter side is
            scaled to this and the middle of width x height cut out.
        scaling: Filter of the scaling; all but nearest-neighbour average when they shrink.
        picks: Picture of each of the ``CHUNK`` segments that is wanted alone, all when empty.
    """

    fps: float
    width: int
    height: int
    short_side: int = 0
    scaling: Literal["AREA", "BILINEAR", "BICUBIC"] = "AREA"
    picks: tuple[int, ...] = ()

    def count(self, segment_seconds: float) -> int:
        """Returns the pictures of a segment on the grid, before ``picks``."""
        return max(1, round(self.fps * segment_seconds))


View = Sound | Pictures

Row = Mapping[View, NDArray[Any] | None]
"""What a segment shows by view; see ``Segment``."""


@dataclass(frozen=True)
class Segment:
    """One segment of a clip.

    Attributes:
        index: Its number from 0; it starts at ``index * segment_seconds``.
        views: What was asked for. Sound is (rate * segment_seconds,), float32 in [-1, 1], zero
            where the track is silent or over. Pictures are (n, height, width, 3), uint8 RGB. None
            when no part of the segment has sound or a picture.
    """

    index: int
    views: Mapping[View, NDArray[Any] | None]


Chunk = Sequence[Segment]
"""Up to ``CHUNK`` consecutive segments of one clip, from a multiple of ``CHUNK`` on."""


def chunks(segments: Iterable[Segment], size: int = CHUNK) -> Iterator[list[Segment]]:
    """Groups the segments of a clip, ``size`` at a time."""
    chunk: list[Segment] = []
    for segment in segments:
        chunk.append(segment)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def views_by_kind(views: Sequence[View]) -> dict[str, list[View]]:
    """Returns the views by the kind of track, ``audio`` or ``video``, that they are of."""
    kinds = {"audio": Sound, "video": Pictures}
    return {
        name: [view for view in views if isinstance(view, kind)] for name, kind in kinds.items()
    }


def segment_of(index: int, row: Row, views: Sequence[View]) -> Segment:
    """Returns a segment with what its tracks show of it."""
    return Segment(index, {view: row.get(view) for view in views})


class Shown(Protocol):
    """What extractors describe: a clip, or a source that goes on."""

    def segments(self, segment_seconds: float, views: Sequence[View]) -> Iterator[Segment]:
        """Yields consecutive segments."""
