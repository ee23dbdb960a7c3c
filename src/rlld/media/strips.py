"""What a time range of a clip looks like at a glance: waveform, spectrogram, film strip.

Only the range is decoded where the time stamps of the clip allow it, and it is never held whole:
three hours take no more memory than ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.media.decode import Clip
from rlld.media.pictures import Pixels, Scaler, quarter_turns
from rlld.media.reading import Timed, Track
from rlld.media.sound import Mono, Samples
from rlld.media.views import Pictures

RATE = 16_000
"""Samples per second of the sound that is drawn."""

LEAD = 0.5
"""Seconds that are decoded before a range: the first frames after a jump may be distorted."""

BLOCK = 1 << 16
"""Samples that are held at once, or little more."""

WINDOW = 1024
"""Samples of a window of the spectrogram, 64 ms."""

TOGETHER = 64
"""Windows that are transformed at once."""

LOUDEST, QUIETEST = -10.0, -90.0
"""Decibels below full scale that are drawn white and black."""

SQUEEZED = 8
"""Ratio of the sides up to which a picture of a film strip keeps its shape."""
WIDEST = 65_500
"""Pixels of the widest JPEG picture."""

JUMP = 2.0
"""Seconds ahead from which jumping is quicker than decoding on."""

Watch = Callable[[], None]
"""Called now and then in long work, which it ends by an error."""


def unwatched() -> None:
    """Lets work go on to its end."""


def peaks(
    clip: Clip, start: float, end: float, count: int, watch: Watch = unwatched
) -> NDArray[np.int8] | None:
    """Returns the waveform of a range.

    Args:
        clip: The clip.
        start: Seconds at which the range begins.
        end: Seconds at which it ends; beyond the sound there is silence.
        count: Bins into which it is cut evenly, at most one per sample at ``RATE``.
        watch: What may end the work.

    Returns:
        Least and largest sample of each bin (count, 2), 127 at full scale; None without sound.

    Raises:
        RlldError: If the range is empty or the count is not possible.
    """
    edges = _edges(clip, start, end, count)
    sound = _Sound.of(clip, start)
    if sound is None:
        return None
    low = np.full(count, np.inf, np.float32)
    high = np.full(count, -np.inf, np.float32)
    for at in range(edges[0], edges[-1], BLOCK):
        watch()
        block = sound.read(at, min(at + BLOCK, int(edges[-1])))
        first = int(np.searchsorted(edges, at, "right")) - 1
        last = int(np.searchsorted(edges, at + len(block), "left"))
        begins = np.maximum(edges[first:last], at) - at
        low[first:last] = np.minimum(low[first:last], np.minimum.reduceat(block, begins))
        high[first:last] = np.maximum(high[first:last], np.maximum.reduceat(block, begins))
    return np.rint(127 * np.stack([low, high], 1)).astype(np.int8)


def thinned(fine: NDArray[np.int8], first: int, last: int, count: int) -> NDArray[np.int8]:
    """Returns a part of a waveform in fewer bins.

    Args:
        fine: Least and largest sample of each bin (n, 2).
        first: Bin at which the part begins.
        last: The one behind it; beyond the waveform there is silence.
        count: Bins wanted, at most ``last - first``.

    Returns:
        Least and largest sample of each (count, 2).
    """
    part = np.zeros((last - first, 2), np.int8)
    known = fine[first:last]
    part[: len(known)] = known
    begins = len(part) * np.arange(count) // count
    low, high = np.minimum.reduceat(part[:, 0], begins), np.maximum.reduceat(part[:, 1], begins)
    return np.stack([low, high], 1)


def spectrogram(
    clip: Clip, start: float, end: float, width: int, height: int, watch: Watch = unwatched
) -> bytes | None:
    """Returns the log-mel spectrogram of a range as a picture.

    Args:
        clip: The clip.
        start: Seconds at which the range begins.
        end: Seconds at which it ends.
        width: Columns; each shows the mean power of its part of the range.
        height: Rows, bands of equal width in mel from ``RATE / 2`` at the top to 0 Hz.
        watch: What may end the work.

    Returns:
        A PNG of 8-bit grey, from black at ``QUIETEST`` to white at ``LOUDEST``; None without sound.

    Raises:
        RlldError: If the range is empty or the size is not possible.
    """
    _edges(clip, start, end, width)
    sound = _Sound.of(clip, start - WINDOW / RATE)
    if sound is None:
        return None
    column = (end - start) * RATE / width
    each = max(1, round(column / WINDOW))
    begins = np.rint(start * RATE + (np.arange(width * each) + 0.5) * column / each)
    begins = begins.astype(np.int64) - WINDOW // 2
    bands = _bands(height)
    total = np.zeros((width, height))
    taper = np.hanning(WINDOW).astype(np.float32)
    for at in range(0, len(begins), TOGETHER):
        watch()
        group = begins[at : at + TOGETHER]
        block = sound.read(int(group[0]), int(group[-1]) + WINDOW)
        windows = block[(group - group[0])[:, None] + np.arange(WINDOW)]
        power = np.abs(np.fft.rfft(windows * taper)) ** 2 / (taper.sum() / 2) ** 2
        np.add.at(total, np.arange(at, at + len(group)) // each, power @ bands)
    level = (10 * np.log10(total / each + 1e-12) - QUIETEST) / (LOUDEST - QUIETEST)
    grey = np.rint(255 * np.clip(level, 0, 1)).astype(np.uint8)
    return _encoded(np.ascontiguousarray(grey.T[::-1]), "png")


def strip(clip: Clip, start: float, end: float, count: int, height: int) -> bytes | None:
    """Returns pictures of a range, side by side.

    Picture k is what is seen as the k-th part of the range begins, or the first one after that. In
    parts longer than ``JUMP`` it is the last picture up to the middle that can be decoded without
    those before it, if one comes after the beginning.

    Args:
        clip: The clip.
        start: Seconds at which the range begins.
        end: Seconds at which it ends.
        count: Parts into which it is cut evenly.
        height: Of a picture, in pixels; its width keeps the shape that the clip has.

    Returns:
        A JPEG of ``count`` pictures of equal size, black where there is none; None without any.

    Raises:
        RlldError: If the range is empty or the size is not possible.
    """
    _edges(clip, start, end, count)
    shown = _pictures(clip, start, end, count, height)
    if shown is None:
        return None
    first = next((picture for picture in shown if picture is not None), None)
    if first is None:
        return None
    blank = np.zeros_like(first)
    row = np.concatenate([blank if picture is None else picture for picture in shown], 1)
    return _encoded(row, "mjpeg")


def _edges(clip: Clip, start: float, end: float, count: int) -> NDArray[np.int64]:
    """Returns the samples at which the parts of a range begin, and that behind the last."""
    first, last = round(start * RATE), round(end * RATE)
    if not 0 <= first < last:
        raise RlldError(
            f"{clip.path}: range: found {start:g} to {end:g} s, expected a start of 0 or more and "
            "an end behind it"
        )
    if not 1 <= count <= last - first:
        raise RlldError(
            f"{clip.path}: found a picture of {end - start:g} s in {count} parts, expected 1 to "
            f"{last - first}"
        )
    return first + (last - first) * np.arange(count + 1, dtype=np.int64) // count


# --- sound ----------------------------------------------------------------------------------


class _Sound:
    """Sound that is read in ascending pieces.

    Args:
        pieces: (position, samples) in ascending order.
    """

    def __init__(self, pieces: Iterator[tuple[int, Samples]]) -> None:
        self._pieces = pieces
        self._held: list[tuple[int, Samples]] = []
        self._reached = -1

    @classmethod
    def of(cls, clip: Clip, start: float) -> _Sound | None:
        """Returns the sound of a clip from a time on, None when it has none."""
        track = clip.track("audio")
        if track is None:
            return None
        if clip.clock.plain and start > LEAD:
            return cls(_mono(_from(track, start - LEAD)))
        return cls(_mono(track.frames()))

    def read(self, low: int, high: int) -> Samples:
        """Returns samples low to high, zero where there is no sound.

        Args:
            low: Not before that of the call before.
            high: Behind the last one.
        """
        while self._reached < high and (piece := next(self._pieces, None)) is not None:
            self._held.append(piece)
            self._reached = piece[0] + len(piece[1])
        self._held = [piece for piece in self._held if piece[0] + len(piece[1]) > low]
        block = np.zeros(high - low, np.float32)
        for position, samples in self._held:
            first, last = max(position, low), min(position + len(samples), high)
            if first < last:
                block[first - low : last - low] = samples[first - position : last - position]
        return block


def _from(track: Track, start: float) -> Iterator[Timed]:
    for frames in track.frames_from([start]):
        yield from frames


def _mono(frames: Iterator[Timed]) -> Iterator[tuple[int, Samples]]:
    mono = Mono(RATE)
    for time, frame in frames:
        yield from mono.push(time, frame)
    yield from mono.finish()


def _bands(height: int) -> NDArray[np.float64]:
    """Returns triangles over frequency (WINDOW / 2 + 1, height), none narrower than a bin."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), height + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    bins = hertz * WINDOW / RATE
    below = np.maximum(bins[1:-1] - bins[:-2], 1)
    above = np.maximum(bins[2:] - bins[1:-1], 1)
    distance = np.arange(WINDOW // 2 + 1)[:, None] - bins[1:-1]
    near: NDArray[np.float64] = 1 - np.maximum(distance / above, -distance / below)
    return np.maximum(near, 0.0)


# --- pictures -------------------------------------------------------------------------------


def _pictures(
    clip: Clip, start: float, end: float, count: int, height: int
) -> list[Pixels | None] | None:
    track = clip.track("video")
    if track is None:
        return None
    part = (end - start) / count
    starts = [start + number * part for number in range(count)]
    jumps = clip.clock.plain and (start > JUMP or part > JUMP)
    scaler: Scaler | None = None
    shown: list[Pixels | None] = []
    for frame in _jumping(track, starts, part) if jumps else _passing(track.frames(), starts):
        if frame is None:
            shown.append(None)
            continue
        scaler = scaler or _scaler(clip, frame, count, height)
        shown.append(scaler.scaled(frame))
    return shown


def _jumping(track: Track, starts: list[float], part: float) -> Iterator[Any]:
    """Yields the frame of each part, jumping to the whole picture before the middle of it."""
    if part <= JUMP:
        yield from _passing(_from(track, starts[0]), starts)
        return
    middles = (start + part / 2 for start in starts)
    for start, frames in zip(starts, track.frames_from(middles), strict=False):
        yield next(_passing(frames, [start]))


def _passing(frames: Iterator[Timed], starts: list[float]) -> Iterator[Any]:
    """Yields the frame that is shown at each time, or the first one after it; decodes no more."""
    shown: Any = None
    upcoming = next(frames, None)
    for start in starts:
        while upcoming is not None and (shown is None or upcoming[0] <= start + 1e-6):
            shown = upcoming[1]
            upcoming = next(frames, None)
        yield shown


def _scaler(clip: Clip, frame: Any, count: int, height: int) -> Scaler:
    turned = quarter_turns(frame) % 2
    wide, high = (frame.height, frame.width) if turned else (frame.width, frame.height)
    # A picture like a thread is squeezed: nobody sees more of it.
    width = min(max(1, round(height * wide / high)), SQUEEZED * height)
    if not 1 <= count * width <= WIDEST:
        raise RlldError(
            f"{clip.path}: a film strip of {count} pictures of {width} x {height} pixels is wider "
            f"than {WIDEST}; ask for fewer or smaller ones"
        )
    return Scaler(Pictures(1.0, width, height))


def _encoded(picture: Pixels, codec: str) -> bytes:
    """Returns a picture (height, width) or (height, width, 3) as a file."""
    import av

    frame = av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "rgb24")
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.time_base = frame.width, frame.height, Fraction(1, 25)
    encoder.pix_fmt, encoder.thread_count = "gray", 1
    if codec == "mjpeg":
        encoder.pix_fmt, encoder.qmin, encoder.qmax = "yuvj420p", 4, 4
        frame = frame.reformat(format="yuvj420p")
    frame.pts, frame.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
