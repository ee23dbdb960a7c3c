"""Pictures of a clip: taken at even times, scaled, cut into segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.media.views import Pictures, Row

Pixels = NDArray[np.uint8]

THREAD = 64
"""Ratio of the sides up to which a picture keeps its shape."""


class PictureRows:
    """Takes the pictures of a track for several views at once, one decoded frame at a time.

    Args:
        views: What they show.
        seconds: Length of a segment.
    """

    def __init__(self, views: Sequence[Pictures], seconds: float) -> None:
        self._grids = {view: _Grid(seconds, view) for view in views}
        self._seconds = seconds
        self._index = 0
        self._shown: Any = None

    def push(self, time: float, frame: Any) -> Iterator[Row]:
        """Takes a frame, and yields the segments before it: each (n, height, width, 3) or None."""
        while (self._index + 1) * self._seconds <= time:
            yield self._row()
        for grid in self._grids.values():
            grid.take(self._shown, time)
            grid.turn()
        self._shown = frame

    def rest(self, count: int) -> Iterator[Row]:
        """Yields what is left of the first ``count`` segments; the last picture stays."""
        while self._index < count:
            yield self._row()

    def notes(self) -> list[str]:
        """Returns what the reader should know: nothing."""
        return []

    def _row(self) -> Row:
        self._index += 1
        for grid in self._grids.values():
            grid.take(self._shown, self._index * self._seconds)
        return {view: grid.row() for view, grid in self._grids.items()}


class _Grid:
    """Times at which pictures of one view are taken, segment by segment."""

    def __init__(self, seconds: float, view: Pictures) -> None:
        self._scaler = Scaler(view)
        self._picks = view.picks
        self._count = view.count(seconds)
        self._step = seconds / self._count
        self._index = 0
        self._number = 0
        self._taken: list[Pixels | None] = []
        self._scaled: Pixels | None = None

    def take(self, shown: Any, end: float) -> None:
        """Takes the frame that is shown at all times of this segment before ``end``."""
        while self._number < self._count and self._next() < end:
            if not self._picks or self._wanted() == self._number:
                if self._scaled is None and shown is not None:
                    self._scaled = self._scaler.scaled(shown)
                self._taken.append(self._scaled)
            self._number += 1

    def turn(self) -> None:
        """Forgets the frame that was shown."""
        self._scaled = None

    def row(self) -> Pixels | None:
        """Returns the pictures of the segment, and goes on to the next.

        The first picture also stands for the time of its segment before it.
        """
        taken, self._taken = self._taken, []
        self._number, self._index = 0, self._index + 1
        first = next((picture for picture in taken if picture is not None), None)
        if first is None:
            return None
        return np.stack([first if picture is None else picture for picture in taken])

    def _next(self) -> float:
        return (self._index * self._count + self._number + 0.5) * self._step

    def _wanted(self) -> int:
        return min(self._picks[self._index % len(self._picks)], self._count - 1)


def quarter_turns(frame: Any) -> int:
    """Returns by how many quarters a frame is to be turned to the left to be upright, 0 to 3."""
    return int(round(frame.rotation / 90) % 4)


class Scaler:
    """Turns decoded frames into RGB pictures of one size.

    Args:
        view: The size and how it is reached.
    """

    def __init__(self, view: Pictures) -> None:
        from av.video.reformatter import VideoReformatter

        self.view = view
        self._reformatter = VideoReformatter()

    def scaled(self, frame: Any) -> NDArray[np.uint8]:
        """Returns (height, width, 3), upright as a player shows it."""
        turns = quarter_turns(frame)
        wide, high = (frame.width, frame.height) if turns % 2 == 0 else (frame.height, frame.width)
        width, height = self._size(wide, high)
        stored = (width, height) if turns % 2 == 0 else (height, width)
        # Packed RGB would halve the resolution of colour and darken by a level or two. Threads cost
        # more than they spare on pictures of this size; a job fills the cores with clips.
        scaled = self._reformatter.reformat(
            frame, *stored, format="gbrp", interpolation=self.view.scaling, threads=1
        )
        picture: NDArray[Any] = np.rot90(scaled.to_ndarray(), turns)
        return np.ascontiguousarray(self._cropped(picture))

    def _size(self, width: int, height: int) -> tuple[int, int]:
        view = self.view
        if not view.short_side:
            return view.width or width, view.height or height
        short = min(width, height)
        # Of a picture like a thread only the middle is cut out: its length is not worth gigabytes.
        long = min(max(width, height), THREAD * short) * view.short_side // short
        return (view.short_side, long) if width < height else (long, view.short_side)

    def _cropped(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self.view.short_side:
            return picture
        top = round((picture.shape[0] - self.view.height) / 2)
        left = round((picture.shape[1] - self.view.width) / 2)
        return picture[top : top + self.view.height, left : left + self.view.width]
