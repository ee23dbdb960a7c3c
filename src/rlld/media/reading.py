"""Decoded frames of one track with the second of the clip in which each belongs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from rlld.media.clock import TrackClock, corrected
from rlld.media.container import open_media, ready

Timed = tuple[float, Any]
"""Seconds from the start of the clip, and a frame of FFmpeg."""

JUMP = 0.1
"""Seconds by which the time stamps of sound may disagree with its samples before they win."""


class Track:
    """Decoded frames of one track with their times, damage skipped and counted.

    Args:
        path: The file.
        index: Number of the track in it.
        kind: ``audio`` or ``video``.
        clock: Its clock.

    Attributes:
        end: Seconds from the start of the clip to the end of what was decoded so far.
        damaged: Packets that could not be decoded, or not wholly.
        decoded: Frames so far.
        pixel_shape: Width of a pixel over its height, known once it is read.
    """

    def __init__(self, path: Path, index: int, kind: str, clock: TrackClock) -> None:
        self.path = path
        self.kind = kind
        self.clock = clock
        self.end = 0.0
        self.damaged = 0
        self.decoded = 0
        self.pixel_shape = Fraction(1)
        self._index = index
        self._base = 1.0
        self._next = 0.0
        self._shown = 0.0
        self._stamps = _Stamps()

    def afresh(self) -> Track:
        """Returns another reader of the same track, which has read nothing yet."""
        return Track(self.path, self._index, self.kind, self.clock)

    def frames(self) -> Iterator[Timed]:
        """Yields (seconds, frame) in the order of presentation.

        A missing, absurd (outside the clip) or repeated time stamp is replaced by the end of the
        frame before.
        """
        with open_media(self.path) as container:
            yield from self._from_here(container, self.prepare(container))

    def frames_from(self, starts: Iterable[float]) -> Iterator[Iterator[Timed]]:
        """Yields for each time the frames from shortly before it on, reading none before those.

        Only where time stamps go on through the whole file, as ``Clock.plain`` says.

        Args:
            starts: Seconds, in ascending order.
        """
        with open_media(self.path) as container:
            stream = self.prepare(container)
            for start in starts:
                stamp = max(0.0, start) - self.clock.shifts[0]
                container.seek(round(stamp / self._base), stream=stream)
                self._next = start
                yield self._from_here(container, stream)

    def prepare(self, container: Any) -> Any:
        """Returns the stream of the track in an open file, ready to be decoded."""
        stream = container.streams[self._index]
        ready(stream)
        if stream.type == "video":
            self.pixel_shape = stream.sample_aspect_ratio or Fraction(1)
        self._base = float(stream.time_base)
        return stream

    def _from_here(self, container: Any, stream: Any) -> Iterator[Timed]:
        from av.error import FFmpegError

        packets = corrected(container, stream, self.clock)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except FFmpegError:
                self.damaged += 1
                break
            yield from self.frames_of(stream, packet)
        yield from self.frames_of(stream, None)

    def frames_of(self, stream: Any, packet: Any) -> Iterator[Timed]:
        """Yields what a packet holds, or what the decoder still does when it is None."""
        from av.error import FFmpegError

        try:
            frames = stream.codec_context.decode(packet)
        except (FFmpegError, ValueError):
            self.damaged += packet is not None
            return
        for frame in frames:
            self.damaged += bool(getattr(frame, "is_corrupt", False))
            yield self._timed(frame), frame

    def _timed(self, frame: Any) -> float:
        ticks = self._stamps.of(frame)
        time = self._next if ticks is None else ticks * self._base
        if not -1.0 <= time <= self.clock.end + 1.0:
            time = self._next
        if self.kind == "audio":
            length = frame.samples / frame.sample_rate
            if abs(time - self._next) <= JUMP and self.decoded:
                time = self._next  # samples are the finer clock
        else:
            time = self._shown = max(time, self._shown)
            length = self._length(frame, time)
        self._next = time + length
        self.end = max(self.end, self._next)
        self.decoded += 1
        return time

    def _length(self, frame: Any, time: float) -> float:
        """Returns how long a picture is shown, within what the packets promise."""
        length = (frame.duration or 0) * self._base
        return min(length, max(self.clock.end - time, 0.0)) or self.clock.picture

    def notes(self) -> list[str]:
        """Returns what went wrong, as notes for the reader."""
        if not self.decoded:
            return [f"the {self.kind} track could not be decoded"]
        if self.damaged:
            return [f"{self.damaged} damaged packets of the {self.kind} track were skipped"]
        return []


class _Stamps:
    """Chooses between the two time stamps of a frame, as FFmpeg's programs do.

    That of presentation is wrong where a container (AVI) knows only the order of decoding; then
    it is the one that goes back more often.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._faults = {"pts": 0, "dts": 0}
        self._taken: int | None = None

    def of(self, frame: Any) -> int | None:
        """Returns the time stamp of a frame in ticks, None when it has none or repeats it."""
        stamps = {"pts": frame.pts, "dts": frame.dts}
        for name, ticks in stamps.items():
            if ticks is not None:
                self._faults[name] += ticks <= self._last.get(name, ticks - 1)
                self._last[name] = ticks
        right = self._faults["pts"] <= self._faults["dts"] or frame.dts is None
        ticks = frame.pts if right and frame.pts is not None else frame.dts
        repeated = ticks == self._taken
        self._taken = ticks
        return None if repeated else ticks
