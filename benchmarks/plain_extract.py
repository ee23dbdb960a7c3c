"""The way published scripts take from clips to network inputs: one pass per stage.

wav: moviepy writes the sound of every clip into a wav file.
frames: the program ffmpeg writes 8 pictures per second into JPEG files.
sound: the wav files are read, mixed to mono, resampled to 16 kHz and cut into seconds.
resnet152, r2plus1d: 80 JPEG files are read, scaled, cut and normalised, for each network anew.

Inputs are made and thrown away: no network runs. ``pip install moviepy`` brings the program ffmpeg.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from moviepy import VideoFileClip
from PIL import Image
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor

FPS, FRAMES, RATE, SEGMENTS = 8, 80, 16000, 10
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
KINETICS = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))


def clips(folder: Path) -> list[Path]:
    """The clips of a folder."""
    return sorted(folder.glob("*.mp4"))


def wav(folder: Path, work: Path) -> None:
    """Writes wav files."""
    for path in clips(folder):
        with VideoFileClip(str(path)) as clip:
            clip.audio.write_audiofile(str(work / f"{path.stem}.wav"), logger=None)


def frames(folder: Path, work: Path) -> None:
    """Writes the pictures of each eighth of a second as JPEG files, full size."""
    for path in clips(folder):
        target = work / path.stem
        target.mkdir(exist_ok=True)
        command = [get_ffmpeg_exe(), "-loglevel", "error", "-i", path, "-r", str(FPS)]
        subprocess.run([*command, "-q:v", "2", "-f", "image2", target / "%06d.jpg"], check=True)


def sound(folder: Path, work: Path) -> None:
    """Reads wav files and cuts them into seconds."""
    for path in clips(folder):
        rate, samples = wavfile.read(work / f"{path.stem}.wav")
        mono = samples.mean(1) / 32768.0
        divisor = math.gcd(rate, RATE)
        heard = resample_poly(mono, RATE // divisor, rate // divisor)
        for second in range(SEGMENTS):
            yield_input(torch.from_numpy(heard[second * RATE : (second + 1) * RATE]))


def pictures(work: Path, path: Path) -> Iterator[Image.Image]:
    """Reads 80 evenly chosen pictures of a clip."""
    files = sorted((work / path.stem).glob("*.jpg"))
    for number in np.round(np.linspace(0, len(files) - 1, FRAMES)).astype(int):
        with Image.open(files[number]) as image:
            yield image.convert("RGB")


def resnet152(folder: Path, work: Path) -> None:
    """Shorter side 256, the middle 224 x 224, normalised, stacked."""
    for path in clips(folder):
        parts = []
        for image in pictures(work, path):
            scale = 256 / min(image.size)
            size = round(image.width * scale), round(image.height * scale)
            image = image.resize(size, Image.Resampling.BILINEAR)
            left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
            parts.append(normalised(image.crop((left, top, left + 224, top + 224)), IMAGENET))
        yield_input(torch.stack(parts))


def r2plus1d(folder: Path, work: Path) -> None:
    """112 x 112, normalised, one snippet per second."""
    for path in clips(folder):
        parts = []
        for image in pictures(work, path):
            image = image.resize((112, 112), Image.Resampling.BILINEAR)
            parts.append(normalised(image, KINETICS))
        snippets = torch.stack(parts).view(SEGMENTS, FRAMES // SEGMENTS, 3, 112, 112)
        yield_input(snippets.transpose(1, 2).contiguous())


def normalised(image: Image.Image, statistics: tuple[tuple[float, ...], ...]) -> Tensor:
    """Returns (3, H, W), as torchvision's ToTensor and Normalize give it."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
    mean, deviation = (torch.tensor(part).view(3, 1, 1) for part in statistics)
    return pixels.sub(mean).div(deviation)


def yield_input(value: Tensor) -> None:
    """Stands for the network."""
    assert value.numel()
