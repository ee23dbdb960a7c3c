"""Writes small clips with known content."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
from numpy.typing import NDArray

from encoded_kit import once
from rlld.features.base import ClipFeatures
from rlld.features.job import Task, extract_task
from rlld.media.decode import Clip
from rlld.media.views import Pictures, Sound


def seen(
    clip: Clip,
    seconds: float = 1.0,
    *,
    rate: int = 16000,
    fps: float = 8.0,
    size: tuple[int, int] = (224, 224),
) -> list[SimpleNamespace]:
    """Returns the segments of a clip with one kind of sound and of pictures."""
    sound, pictures = Sound(rate), Pictures(fps, *size)
    return [
        SimpleNamespace(
            index=segment.index, audio=segment.views[sound], frames=segment.views[pictures]
        )
        for segment in clip.segments(seconds, (sound, pictures))
    ]


@once
def write_test_clip(
    path: Path,
    *,
    sound: NDArray[np.float32] | None = None,
    rate: int = 16000,
    sound_start: float = 0.0,
    pictures: Sequence[tuple[float, int]] | None = None,
    size: tuple[int, int] = (64, 48),
    codecs: tuple[str, str] = ("libx264", "aac"),
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a clip of mono sound and even grey pictures given as (seconds, level)."""
    with av.open(str(path), "w", options=options or {}) as container:
        video = audio = None
        if pictures is not None:
            video = container.add_stream(codecs[0], rate=1000, options={"bf": "0", "crf": "10"})
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.codec_context.time_base = Fraction(1, 1000)
        if sound is not None:
            audio = container.add_stream(codecs[1], rate=rate, layout="mono")
        items = [(time, "picture", level) for time, level in pictures or ()]
        if sound is not None:
            items += [(sound_start + i / rate, "sound", i) for i in range(0, len(sound), rate // 4)]
        for time, kind, value in sorted(items, key=lambda item: item[0]):
            if kind == "picture":
                pixels = np.full((size[1], size[0], 3), value, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
                container.mux(video.encode(frame))
                continue
            part = sound[value : value + rate // 4][None]
            if codecs[1].startswith("pcm"):
                whole = np.round(part * 32767).astype(np.int16)
                heard = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
            else:
                plain = np.ascontiguousarray(part, np.float32)
                heard = av.AudioFrame.from_ndarray(plain, format="fltp", layout="mono")
            heard.sample_rate, heard.time_base = rate, Fraction(1, rate)
            heard.pts = round(sound_start * rate) + value
            container.mux(audio.encode(heard))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def beep(seconds: float, start: float, end: float, rate: int = 16000) -> NDArray[np.float32]:
    """Silence with a 1 kHz tone in [start, end)."""
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    return np.where((time >= start) & (time < end), tone, 0.0).astype(np.float32)


def flashes(seconds: float, start: float, end: float, fps: int = 12) -> list[tuple[float, int]]:
    """Dark pictures, bright ones in [start, end)."""
    times = [k / fps for k in range(round(seconds * fps))]
    return [(time, 220 if start <= time < end else 30) for time in times]


def crashing_over_bb(task: Task) -> ClipFeatures:
    """Extracts a clip as a worker does; the clip ``bb`` crashes it."""
    if task.video == "bb":
        os.kill(os.getpid(), signal.SIGSEGV)
    return extract_task(task)


PEAK = """
import resource, sys

def peak():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""
"""Measures the most memory in use in a fresh interpreter; ``ru_maxrss`` alone would be that of the
process which started it where that is larger, on Linux."""
