"""Clips with a tone in second 3 and a flash in second 5, of any container and codec."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from encoded_kit import once


@once
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
            pixels = "yuv420p" if min(size) > 1 else "yuv444p"
            video.width, video.height, video.pix_fmt = *size, pixels
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
                grey = np.full((size[1], size[0], 3), level, np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
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
