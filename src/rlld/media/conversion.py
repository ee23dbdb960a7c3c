"""A clip converted so that browsers play it, by the clock of its parse."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.media.decode import Clip
from rlld.media.pictures import quarter_turns
from rlld.media.reading import Track
from rlld.media.sound import Mix, Resampled
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.utils.console import progress

if TYPE_CHECKING:
    from av.container import OutputContainer

SOUND_RATE = 48_000
CLOCK = Fraction(1, 90_000)

LARGEST, SMALLEST = 1920, 16
"""Sides of the pictures of a page in pixels: more is not seen there, less is not encoded."""


def convert(clip: Path, target: Path, tracks: TrackChoice = AS_PLAYED) -> None:
    """Converts a clip to H.264 and AAC in an mp4, frame by frame.

    It begins at 0 and every frame has the time that it has in a parse.

    Args:
        clip: The media file.
        target: The file to write.
        tracks: Which of several tracks are converted; those of a player when not given.

    Raises:
        RlldError: If nothing of it can be decoded, or it cannot be encoded.
    """
    import av

    source = Clip(clip, tracks)
    read = [track for kind in ("video", "audio") if (track := source.track(kind)) is not None]
    try:
        with av.open(str(target), "w", format="mp4") as out:
            _encode(source, read, out)
    except av.error.FFmpegError as error:
        raise RlldError(
            f"{clip}: cannot be converted for a page ({error}); give another format than html, or "
            "convert it to mp4 yourself"
        ) from None
    if not any(track.decoded for track in read):
        raise RlldError(
            f"{clip}: neither sound nor picture could be decoded; the file is damaged, get it again"
        )


def _encode(source: Clip, read: list[Track], out: OutputContainer) -> None:
    encoders: list[_Picture | _Sound] = [
        _Picture(source, track, out) if track.kind == "video" else _Sound(out) for track in read
    ]
    # Each track is read by itself, so that the later one of two never waits in memory.
    timed = [_numbered(number, track) for number, track in enumerate(read)]
    with progress(f"converting {source.path.name}", int(source.info.duration) or None) as tick:
        done = 0
        for time, number, frame in heapq.merge(*timed, key=lambda item: item[0]):
            out.mux(encoders[number].encode(time, frame))
            tick(max(0, int(time) - done))
            done = max(done, int(time))
    for encoder, track in zip(encoders, read, strict=True):
        if track.decoded:
            out.mux(encoder.flush())


def _numbered(number: int, track: Track) -> Iterator[tuple[float, int, Any]]:
    for time, frame in track.frames():
        yield time, number, frame


class _Picture:
    def __init__(self, source: Clip, track: Track, out: OutputContainer) -> None:
        begun = track.afresh()
        first = next((frame for _, frame in begun.frames()), None)
        self._turns = 0 if first is None else quarter_turns(first)
        self._stored = _size(source.info.width, source.info.height)
        self.width, self.height = self._stored[:: -1 if self._turns % 2 else 1]
        rate = Fraction(1 / track.clock.picture).limit_denominator(1001)
        self.stream: Any = out.add_stream("libx264", rate=rate)
        self.stream.width, self.stream.height = self.width, self.height
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = CLOCK
        shape = begun.pixel_shape
        self.stream.codec_context.sample_aspect_ratio = 1 / shape if self._turns % 2 else shape
        self.stream.codec_context.options = {"preset": "veryfast", "crf": "23"}
        self._next = 0

    def encode(self, time: float, frame: Any) -> Any:
        if self._turns:
            frame = self._turned(frame)
        same = (frame.width, frame.height, frame.format.name)
        if same != (self.width, self.height, "yuv420p"):
            frame = frame.reformat(self.width, self.height, "yuv420p")
        frame.pts, frame.time_base = max(self._next, round(time / CLOCK)), CLOCK
        frame.pict_type = 0
        self._next = frame.pts + 1
        return self.stream.encode(frame)

    def _turned(self, frame: Any) -> Any:
        """Returns a picture upright: phones store how they were held."""
        from av import VideoFrame

        pixels = frame.reformat(*self._stored, "rgb24").to_ndarray()
        return VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, self._turns)), "rgb24")

    def flush(self) -> Any:
        return self.stream.encode(None)


def _size(width: int, height: int) -> tuple[int, int]:
    """Returns even sides as near to those of the clip as browsers and encoder like them."""
    scale = min(1.0, LARGEST / max(width, height, 1))
    wide, high = (max(SMALLEST, int(side * scale) // 2 * 2) for side in (width, height))
    return wide, high


class _Sound:
    """Stereo sound without gaps: where there is none it is silent."""

    def __init__(self, out: OutputContainer) -> None:
        self.stream: Any = out.add_stream("aac", rate=SOUND_RATE)
        self.stream.layout = "stereo"
        self._resampled = Resampled(SOUND_RATE)
        self._mixes: dict[str, Mix] = {}
        self._position = 0

    def encode(self, time: float, frame: Any) -> Any:
        pieces = self._resampled.push(time, frame)
        return [packet for piece in pieces for packet in self._placed(*piece)]

    def flush(self) -> Any:
        pieces = self._resampled.finish()
        return [
            *(packet for piece in pieces for packet in self._placed(*piece)),
            *self.stream.encode(None),
        ]

    def _placed(self, position: int, piece: Any) -> Iterator[Any]:
        name = piece.layout.name
        if name not in self._mixes:
            self._mixes[name] = Mix(piece.layout)
        while position > self._position:
            silent = min(position - self._position, SOUND_RATE)
            yield from self._encoded(np.zeros((2, silent), np.float32))
        yield from self._encoded(self._mixes[name].stereo(piece)[:, self._position - position :])

    def _encoded(self, sides: NDArray[np.float32]) -> Iterator[Any]:
        from av import AudioFrame

        if not sides.shape[1]:
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(sides), format="fltp", layout="stereo")
        frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        frame.pts = self._position
        self._position += sides.shape[1]
        yield from self.stream.encode(frame)
