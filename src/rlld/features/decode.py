"""Decoding of a clip as segments of sound and pictures, in flat memory.

Sound and pictures are read through two independent handles of the file, so that nothing has to be
buffered however badly a file interleaves them, and both are placed by their presentation time:
second 5 of the sound is what is heard while the pictures of second 5 are seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.features.container import ClipInfo as ClipInfo
from rlld.features.container import inspect, open_media, usable_track

SLACK = 0.1
"""A rest shorter than this many seconds makes no segment: codecs pad the end of a clip."""

JUMP = 0.1
"""Seconds by which the time stamps of sound may disagree with its samples before they win."""

AUDIO_RATE = 16000
FRAME_RATE = 8.0
FRAME_SIZE = (224, 224)


@dataclass(frozen=True)
class Segment:
    """One segment of a clip.

    Attributes:
        index: Its number from 0; it starts at ``index * segment_seconds``.
        audio: Mono samples (rate * segment_seconds,), float32 in [-1, 1], zero where the track
            is silent or over; None when no part of the segment has sound.
        frames: Pictures (fps * segment_seconds, height, width, 3), uint8 RGB; picture k is the
            one on screen at the middle of the k-th equal part of the segment. None when no part
            of the segment has a picture.
    """

    index: int
    audio: NDArray[np.float32] | None
    frames: NDArray[np.uint8] | None


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

    def segments(
        self,
        segment_seconds: float,
        *,
        rate: int = AUDIO_RATE,
        fps: float = FRAME_RATE,
        size: tuple[int, int] = FRAME_SIZE,
    ) -> Iterator[Segment]:
        """Decodes the clip segment by segment.

        Args:
            segment_seconds: Length of a segment in seconds.
            rate: Samples per second of the sound.
            fps: Pictures per second.
            size: Width and height of the pictures in pixels; they are stretched to it.

        Yields:
            Segments from 0 without gaps, as long as any track lasts. What cannot be decoded is
            left out and noted in ``outcome``.

        Raises:
            RlldError: If nothing at all can be decoded.
        """
        audio = _Track(self.path, self.info, self._origin, "audio")
        video = _Track(self.path, self.info, self._origin, "video")
        self._tracks = [audio, video]
        sounds = audio_segments(audio, segment_seconds, rate) if self.info.has_audio else ()
        frames = max(1, round(fps * segment_seconds))
        pictures: Iterator[NDArray[np.uint8] | None] | tuple[()] = ()
        if self.info.has_video:
            pictures = video_segments(video, segment_seconds, frames, size)
        count = -1
        for count, (sound, picture) in enumerate(zip_longest(sounds, pictures)):
            yield Segment(count, sound, picture)
        if count < 0:
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


def audio_segments(
    track: _Track, segment_seconds: float, rate: int
) -> Iterator[NDArray[np.float32] | None]:
    """Yields the sound of consecutive segments, each (rate * segment_seconds,) or None."""
    length = round(rate * segment_seconds)
    buffer: NDArray[np.float32] = np.zeros(length, np.float32)
    index, filled = 0, False
    for start, samples in _audio_runs(track, rate):
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


def _audio_runs(track: _Track, rate: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yields (position, samples) at ``rate``; a jump of the time stamps starts anew there."""
    from av import AudioResampler

    setup: Any = None
    resampler: Any = None
    position = 0
    expected = 0.0
    for time, frame in track.frames():
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != setup or abs(time - expected) > JUMP:
            if resampler is not None:
                yield from _placed(resampler.resample(None), position)
            setup, expected, position = now, time, round(time * rate)
            resampler = AudioResampler(format="flt", layout="mono", rate=rate)
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
        samples = np.nan_to_num(frame.to_ndarray()[0], posinf=1.0, neginf=-1.0)
        yield position, np.clip(samples, -1.0, 1.0).astype(np.float32)
        position += len(samples)


def video_segments(
    track: _Track, segment_seconds: float, frames: int, size: tuple[int, int]
) -> Iterator[NDArray[np.uint8] | None]:
    """Yields the pictures of consecutive segments, each (frames, height, width, 3) or None."""
    step = segment_seconds / frames
    taken: list[NDArray[np.uint8] | None] = []
    shown = _Picture(None, size)
    index = 0
    for time, frame in track.frames():
        while (index * frames + len(taken) + 0.5) * step < time:
            taken.append(shown.pixels())
            if len(taken) == frames:
                yield _stack(taken)
                taken, index = [], index + 1
        shown = _Picture(frame, size)
    if not track.decoded:
        return
    for _ in range(index, segment_count(track.end, segment_seconds)):
        taken += [shown.pixels()] * (frames - len(taken))
        yield _stack(taken)
        taken = []


class _Picture:
    """A decoded picture, converted when it is first needed and only then."""

    def __init__(self, frame: Any, size: tuple[int, int]) -> None:
        self.frame = frame
        self.size = size
        self.converted: NDArray[np.uint8] | None = None

    def pixels(self) -> NDArray[np.uint8] | None:
        """Returns (height, width, 3) RGB, None before the first picture of a track."""
        if self.converted is None and self.frame is not None:
            width, height = self.size
            self.converted = self.frame.to_ndarray(
                width=width, height=height, format="rgb24", interpolation="AREA"
            )
        return self.converted


def _stack(taken: list[NDArray[np.uint8] | None]) -> NDArray[np.uint8] | None:
    """Stacks pictures; the first one also stands for the time of its segment before it."""
    first = next((picture for picture in taken if picture is not None), None)
    if first is None:
        return None
    return np.stack([first if picture is None else picture for picture in taken])
