"""Speed of extraction: decoding once for all networks against one pass per stage.

Both go from the same clips to the same network inputs: seconds of 16 kHz sound for VGGish, 80
pictures for ResNet-152 (shorter side 256, middle 224 x 224, normalised), 10 snippets for R(2+1)D-18
(112 x 112, normalised). They alternate; CPU time is taken, that of the programs
that they start included.

stages: ``plain_extract.py``, as published scripts do it: sound into wav files by moviepy, pictures
    into JPEG files by ffmpeg, and each network's input read from these again.
rlld: ``Clip.segments`` decodes each track once and gives every network its view of it.

Then what each extractor adds, with random weights, in clips per second and core; and the peak
memory of ``rlld extract`` for few and for many clips.

    pip install moviepy scipy
    python benchmarks/extract.py [--clips FOLDER] [--networks vggish,resnet152,r2plus1d]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import av
import numpy as np

# A file here is called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

import torch

import plain_extract
from rlld.media.decode import Clip
from rlld.media.views import Pictures, Sound

STAGES = (
    plain_extract.wav,
    plain_extract.frames,
    plain_extract.sound,
    plain_extract.resnet152,
    plain_extract.r2plus1d,
)
SOUND = Sound(16000)
LARGE = Pictures(8, 224, 224, short_side=256, scaling="BILINEAR")
SMALL = Pictures(8, 112, 112, scaling="BILINEAR")
SIZE, FPS, SECONDS, RATE = (640, 360), 25, 10, 44100


def make_clip(path: Path, seed: int) -> None:
    """Writes 10 seconds of a moving texture and noise, h264 and aac."""
    random = np.random.default_rng(seed)
    width, height = SIZE
    coarse = random.integers(0, 256, (height // 8, width // 4, 3), np.uint8)
    texture = np.repeat(np.repeat(coarse, 8, 0), 8, 1).astype(np.int16)
    texture += random.integers(-12, 13, texture.shape, np.int16)
    texture = texture.clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="stereo")
        for number in range(SECONDS * FPS):
            shift = 2 * number
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(texture[:, shift : shift + width]), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        samples = (0.1 * random.standard_normal((2, SECONDS * RATE))).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))


def once_for_all(path: Path) -> None:
    """Makes the inputs of the three networks as rlld does, segment by segment."""
    for segment in Clip(path).segments(1.0, (SOUND, LARGE, SMALL)):
        assert segment.views[SOUND] is not None
        plain_extract.yield_input(normalised(segment.views[LARGE], plain_extract.IMAGENET))
        snippet = segment.views[SMALL][None]
        plain_extract.yield_input(normalised(snippet, plain_extract.KINETICS))


def normalised(pixels: np.ndarray, statistics: tuple[tuple[float, ...], ...]) -> torch.Tensor:
    """Returns what a network gets for pixels (N, ..., 3)."""
    mean, deviation = (torch.tensor(part) for part in statistics)
    raw = torch.from_numpy(pixels).float()
    return torch.addcmul(-mean / deviation, raw, 1 / (255 * deviation)).movedim(-1, 1)


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of a call and of the programs that it started, and seconds on the clock."""
    cpu, clock = sum(os.times()[:4]), time.monotonic()
    work()
    return sum(os.times()[:4]) - cpu, time.monotonic() - clock


def compare(folder: Path, repeats: int) -> None:
    """Prints how long both ways take, ours on one process and on one per core."""
    clips = plain_extract.clips(folder)
    cores = os.cpu_count() or 1
    stages: dict[str, list[float]] = {stage.__name__: [] for stage in STAGES}
    plain, ours, crew = [], [], []
    with get_context("spawn").Pool(cores, torch.set_num_threads, (1,)) as pool:
        pool.map(once_for_all, clips[:1] * cores, 1)
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as work:
                each = [spent(lambda s=s, w=work: s(folder, Path(w))) for s in STAGES]
            for times, (cpu, _) in zip(stages.values(), each, strict=True):
                times.append(cpu / len(clips))
            plain.append([sum(part) / len(clips) for part in zip(*each, strict=True)])
            ours.append(spent(lambda: [once_for_all(clip) for clip in clips])[0] / len(clips))
            crew.append(spent(lambda: pool.map(once_for_all, clips, 1))[1] / len(clips))
    print(f"{len(clips)} clips, {repeats} rounds, seconds per clip (median, least to most)")
    for name, times in stages.items():
        print(f"  stage {name:<24}{line(times)} CPU")
    cpu, clock = ([part[k] for part in plain] for k in (0, 1))
    print(f"  stages together               {line(cpu)} CPU")
    speed = SECONDS / median(ours)
    print(f"  rlld, all at once             {line(ours)} CPU   {speed:.0f}x real time")
    print(f"  ratio of CPU time             {line(ratios(cpu, ours))}")
    print(f"  stages together               {line(clock)} on the clock")
    print(f"  rlld, {cores} processes             {line(crew)} on the clock")
    print(f"  ratio on the clock            {line(ratios(clock, crew))}")


def ratios(plain: list[float], ours: list[float]) -> list[float]:
    """How many times longer the plain way took in each round."""
    return [theirs / own for theirs, own in zip(plain, ours, strict=True)]


def line(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def networks(folder: Path, names: str) -> None:
    """Prints what each extractor takes beside decoding."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "features"))
    from random_weights import write_random_weights

    from rlld.features import load_extractor
    from rlld.media.views import chunks

    with tempfile.TemporaryDirectory() as weights:
        print("each extractor on one core, random weights:")
        os.environ["RLLD_WEIGHTS"] = weights
        for name in names.split(","):
            write_random_weights(name, Path(weights))
            extractor = load_extractor(name)
            path = plain_extract.clips(folder)[0]
            parts: list[list[object]] = []
            seen = chunks(Clip(path).segments(1.0, extractor.views))
            decoding = spent(lambda parts=parts, seen=seen: parts.extend(seen))[0]
            describing = [
                spent(lambda maker=extractor, parts=parts: maker.describe(parts, 1.0))[0]
                for _ in range(3)
            ]
            share = decoding / (decoding + median(describing))
            print(
                f"  {name:<12}{1 / (decoding + median(describing)):.3f} clips/s and core; decoding "
                f"{decoding:.2f} s, network {line(describing)} s; decoding is {share:.0%}"
            )


EXTRACT = """
import sys
from pathlib import Path
from rlld.cli import main
try:
    main(["extract", sys.argv[1], "--out", sys.argv[2], "--workers", "1"])
finally:
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def memory(folder: Path) -> None:
    """Prints the peak memory of extraction for few and for many clips."""
    source = plain_extract.clips(folder)[0]
    for count in (2, 20):
        with tempfile.TemporaryDirectory() as work:
            many = Path(work) / "clips"
            many.mkdir()
            for number in range(count):
                (many / f"{number}.mp4").symlink_to(source.resolve())
            command = [sys.executable, "-c", EXTRACT, many, Path(work) / "out"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak = int(done.stdout.split()[-1]) / 1024
            print(f"  {count:>3} clips, light, one process: peak {peak:.0f} MB")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder of mp4 files; made when not given")
    parser.add_argument("--count", type=int, default=6, help="clips that are made")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", default="", help="extractors to run with random weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.clips or Path(made)
        if arguments.clips is None:
            for number in range(arguments.count):
                make_clip(folder / f"{number}.mp4", number)
        compare(folder, arguments.repeats)
        if arguments.networks:
            networks(folder, arguments.networks)
        memory(folder)


if __name__ == "__main__":
    main()
