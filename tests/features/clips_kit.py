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

from rlld.features.base import ClipFeatures
from rlld.features.decode import Clip
from rlld.features.job import Task, extract_task
from rlld.features.views import Pictures, Sound


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


def write_marked(
    path: Path,
    *,
    codecs: tuple[str | None, str | None] = ("libx264", "aac"),
    rate: int = 48000,
    offset: float = 0.0,
    seconds: float = 8.0,
    sound_seconds: float | None = None,
    format: str | None = None,
    layout: str = "mono",
    sounds: Sequence[str] = ("tone",),
    default: int | None = None,
    fps: int = 25,
    size: tuple[int, int] = (160, 120),
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a clip with a tone in second 3 and a flash in second 5.

    Args:
        path: The file.
        codecs: Of pictures and of sound, None for none.
        rate: Of the sound.
        offset: Seconds that are added to all time stamps.
        seconds: Length.
        sound_seconds: Length of the sound, when it is another.
        format: Container, when the suffix does not say it.
        layout: Channels of the sound.
        sounds: ``tone`` or ``silent`` for each sound track.
        default: Number of the only sound track with the default flag.
        fps: Pictures per second.
        size: Of the pictures.
        options: Of the container.
    """
    from av.stream import Disposition

    with av.open(str(path), "w", format=format, options=options or {}) as out:
        video, tracks = None, []
        if codecs[0]:
            video = out.add_stream(codecs[0], rate=fps)
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            if codecs[0] == "libx265":
                video.options = {"x265-params": "log-level=none"}
        sounds = sounds if codecs[1] else ()
        for number, _ in enumerate(sounds):
            track = out.add_stream(codecs[1], rate=rate)
            track.layout = layout
            if default is not None:
                flag = Disposition.default if number == default else Disposition(0)
                track.disposition = flag
            tracks.append(track)
        heard = seconds if sound_seconds is None else sound_seconds
        time = np.arange(round(heard * rate)) / rate
        tone = 0.5 * np.sin(2 * np.pi * 1000 * time) * ((time >= 3) & (time < 4))
        waves = {"tone": tone.astype(np.float32), "silent": np.zeros(len(time), np.float32)}
        resamplers = [
            av.AudioResampler(track.format, layout, rate, track.codec_context.frame_size or 1024)
            for track in tracks
        ]
        for start in range(int(max(seconds, heard)) + 1):
            for number in range(start * fps, min((start + 1) * fps, round(seconds * fps))):
                if video is None:
                    break
                level = 235 if 5 <= number / fps < 6 else 32
                planes = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
                planes[: size[1]] = level
                picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                picture.pts, picture.time_base = number + round(offset * fps), Fraction(1, fps)
                out.mux(video.encode(picture))
            for track, resampler, kind in zip(tracks, resamplers, sounds, strict=True):
                part = waves[kind][start * rate : (start + 1) * rate][None]
                if part.size:
                    frame = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(part), format="fltp", layout="mono"
                    )
                    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                    frame.pts = round((start + offset) * rate)
                    for piece in resampler.resample(frame):
                        out.mux(track.encode(piece))
        for track, resampler in zip(tracks, resamplers, strict=True):
            for piece in resampler.resample(None):
                out.mux(track.encode(piece))
            out.mux(track.encode(None))
        if video is not None:
            out.mux(video.encode(None))
    return path
