"""Decoding of a clip as segments of sound and pictures, in flat memory.

Sound and pictures are read through two independent handles of the file, so that nothing has to be
buffered however badly a file interleaves them, and both are placed by their presentation time:
second 5 of the sound is what is heard while the pictures of second 5 are seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import tee, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.features.container import ClipInfo as ClipInfo
from rlld.features.container import inspect, open_media, usable_track
from rlld.features.views import Pictures, Segment, Sound, View

Timed = tuple[float, Any]
"""Seconds from the start of the clip, and a frame of FFmpeg."""

SLACK = 0.1
"""A rest shorter than this many seconds makes no segment: codecs pad the end of a clip."""

JUMP = 0.1
"""Seconds by which the time stamps of sound may disagree with its samples before they win."""


def segment_count(duration: float, segment_seconds: float) -> int:
    """Returns the segments of a clip: the last one may be partial, a tiny rest makes none."""
    rest = min(SLACK, segment_seconds / 2)
    return max(1, math.ceil((duration - rest) / segment_seconds))


def probe(path: Path | str) -> ClipInfo:
    """Reads what the header of a clip says.

    Raises:
        RlldError: If the file is missing, empty, damaged, or holds neither sound nor pictures.
    """
    return Clip(path).info


class Clip:
    """A clip to be decoded.

    Attributes:
        info: What its header says.

    Raises:
        RlldError: If the file is missing, empty, damaged, or holds neither sound nor pictures.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with open_media(self.path) as container:
            self.info, self._origin = inspect(container, self.path)
        self._tracks: list[_Track] = []

    def segments(self, segment_seconds: float, views: Sequence[View]) -> Iterator[Segment]:
        """Decodes the clip segment by segment, each track once.

        Args:
            segment_seconds: Length of a segment in seconds.
            views: What is wanted of each segment.

        Yields:
            Segments from 0 without gaps, as long as any track lasts. What cannot be decoded is left
            out and noted in ``outcome``.

        Raises:
            RlldError: If nothing at all can be decoded.
        """
        self._tracks = [
            _Track(self.path, self.info, self._origin, kind)
            for kind, present in (("audio", self.info.has_audio), ("video", self.info.has_video))
            if present
        ]
        parts = {
            view: part
            for track in self._tracks
            for view, part in _parts(track, segment_seconds, views).items()
        }
        count = 0
        for row in zip_longest(*parts.values()):
            shown = dict(zip(parts, row, strict=True))
            yield Segment(count, {view: shown.get(view) for view in views})
            count += 1
        if not all(track.used for track in self._tracks):
            # The clip lasts as long as the track that nobody wanted to see.
            for index in range(count, segment_count(self.info.duration, segment_seconds)):
                yield Segment(index, dict.fromkeys(views))
            return
        if not count:
            raise RlldError(
                f"{self.path}: neither sound nor picture could be decoded; the file is damaged, "
                "get it again"
            )

    def outcome(self) -> ClipInfo:
        """Returns what is known once ``segments`` has ended: decoded length and notes."""
        notes = list(self.info.notes)
        for track in self._tracks:
            notes += track.notes()
        end = max((track.end for track in self._tracks), default=0.0)
        if not all(track.used for track in self._tracks):
            end = max(end, self.info.duration)
        if end < self.info.duration - 0.5:
            notes.append(
                f"ends after {end:.1f} s although its header says {self.info.duration:.1f} s: "
                "damaged or cut off"
            )
        return replace(self.info, duration=end, notes=tuple(notes))


class _Track:
    """Decoded frames of one track with their times, damage skipped and counted.

    Attributes:
        end: Seconds from the start of the clip to the end of what was decoded so far.
    """

    def __init__(self, path: Path, info: ClipInfo, origin: float, kind: str) -> None:
        self.path = path
        self.kind = kind
        self.origin = origin
        self.limit = info.duration + 1.0
        self.end = 0.0
        self.damaged = 0
        self.decoded = 0
        self.used = False

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yields (seconds, frame) in the order of presentation.

        A missing or absurd time stamp (outside the clip) is replaced by the end of the last frame.
        """
        from av.error import FFmpegError

        self.used = True
        with open_media(self.path) as container:
            stream = usable_track(container, self.kind)
            stream.codec_context.thread_count = 1
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    return
                except FFmpegError:
                    self.damaged += 1
                    return
                try:
                    frames = packet.decode()
                except FFmpegError:
                    self.damaged += 1
                    continue
                for frame in frames:
                    self.damaged += bool(getattr(frame, "is_corrupt", False))
                    yield self._timed(frame, stream)

    def _timed(self, frame: Any, stream: Any) -> tuple[float, Any]:
        time = self.end if frame.time is None else frame.time - self.origin
        if not -1.0 <= time <= self.limit:
            time = self.end
        if self.kind == "audio":
            length = frame.samples / frame.sample_rate
        else:
            rate = stream.average_rate or stream.guessed_rate or 25
            length = float(1 / rate)
            if frame.duration and frame.time_base:
                length = min(float(frame.duration * frame.time_base), max(0.0, self.limit - time))
        self.end = max(self.end, time + length)
        self.decoded += 1
        return time, frame

    def notes(self) -> list[str]:
        """Returns what went wrong, as notes for the reader."""
        if not self.used:
            return []
        if not self.decoded:
            return [f"the {self.kind} track could not be decoded"]
        if self.damaged:
            return [f"{self.damaged} damaged packets of the {self.kind} track were skipped"]
        return []


def _parts(
    track: _Track, segment_seconds: float, views: Sequence[View]
) -> dict[View, Iterator[NDArray[Any] | None]]:
    """Returns what each view shows of consecutive segments; the track is decoded once for all."""
    wanted = [
        view for view in views if isinstance(view, Sound if track.kind == "audio" else Pictures)
    ]
    # The copies of the frames are read in step, so that few are held at a time.
    copies = tee(track.frames(), len(wanted))
    return {
        view: audio_segments(track, frames, segment_seconds, view.rate)
        if isinstance(view, Sound)
        else video_segments(track, frames, segment_seconds, view)
        for view, frames in zip(wanted, copies, strict=True)
    }


def audio_segments(
    track: _Track, frames: Iterator[Timed], segment_seconds: float, rate: int
) -> Iterator[NDArray[np.float32] | None]:
    """Yields the sound of consecutive segments, each (rate * segment_seconds,) or None."""
    length = round(rate * segment_seconds)
    buffer: NDArray[np.float32] = np.zeros(length, np.float32)
    index, filled = 0, False
    for start, samples in _audio_runs(frames, rate):
        position, rest = start, samples
        while len(rest):
            low = round(index * rate * segment_seconds)
            if position < low:
                rest, position = rest[low - position :], low
                continue
            if position >= low + length:
                yield buffer if filled else None
                buffer, filled = np.zeros(length, np.float32), False
                index += 1
                continue
            part = rest[: low + length - position]
            buffer[position - low : position - low + len(part)] = part
            filled = True
            rest, position = rest[len(part) :], position + len(part)
    if filled and index < segment_count(track.end, segment_seconds):
        yield buffer


def _audio_runs(frames: Iterator[Timed], rate: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yields (position, samples) at ``rate``; a jump of the time stamps starts anew there."""
    from av import AudioResampler

    setup: Any = None
    resampler: Any = None
    position = 0
    expected = 0.0
    for time, frame in frames:
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != setup or abs(time - expected) > JUMP:
            if resampler is not None:
                yield from _placed(resampler.resample(None), position)
            setup, expected, position = now, time, round(time * rate)
            resampler = AudioResampler(format="fltp", rate=rate)
        expected += frame.samples / frame.sample_rate
        frame.pts = None
        for piece in _placed(resampler.resample(frame), position):
            position = piece[0] + len(piece[1])
            yield piece
    if resampler is not None:
        yield from _placed(resampler.resample(None), position)


def _placed(frames: list[Any], position: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for frame in frames:
        # Broken float codecs deliver NaN and values far outside [-1, 1].
        channels = np.nan_to_num(frame.to_ndarray(), posinf=1.0, neginf=-1.0)
        # The mean of the channels: FFmpeg's own way to mono, in floats, is up to 3 dB louder.
        samples = np.clip(channels, -1.0, 1.0).mean(0, dtype=np.float32)
        yield position, samples
        position += len(samples)


def video_segments(
    track: _Track, frames: Iterator[Timed], segment_seconds: float, view: Pictures
) -> Iterator[NDArray[np.uint8] | None]:
    """Yields the pictures of consecutive segments, each (n, height, width, 3) or None."""
    grid = _Grid(segment_seconds, view)
    shown = _Picture(None, grid.scaler)
    for time, frame in frames:
        while grid.next_time < time:
            if (taken := grid.take(shown)) is not None:
                yield _stack(taken)
        shown = _Picture(frame, grid.scaler)
    if not track.decoded:
        return
    while grid.index < segment_count(track.end, segment_seconds):
        if (taken := grid.take(shown)) is not None:
            yield _stack(taken)


class _Grid:
    """Times at which pictures are taken, segment by segment.

    Attributes:
        index: Segment that is being filled.
        next_time: Time of the next picture in seconds.
        scaler: What makes the pictures.
    """

    def __init__(self, segment_seconds: float, view: Pictures) -> None:
        self.index = 0
        self.scaler = Scaler(view)
        self._picks = view.picks
        self._count = view.count(segment_seconds)
        self._step = segment_seconds / self._count
        self._number = 0
        self._taken: list[NDArray[np.uint8] | None] = []

    @property
    def next_time(self) -> float:
        return (self.index * self._count + self._number + 0.5) * self._step

    def take(self, shown: _Picture) -> list[NDArray[np.uint8] | None] | None:
        """Takes what is shown, if it is wanted; returns the pictures of a segment that is full."""
        if not self._picks or self._wanted() == self._number:
            self._taken.append(shown.pixels())
        self._number += 1
        if self._number < self._count:
            return None
        taken = self._taken
        self._number, self._taken, self.index = 0, [], self.index + 1
        return taken

    def _wanted(self) -> int:
        return min(self._picks[self.index % len(self._picks)], self._count - 1)


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
        turns = round(frame.rotation / 90) % 4
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
        return width * view.short_side // short, height * view.short_side // short

    def _cropped(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self.view.short_side:
            return picture
        top = round((picture.shape[0] - self.view.height) / 2)
        left = round((picture.shape[1] - self.view.width) / 2)
        return picture[top : top + self.view.height, left : left + self.view.width]


class _Picture:
    """A decoded picture, converted when it is first needed and only then."""

    def __init__(self, frame: Any, scaler: Scaler) -> None:
        self.frame = frame
        self.scaler = scaler
        self.converted: NDArray[np.uint8] | None = None

    def pixels(self) -> NDArray[np.uint8] | None:
        """Returns (height, width, 3) RGB, None before the first picture of a track."""
        if self.converted is None and self.frame is not None:
            self.converted = self.scaler.scaled(self.frame)
        return self.converted


def _stack(taken: list[NDArray[np.uint8] | None]) -> NDArray[np.uint8] | None:
    """Stacks pictures; the first one also stands for the time of its segment before it."""
    first = next((picture for picture in taken if picture is not None), None)
    if first is None:
        return None
    return np.stack([first if picture is None else picture for picture in taken])
