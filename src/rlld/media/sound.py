"""Sound of a clip: channels mixed down, resampled, cut into segments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.media.views import Row, Sound

Samples = NDArray[np.float32]

HALF_POWER = math.sqrt(0.5)

USUAL = {5: "5.0", 6: "5.1", 8: "7.1"}
"""Layouts that players assume when a file says only how many channels there are."""

FRONT = {"FL", "FR", "FLC", "FRC", "WL", "WR", "DL", "DR"}
"""Channels that are heard in front of the listener, left or right."""

LOUD = 1e-4
"""Mean power of channels from which it matters that their mix is silent: -40 dB."""

CANCELLED = 1e-3
"""Share of the channels' power below which their mix is silent."""


class Mix:
    """The downmix of a layout to left and right, after ITU-R BS.775.

    Centre and surround channels are added at -3 dB, a single surround channel at -6 dB to both
    sides, the low-frequency channel is left out; then all is divided so that nothing can clip.
    One channel is both sides, two are left and right as they are. Many channels of which nothing
    is known, as of microphones, are averaged; of ambisonic ones the first is what is heard all
    around.

    Args:
        layout: Channel layout of PyAV.

    Attributes:
        loud: Seconds in which the channels were loud.
        cancelled: Those of them in which their mix was silent.
    """

    def __init__(self, layout: Any) -> None:
        self.loud = 0.0
        self.cancelled = 0.0
        self._sides = _sides(layout)
        self._heard = self._sides.any(0)

    def stereo(self, frame: Any) -> Samples:
        """Returns left and right (2, n) of a frame of packed floats."""
        sides: Samples = np.matmul(self._sides, _channels(frame))
        return sides

    def mono(self, frame: Any) -> Samples:
        """Returns the mean of left and right (n,) of a frame of packed floats."""
        channels = _channels(frame)
        mixed: Samples
        if len(channels) <= 2:
            # The mean of the channels: FFmpeg's own way to mono, in floats, is up to 3 dB louder.
            mixed = channels.mean(0, dtype=np.float32)
        else:
            mixed = np.matmul(self._sides.mean(0), channels)
        if len(channels) > 1:
            self._compare(channels, mixed, len(mixed) / frame.sample_rate)
        return mixed

    def _compare(self, channels: Samples, mixed: Samples, seconds: float) -> None:
        heard = channels if self._heard.all() else channels[self._heard]
        power = float(np.vdot(heard, heard)) / max(1, heard.size)
        if power > LOUD:
            self.loud += seconds
            if float(np.vdot(mixed, mixed)) / max(1, mixed.size) < CANCELLED * power:
                self.cancelled += seconds


def _channels(frame: Any) -> Samples:
    """Returns the channels (C, n) of packed floats, in [-1, 1].

    Planes are never asked for: of more than eight of them PyAV reads beyond what there is.
    """
    packed = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
    # Sums over channels are several times faster where each lies in one piece.
    apart: Samples = np.ascontiguousarray(packed.T)
    # Broken float codecs deliver NaN and values far outside [-1, 1].
    clipped: Samples = np.clip(np.nan_to_num(apart, copy=False, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    return clipped


def _sides(layout: Any) -> NDArray[np.float32]:
    """Returns the weights of the channels on left and right (2, C)."""
    from av import AudioLayout

    count = layout.nb_channels
    if count == 1:
        return np.ones((2, 1), np.float32)
    if count == 2:
        return np.eye(2, dtype=np.float32)
    names = [channel.name for channel in layout.channels]
    if "NONE" in names and count in USUAL:
        names = [channel.name for channel in AudioLayout(USUAL[count]).channels]
    weights = np.array([_weights(name) for name in names]).T
    most = weights.sum(1).max()
    if "NONE" in names or not most:
        return np.full((2, count), 1 / count, np.float32)
    return np.asarray(weights / most, np.float32)


def _weights(name: str) -> tuple[float, float]:
    """Returns the weights of a channel by the name that FFmpeg gives it."""
    if name in ("FC", "AMBI0"):
        return (HALF_POWER, HALF_POWER)
    if name.startswith(("LFE", "AMBI", "UNSD", "NONE")):
        return (0.0, 0.0)
    weight = 1.0 if name in FRONT else HALF_POWER
    if name.endswith("L"):
        return (weight, 0.0)
    if name.endswith("R"):
        return (0.0, weight)
    return (0.5, 0.5)


class Resampled:
    """Sound at another rate, in packed floats of the layout it has, placed in time.

    Args:
        rate: Samples per second.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._setup: Any = None
        self._resampler: Any = None
        self._expected = 0.0
        self._position = 0

    def push(self, time: float, frame: Any) -> Iterator[tuple[int, Any]]:
        """Yields (position, frame) of what a frame gives; a jump in time starts anew there."""
        from av import AudioResampler

        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != self._setup or abs(time - self._expected) > 1e-6:
            yield from self.finish()
            self._setup, self._expected = now, time
            self._position = round(time * self.rate)
            self._resampler = AudioResampler(format="flt", rate=self.rate)
        self._expected = time + frame.samples / frame.sample_rate
        frame.pts = None
        yield from self._placed(self._resampler.resample(frame))

    def finish(self) -> Iterator[tuple[int, Any]]:
        """Yields what the resampler still holds."""
        if self._resampler is not None:
            yield from self._placed(self._resampler.resample(None))
            self._resampler = None
            self._setup = None

    def _placed(self, frames: list[Any]) -> Iterator[tuple[int, Any]]:
        for frame in frames:
            yield self._position, frame
            self._position += frame.samples


class Mono:
    """Sound at another rate, mixed down to one channel, placed in time.

    Args:
        rate: Samples per second.
    """

    def __init__(self, rate: int) -> None:
        self._resampled = Resampled(rate)
        self._mixes: dict[str, Mix] = {}

    def push(self, time: float, frame: Any) -> Iterator[tuple[int, Samples]]:
        """Yields (position, samples) of what a frame gives."""
        for position, piece in self._resampled.push(time, frame):
            yield position, self._mono(piece)

    def finish(self) -> Iterator[tuple[int, Samples]]:
        """Yields what the resampler still holds."""
        for position, piece in self._resampled.finish():
            yield position, self._mono(piece)

    def heard(self) -> tuple[float, float]:
        """Returns the seconds that were loud, and those of them that cancelled out."""
        mixes = self._mixes.values()
        return sum(mix.loud for mix in mixes), sum(mix.cancelled for mix in mixes)

    def _mono(self, piece: Any) -> Samples:
        layout = piece.layout
        if layout.name not in self._mixes:
            self._mixes[layout.name] = Mix(layout)
        return self._mixes[layout.name].mono(piece)


class SoundRows:
    """Cuts the sound of a track into segments, for several views at once.

    Args:
        views: Their rates.
        seconds: Length of a segment.
    """

    def __init__(self, views: Sequence[Sound], seconds: float) -> None:
        self._cutters = {view: _Cutter(view.rate, seconds) for view in views}
        self._index = 0

    def push(self, time: float, frame: Any) -> Iterator[Row]:
        """Takes a frame, and yields the segments that are complete: each (n,) or None."""
        for cutter in self._cutters.values():
            cutter.push(time, frame)
        yield from self._before(min(cutter.index for cutter in self._cutters.values()))

    def rest(self, count: int) -> Iterator[Row]:
        """Yields what is left of the first ``count`` segments."""
        for cutter in self._cutters.values():
            cutter.finish()
        yield from self._before(min(count, 1 + max(c.index for c in self._cutters.values())))

    def notes(self) -> list[str]:
        """Returns what the reader should know of the mixing."""
        for cutter in self._cutters.values():
            loud, cancelled = cutter.heard()
            if cancelled > loud / 2:
                return [
                    "the channels of the sound are opposite in phase and cancel each other in "
                    f"{cancelled:.1f} s, which are heard as silence"
                ]
        return []

    def _before(self, end: int) -> Iterator[Row]:
        while self._index < end:
            yield {view: cutter.take(self._index) for view, cutter in self._cutters.items()}
            self._index += 1


class _Cutter:
    """Sound of one rate, cut into segments.

    Attributes:
        index: Segment that is being filled; those before it are complete.
    """

    def __init__(self, rate: int, seconds: float) -> None:
        self.index = 0
        self._pace = rate * seconds
        self._length = round(rate * seconds)
        self._mono = Mono(rate)
        self._parts: dict[int, Samples] = {}

    def push(self, time: float, frame: Any) -> None:
        for position, samples in self._mono.push(time, frame):
            self._write(position, samples)

    def finish(self) -> None:
        for position, samples in self._mono.finish():
            self._write(position, samples)

    def take(self, index: int) -> Samples | None:
        return self._parts.pop(index, None)

    def heard(self) -> tuple[float, float]:
        return self._mono.heard()

    def _write(self, position: int, samples: Samples) -> None:
        while len(samples):
            low = round(self.index * self._pace)
            if position < low:
                samples, position = samples[low - position :], low
                continue
            if position >= low + self._length:
                # At least one further on; a gap is passed over at once.
                self.index = max(self.index + 1, int(position / self._pace) - 1)
                continue
            if self.index not in self._parts:
                self._parts[self.index] = np.zeros(self._length, np.float32)
            part = samples[: low + self._length - position]
            self._parts[self.index][position - low : position - low + len(part)] = part
            samples, position = samples[len(part) :], position + len(part)
