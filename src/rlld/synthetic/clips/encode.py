"""Writes a scene as an mp4 file: H.264 pictures, AAC sound, index in front for streaming."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from rlld.synthetic.clips.scene import FPS, HEIGHT, WIDTH, Scene, frames_of, sound_of
from rlld.synthetic.clips.sounds import RATE
from rlld.utils.files import written_aside

X264 = {"preset": "superfast", "crf": "25", "g": str(FPS), "threads": "1", "bf": "0"}
"""One thread, so that the same pictures give the same bytes; a key picture every second, so that a
player seeks at once."""

AAC = {"aac_coder": "fast"}
AUDIO_BITS = 64000


def write_clip(scene: Scene, path: Path) -> None:
    """Renders a scene and writes it to ``path``, replacing what is there."""
    import av

    sound = sound_of(scene)
    with av.open(f"file:{path}", "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options=X264)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = Fraction(1, FPS)
        audio = container.add_stream("aac", rate=RATE, options=AAC, layout="mono")
        audio.bit_rate = AUDIO_BITS
        per_frame = RATE // FPS + 1
        for number, pixels in enumerate(frames_of(scene)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            part = sound[number * per_frame : (number + 1) * per_frame]
            if len(part):
                heard = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(part)[None], format="fltp", layout="mono"
                )
                heard.sample_rate, heard.time_base = RATE, Fraction(1, RATE)
                heard.pts = number * per_frame
                container.mux(audio.encode(heard))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


@dataclass(frozen=True)
class RenderTask:
    """A scene and the file that it is to become."""

    path: Path
    scene: Scene

    def __str__(self) -> str:
        return str(self.path)


def render_clip(task: RenderTask) -> None:
    """Renders a scene to its file, written aside and renamed."""
    with written_aside(task.path) as aside:
        write_clip(task.scene, aside)
