"""Clips of real photographs and real recordings, with known events: a data set to try rlld on.

    python benchmarks/real_clips.py OUT --cache FOLDER [--seed 1] [--clips 280,40,80]
        [--lengths 10] [--sources 1] [--held-out] [--workers 2]

Photographs (cut out, or whole) move over photographs of places, recordings sound over background
noise. A clip has one to three tags; each is heard only, seen only or both, at shares that differ by
class as they do in LLP (``real_sources.CLASSES``). ``--lengths 4,240`` draws lengths of 4 to 240
seconds, short ones more often. ``--sources 2`` takes two photographs and two recordings of each
class, 0 all that there are, which is much harder. ``--held-out`` keeps one photograph and one
recording of each class that has at least three for the test clips alone.

OUT gets ``videos/``, ``tags.csv`` (what a person would have), ``annotations/`` with the truth of
all clips, and ``dataset.yaml``. Needs ``apt-get download``, ``dpkg`` and Pillow.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

# A file here is called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

import real_sources
from real_sources import CLASSES, NOISES, RATE, THINGS
from rlld.data.spec import ANNOTATIONS, FILE_NAME, SPLITS, AnnotationFiles, DataSpec, spec_text
from rlld.synthetic.features.labels import SplitLabels, write_annotations
from rlld.utils.console import progress
from rlld.utils.files import write_text
from rlld.utils.pool import each

WIDTH, HEIGHT, FPS = 192, 144, 10
NUMBER_OF_TAGS = (0.45, 0.38, 0.17)
WHOLE = 0.25
"""Share of the events of short clips that last as long as the clip."""

TOGETHER = 0.5
"""Share of the tags heard and seen whose events have the same times in both."""

EDGE = 0.2
"""An event starts and ends this many seconds from a full second at most."""

X264 = {"preset": "superfast", "crf": "26", "g": "20", "threads": "1", "bf": "0"}

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Task:
    """A clip to be made.

    Attributes:
        path: Its file.
        cache: Where the packages are unpacked.
        events: (T, 2, C), bool.
        seed: What its looks and sounds are drawn from.
        pictures: Photographs of each class that it may show.
        sounds: Recordings of each class that it may play.
    """

    path: Path
    cache: Path
    events: NDArray[np.bool_]
    seed: tuple[int, ...]
    pictures: tuple[tuple[str, ...], ...]
    sounds: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Layer:
    """A photograph that is shown for a while.

    Attributes:
        image: The photograph, RGBA where it is cut out.
        start: When it appears, in seconds.
        end: When it is gone.
        place: Where it stands, between 0 and 1 of width and height.
        size: Its height as a share of the picture's.
        drift: How far it moves a second, in shares of the width and height.
        crop: Share of a whole photograph that is shown at the start and at the end.
    """

    image: Image.Image
    start: float
    end: float
    place: tuple[float, float]
    size: float
    drift: tuple[float, float]
    crop: tuple[float, float]

    @property
    def cut_out(self) -> bool:
        """Whether what is behind it can be seen."""
        return self.image.mode == "RGBA"


def runs(row: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns (first, stop) of each run of true values."""
    steps = np.flatnonzero(np.diff(np.r_[0, row.astype(np.int8), 0]))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def draw_times(seconds: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Draws when something occurs: once or twice in ten seconds, more often in longer clips."""
    row = np.zeros(seconds, bool)
    if seconds <= 15 and random.random() < WHOLE:
        return ~row
    for _ in range(1 + random.poisson(seconds / 30)):
        length = int(random.integers(1, min(seconds, 12) + 1))
        start = int(random.integers(0, seconds - length + 1))
        row[start : start + length] = True
    return row


def draw_events(
    tags: NDArray[np.int64], seconds: int, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Draws events (T, 2, C) of a clip with some tags."""
    events = np.zeros((seconds, 2, len(CLASSES)), bool)
    for tag in tags:
        kind = list(CLASSES.values())[tag]
        state = random.random()
        if state < kind.heard:
            events[:, 0, tag] = draw_times(seconds, random)
        elif state < kind.heard + kind.seen:
            events[:, 1, tag] = draw_times(seconds, random)
        else:
            events[:, 0, tag] = draw_times(seconds, random)
            events[:, 1, tag] = (
                events[:, 0, tag] if random.random() < TOGETHER else draw_times(seconds, random)
            )
    return events


def varied(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Returns a photograph in another light, perhaps mirrored, perhaps tilted."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    looks = ImageEnhance.Brightness(image.convert("RGB")).enhance(random.uniform(0.85, 1.15))
    looks = ImageEnhance.Color(looks).enhance(random.uniform(0.85, 1.15))
    if alpha is not None:
        looks.putalpha(alpha)
        looks = looks.rotate(random.uniform(-8, 8), Image.Resampling.BILINEAR, expand=True)
    return ImageOps.mirror(looks) if random.random() < 0.5 else looks


def layer(image: Image.Image, start: float, end: float, random: np.random.Generator) -> Layer:
    """Draws how a photograph is shown."""
    return Layer(
        varied(image, random),
        start,
        end,
        (random.uniform(0.2, 0.8), random.uniform(0.4, 0.65)),
        random.uniform(0.6, 1.0),
        (random.uniform(-0.03, 0.03), random.uniform(-0.01, 0.01)),
        (random.uniform(0.7, 1.0), random.uniform(0.7, 1.0)),
    )


def layers_of(task: Task, random: np.random.Generator) -> list[Layer]:
    """Draws what a clip shows, the background first."""
    seconds = len(task.events)

    def load(name: str) -> Image.Image:
        return real_sources.picture(task.cache / name)

    places = real_sources.places(task.cache)
    cuts = np.sort(random.uniform(0, seconds, random.poisson(seconds / 30)))
    result = [
        layer(load(places[random.integers(len(places))]), start, end, random)
        for start, end in zip(np.r_[0, cuts], np.r_[cuts, seconds], strict=True)
    ]
    if random.random() < 0.3:
        start = random.uniform(0, seconds)
        end = start + random.uniform(2, 6)
        result.append(layer(load(THINGS[random.integers(len(THINGS))]), start, end, random))
    for label in np.flatnonzero(task.events[:, 1].any(0)):
        names = task.pictures[label]
        image = load(names[random.integers(len(names))])
        for first, stop in runs(task.events[:, 1, label]):
            start, end = edges(first, stop, seconds, random)
            result.append(layer(image, start, end, random))
    return result


def edges(first: int, stop: int, seconds: int, random: np.random.Generator) -> tuple[float, float]:
    """Moves the ends of a run off the full seconds, as people annotate; a clip's ends stay."""
    start, end = np.r_[first, stop] + random.uniform(-EDGE, EDGE, 2)
    return (0.0 if first == 0 else float(start)), (
        float(seconds) if stop == seconds else float(end)
    )


def whole(shown: Layer, time: float, width: int) -> Image.Image:
    """Returns a part of a whole photograph, ``width`` pixels wide, panned and zoomed."""
    image = shown.image
    way = (time - shown.start) / max(shown.end - shown.start, 1.0)
    share = shown.crop[0] + (shown.crop[1] - shown.crop[0]) * way
    scale = share * min(image.width / width, image.height / HEIGHT)
    across, down = width * scale, HEIGHT * scale
    left = (image.width - across) * float(np.clip(shown.place[0] + shown.drift[0] * time, 0, 1))
    top = (image.height - down) * shown.place[1]
    box: Box = (left, top, left + across, top + down)
    return image.resize((width, HEIGHT), Image.Resampling.BILINEAR, box)


def frame_at(layers: list[Layer], time: float) -> Image.Image:
    """Returns the picture at a time: whole photographs side by side, cut-out ones in front.

    The newest whole photographs hide the background; neither hides another of their kind.
    """
    shown = [one for one in layers if one.start <= time < one.end]
    full, cut = [x for x in shown if not x.cut_out], [x for x in shown if x.cut_out]
    full = full[1:] or full
    result = Image.new("RGB", (WIDTH, HEIGHT))
    for place, one in enumerate(full):
        left, right = (WIDTH * (place + n) // len(full) for n in (0, 1))
        result.paste(whole(one, time, right - left), (left, 0))
    for place, one in enumerate(cut):
        centre = (place + one.place[0] + one.drift[0] * (time - one.start)) / len(cut)
        ratio = one.image.width / one.image.height
        height = min(one.size * HEIGHT, WIDTH / len(cut) * 1.1 / ratio)
        size = max(4, round(height * ratio)), max(4, round(height))
        small = one.image.resize(size, Image.Resampling.BILINEAR)
        top = one.place[1] + one.drift[1] * (time - one.start)
        corner = round(centre * WIDTH - size[0] / 2), round(top * HEIGHT - size[1] / 2)
        result.paste(small, corner, small)
    return result


def played(
    wave: NDArray[np.float32], seconds: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Repeats a recording for a while: a little faster or slower, with pauses."""
    places = np.arange(0, len(wave) - 1, random.uniform(0.95, 1.05))
    once = np.interp(places, np.arange(len(wave)), wave).astype(np.float32)
    parts, total = [], 0
    while total < seconds * RATE:
        pause = np.zeros(int(RATE * random.uniform(0.0, 0.3)), np.float32)
        parts += [once, pause]
        total += len(once) + len(pause)
    sound = np.concatenate(parts)[: int(seconds * RATE)]
    ramp = np.minimum(np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / 400, 1.0)
    result: NDArray[np.float32] = (sound * ramp).astype(np.float32)
    return result


def sound_of(task: Task, random: np.random.Generator) -> NDArray[np.float32]:
    """Returns what a clip plays, mono at 16 kHz."""
    seconds = len(task.events)
    noise = real_sources.recording(task.cache / NOISES[random.integers(len(NOISES))])
    sound = played(noise, seconds, random) * np.float32(10 ** (random.uniform(-34, -16) / 20))
    sound += random.normal(0, 10 ** (random.uniform(-60, -42) / 20), len(sound)).astype(np.float32)
    for label in np.flatnonzero(task.events[:, 0].any(0)):
        names = task.sounds[label]
        wave = real_sources.recording(task.cache / names[random.integers(len(names))])
        gain = np.float32(10 ** (random.uniform(-6, 2) / 20))
        for first, stop in runs(task.events[:, 0, label]):
            start, end = edges(first, stop, seconds, random)
            part = played(wave, end - start, random) * gain
            place = int(start * RATE)
            part = part[: len(sound) - place]
            sound[place : place + len(part)] += part
    return np.clip(sound, -1, 1)


def render(task: Task) -> None:
    """Writes a clip: H.264 pictures, AAC sound."""
    random = np.random.default_rng(task.seed)
    layers, sound = layers_of(task, random), sound_of(task, random)
    aside = task.path.with_suffix(".part")
    with av.open(str(aside), "w", format="mp4", options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options=X264)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, layout="mono", bit_rate=48000)
        audio.options = {"aac_coder": "fast"}
        step = RATE // FPS
        for number in range(len(task.events) * FPS):
            pixels = np.asarray(frame_at(layers, number / FPS))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            part = sound[number * step : (number + 1) * step]
            heard = av.AudioFrame.from_ndarray(part[None], format="fltp", layout="mono")
            heard.sample_rate, heard.time_base, heard.pts = RATE, Fraction(1, RATE), number * step
            container.mux(audio.encode(heard))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    aside.rename(task.path)


def parts_of(
    files: tuple[str, ...], most: int, held_out: bool, random: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns what clips to learn from may use, and what test clips may."""
    files = files[: most or None]
    if not held_out or len(files) < 3:
        return files, files
    kept = int(random.integers(len(files)))
    return files[:kept] + files[kept + 1 :], files[kept : kept + 1]


def plan(
    args: argparse.Namespace, clips: list[int], lengths: list[int]
) -> tuple[list[Task], dict[str, SplitLabels]]:
    """Draws all clips."""
    random = np.random.default_rng(args.seed)
    kinds = CLASSES.values()
    sources = args.sources, args.held_out, random
    pictures = [parts_of(kind.pictures, *sources) for kind in kinds]
    sounds = [parts_of(kind.sounds, *sources) for kind in kinds]
    most = max(lengths)
    tasks, labels = [], {}
    for split, number in zip(SPLITS, clips, strict=True):
        ids, weak, dense = [], [], []
        for _ in range(number):
            spread = random.uniform(np.log(min(lengths)), np.log(most + 1e-9))
            seconds = max(min(lengths), round(float(np.exp(spread))))
            size = 1 + random.choice(3, p=NUMBER_OF_TAGS)
            events = draw_events(random.choice(len(CLASSES), size, False), seconds, random)
            test = int(split == SPLITS[2])
            name = f"clip{len(tasks):04d}"
            tasks.append(
                Task(
                    args.out / "videos" / f"{name}.mp4",
                    args.cache,
                    events,
                    (args.seed, len(tasks)),
                    tuple(parts[test] for parts in pictures),
                    tuple(parts[test] for parts in sounds),
                )
            )
            ids.append(name)
            weak.append(events.any((0, 1)))
            dense.append(np.pad(events, ((0, most - seconds), (0, 0), (0, 0))))
        labels[split] = SplitLabels(tuple(ids), np.array(weak, np.uint8), np.array(dense))
    return tasks, labels


def write_tags(path: Path, labels: dict[str, SplitLabels]) -> None:
    """Writes what a person would have: each clip with its tags."""
    names = list(CLASSES)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("clip", "tags"))
        for part in labels.values():
            for video, row in zip(part.ids, part.weak, strict=True):
                table.writerow((f"{video}.mp4", ";".join(names[c] for c in np.flatnonzero(row))))


def main() -> None:
    """Makes a data set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the packages")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clips", default="280,40,80", help="tagged, annotated, test")
    parser.add_argument("--lengths", default="10", help="seconds, or the least and the most")
    parser.add_argument("--sources", type=int, default=1, help="of each class; 0: all")
    parser.add_argument("--held-out", action="store_true", help="other sources in test clips")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    real_sources.unpack(args.cache)
    clips, lengths = ([int(n) for n in text.split(",")] for text in (args.clips, args.lengths))
    tasks, labels = plan(args, clips, lengths)
    spec = DataSpec(
        name="real",
        classes=tuple(CLASSES),
        segments=max(lengths),
        annotations=AnnotationFiles(truth_audio="truth_audio.csv", truth_visual="truth_visual.csv"),
        features="",
        any_length=len(lengths) > 1,
    )
    (args.out / "videos").mkdir(parents=True, exist_ok=True)
    write_annotations(args.out / ANNOTATIONS, labels, spec)
    write_tags(args.out / "tags.csv", labels)
    missing = [task for task in tasks if not task.path.exists()]
    with progress("rendering clips", len(tasks), len(tasks) - len(missing)) as tick:
        for _, problem in each(render, missing, args.workers):
            if problem is not None:
                raise problem
            tick()
    write_text(args.out / FILE_NAME, spec_text(spec))


if __name__ == "__main__":
    main()
