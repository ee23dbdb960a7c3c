"""Clips and a run folder that are made in a moment, for tests of parsing and of its pages."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from encoded_kit import once
from rlld.data.spec import DataSpec
from rlld.features import load_extractor
from rlld.parsing.events import events_from
from rlld.parsing.result import Parse
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import save_run

RATE = 16_000
CLASSES = ("Bell", "Dog_bark", "Rain", "Silence")


@once
def make_clip(
    path: Path,
    seconds: float = 10.0,
    *,
    sound: str | None = "aac",
    picture: str | None = "libx264",
    fps: int = 10,
) -> Path:
    """Encodes a moving square and a beep that is on in every even second."""
    with av.open(str(path), "w") as out:
        video = audio = None
        if picture:
            video = out.add_stream(picture, rate=fps)
            video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
            video.codec_context.time_base = Fraction(1, fps)
            if picture == "libx264":
                video.options = {"preset": "ultrafast"}
        if sound:
            audio = out.add_stream(sound, rate=48_000 if sound == "libopus" else RATE)
            audio.layout = "mono"
        for number in range(round(seconds * fps)) if video else ():
            image = np.full((120, 160, 3), 40, np.uint8)
            left = number * 3 % 130
            image[40:70, left : left + 30] = (230, 120, 20)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(video.encode(frame))
        if audio:
            resampler = av.AudioResampler(
                format=audio.codec_context.format.name, layout="mono", rate=audio.rate
            )
            time = np.arange(round(seconds * RATE)) / RATE
            wave = 0.4 * np.sin(2 * np.pi * 440 * time) * (time.astype(int) % 2 == 0)
            for start in range(0, len(wave), 1024):
                samples = wave[None, start : start + 1024].astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
                for piece in resampler.resample(frame):
                    out.mux(audio.encode(piece))
            for piece in resampler.resample(None):
                out.mux(audio.encode(piece))
        for stream in (video, audio):
            if stream is not None:
                out.mux(stream.encode(None))
    return path


def make_run(
    folder: Path, features: str = "light", segments: int = 10, *, causal: bool = False
) -> Path:
    """Writes a run of an untrained HAN whose answer is known.

    Its head says yes for class 0, a little less for class 1, no for the others, wherever.
    """
    torch.manual_seed(0)
    spec = DataSpec(
        name="made",
        classes=CLASSES,
        segments=segments,
        segment_seconds=1.0,
        streams=load_extractor("light").streams(1.0),
        features=features,
    )
    recipe = load_recipe("han", {"network.hidden": 8, "network.causal": causal})
    network = recipe.build_network(spec)
    with torch.no_grad():
        network.fc_prob.weight.mul_(0.01)
        network.fc_prob.bias.copy_(torch.tensor([3.0, 1.0, -3.0, -3.0]))
    save_run(folder, network.eval(), recipe, spec, {})
    return folder


def make_parse(name: str = "clip.mp4", duration: float = 10.0, **changes: Any) -> Parse:
    """Returns a parse with a bell from 6 s, a dog heard from 2 to 5 s and seen from 3 to 8 s."""
    segments = math.ceil(duration)
    probability = np.full((segments, 2, len(CLASSES)), 0.0625)
    probability[6:, 0, 0] = 0.75
    probability[2:5, 0, 1] = [0.875, 0.75, 0.625]
    probability[3:8, 1, 1] = 0.9375
    values = {
        "name": name,
        "duration": duration,
        "segment_seconds": 1.0,
        "classes": CLASSES,
        "events": events_from(probability >= 0.5, probability, CLASSES, 1.0, duration),
        "probabilities": tuple(tuple(tuple(row) for row in s) for s in probability.tolist()),
        "gates": tuple(tuple(row) for row in probability.max(0).tolist()),
        "model": "run-7: han trained by recipe rlld",
        **changes,
    }
    return Parse(**values)
