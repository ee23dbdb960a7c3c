"""Puts a clip together: a place, its clutter and noise, and the events at their times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlld.synthetic.clips.canvas import Canvas, Colour
from rlld.synthetic.clips.pictures import PICTURES, Look
from rlld.synthetic.clips.sounds import RATE, SOUNDS, Voice, drift, hump, noise, tone
from rlld.types import AUDIO, VISUAL

WIDTH, HEIGHT, FPS = 320, 180, 12

FADE = 0.03
"""Seconds over which a sound fades in and out at the borders of its segments."""

ENTRY = 0.25
"""Seconds in which a thing grows to its size when it comes and shrinks when it goes."""


@dataclass(frozen=True)
class Scene:
    """A clip to be rendered.

    Attributes:
        classes: Class names, C of them.
        events: When each class is audible and visible (T, 2, C), bool.
        segment_seconds: Length of a segment in seconds.
        seed: Numbers that name the clip; everything else about it is drawn from them.
    """

    classes: tuple[str, ...]
    events: NDArray[np.bool_]
    segment_seconds: float
    seed: tuple[int, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.events) * self.segment_seconds

    def voice(self, label: int) -> tuple[Voice, Look]:
        """Returns how a class sounds and looks in this clip; both share the tempo."""
        rng = self.generator(1, label)
        tempo = float(rng.uniform(1.7, 3.0))
        voice = Voice(float(rng.random()), tempo, float(rng.random()))
        pick = tuple(float(value) for value in rng.random(6))
        return voice, Look(tempo, float(rng.random()), pick, int(rng.integers(2**31)))

    def generator(self, *place: int) -> np.random.Generator:
        """Returns the random numbers of one part of the clip."""
        return np.random.default_rng([*self.seed, *place])

    def runs(self, modality: int, label: int) -> list[tuple[int, int]]:
        """Returns first and past-the-end segment of each event of a class in a modality."""
        active = np.pad(self.events[:, modality, label].astype(np.int8), 1)
        steps = np.diff(active)
        starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def sound_of(scene: Scene) -> NDArray[np.float32]:
    """Returns the sound of a clip (duration * 16000,), float32 in [-1, 1]."""
    result = _ambience(scene)
    for label in np.flatnonzero(scene.events[:, AUDIO].any(0)):
        voice, _ = scene.voice(int(label))
        rng = scene.generator(2, int(label))
        loudness = 0.1 * 10 ** (rng.uniform(-5, 4) / 20)
        for start, end in scene.runs(AUDIO, int(label)):
            piece = SOUNDS[scene.classes[label]](rng, (end - start) * scene.segment_seconds, voice)
            piece *= loudness / (np.sqrt(np.mean(piece**2)) + 1e-9)
            ramp = np.minimum(1.0, np.arange(len(piece)) / (FADE * RATE))
            first = round(start * scene.segment_seconds * RATE)
            result[first : first + len(piece)] += (piece * ramp * ramp[::-1])[: len(result) - first]
    return np.tanh(result).astype(np.float32)


def _ambience(scene: Scene) -> NDArray[np.float64]:
    """Room noise and some sounds of no class: hum, beeps, knocks."""
    rng = scene.generator(3)
    count = round(scene.duration * RATE)
    result = noise(rng, count, 40, 7000, rng.uniform(0.4, 1.6)) * 10 ** (rng.uniform(-46, -34) / 20)
    result *= 1 + 0.3 * drift(rng, count, 0.5)
    if rng.random() < 0.3:
        result += 0.006 * tone(np.full(count, rng.choice([50.0, 60.0])), [1.0, 0.5, 0.3])
    for _ in range(rng.poisson(1.5)):
        length = int(rng.uniform(0.06, 0.4) * RATE)
        if rng.random() < 0.5:
            piece = tone(np.full(length, rng.uniform(300, 2500)), [1.0, 0.2])
        else:
            piece = noise(rng, length, 80, rng.uniform(300, 900))
        start = int(rng.integers(0, count - length))
        result[start : start + length] += rng.uniform(0.008, 0.03) * piece * hump(length, 0.05)
    return result


def frames_of(scene: Scene) -> Iterator[NDArray[np.uint8]]:
    """Yields the pictures of a clip, 12 per second, each (180, 320, 3), RGB."""
    rng = scene.generator(4)
    backdrop = _backdrop(rng)
    grain = [rng.normal(0.0, rng.uniform(1.0, 2.5), backdrop.shape) for _ in range(4)]
    grain = [layer.astype(np.float32) for layer in grain]
    drifters = _drifters(rng)
    actors = _actors(scene, rng)
    for number in range(round(scene.duration * FPS)):
        time = number / FPS
        pixels = backdrop.copy()
        for drifter in drifters:
            drifter.draw(pixels, time)
        for actor in actors:
            actor.draw(pixels, time)
        pixels += grain[number % len(grain)]
        yield np.clip(pixels, 0.0, 255.0).astype(np.uint8)


@dataclass(frozen=True)
class _Actor:
    """A class where it is seen: place, size and times."""

    name: str
    look: Look
    x: float
    y: float
    size: float
    flip: float
    tilt: float
    spans: tuple[tuple[float, float], ...]

    def draw(self, pixels: NDArray[np.float32], time: float) -> None:
        for start, end in self.spans:
            if start <= time < end:
                coming = min(1.0, (time - start) / ENTRY + 0.35 if start > 0 else 1.0)
                going = min(1.0, (end - time) / ENTRY)
                grown = math.sin(0.5 * math.pi * min(coming, going))
                pen = Canvas(pixels, self.x, self.y, self.size * grown, self.tilt, self.flip)
                PICTURES[self.name](pen, time, self.look)


def _actors(scene: Scene, rng: np.random.Generator) -> list[_Actor]:
    visible = [int(label) for label in np.flatnonzero(scene.events[:, VISUAL].any(0))]
    slots = rng.permutation(max(len(visible), 2))
    width = WIDTH / len(slots)
    actors = []
    for slot, label in zip(slots, visible, strict=False):
        _, look = scene.voice(label)
        size = min(rng.uniform(50, 68), 0.36 * width + rng.uniform(0, 10))
        actors.append(
            _Actor(
                name=scene.classes[label],
                look=look,
                x=float((slot + 0.5) * width + rng.uniform(-0.12, 0.12) * width),
                y=float(HEIGHT * 0.53 + rng.uniform(-14, 14)),
                size=float(size),
                flip=float(rng.choice([-1.0, 1.0])),
                tilt=float(rng.uniform(-0.08, 0.08)),
                spans=tuple(
                    (start * scene.segment_seconds, end * scene.segment_seconds)
                    for start, end in scene.runs(VISUAL, label)
                ),
            )
        )
    return actors


ROOMS: tuple[tuple[Colour, Colour], ...] = (
    ((206, 198, 182), (126, 96, 72)),
    ((172, 190, 200), (110, 106, 104)),
    ((198, 182, 196), (92, 84, 96)),
    ((150, 196, 226), (104, 148, 84)),
    ((196, 214, 226), (150, 140, 118)),
    ((232, 190, 150), (96, 110, 90)),
)
"""Colours of wall and floor, or of sky and ground; they say nothing about what happens there."""


def _backdrop(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draws a place: wall and floor with a soft stain of light, and things of no class."""
    wall, floor = ROOMS[rng.integers(len(ROOMS))]
    pixels = np.empty((HEIGHT, WIDTH, 3), np.float32)
    horizon = int(HEIGHT * rng.uniform(0.66, 0.8))
    rows = np.linspace(1.08, 0.92, HEIGHT, dtype=np.float32)[:, None, None]
    pixels[:horizon] = np.asarray(wall, np.float32)
    pixels[horizon:] = np.asarray(floor, np.float32)
    pixels *= rows * np.float32(rng.uniform(0.82, 1.08))
    canvas = Canvas(pixels, size=1.0)
    for _ in range(rng.integers(2, 5)):
        u, v = float(rng.uniform(0, WIDTH)), float(rng.uniform(0, HEIGHT))
        canvas.ellipse(u, v, rng.uniform(40, 110), rng.uniform(30, 70), (255, 250, 240), alpha=0.05)
    for _ in range(rng.integers(1, 4)):
        _clutter(canvas, rng, horizon)
    return pixels


def _clutter(canvas: Canvas, rng: np.random.Generator, horizon: int) -> None:
    """Paints one thing of no class: a picture on the wall, a box, a plant."""
    u = float(rng.uniform(10, WIDTH - 10))
    colour = tuple(float(value) for value in rng.uniform(70, 200, 3))
    paint: Colour = (colour[0], colour[1], colour[2])
    kind = rng.integers(3)
    if kind == 0:
        pen = canvas.moved(u, float(rng.uniform(20, 60)), scale=float(rng.uniform(12, 22)))
        pen.box(0.0, 0.0, 1.1, 0.8, (90, 66, 48), radius=0.05)
        pen.box(0.0, 0.0, 0.95, 0.65, paint)
        pen.ellipse(0.2, 0.1, 0.4, 0.3, (paint[2], paint[0], paint[1]))
    elif kind == 1:
        pen = canvas.moved(u, horizon + 4.0, scale=float(rng.uniform(12, 24)))
        pen.box(0.0, 0.0, 0.9, 0.6, paint, radius=0.08)
        pen.box(0.0, 0.0, 0.9, 0.06, (paint[0] * 0.7, paint[1] * 0.7, paint[2] * 0.7))
    else:
        pen = canvas.moved(u, horizon + 2.0, scale=float(rng.uniform(16, 28)))
        for leaf in range(7):
            turn = (leaf - 3) * 0.34
            pen.line(0.0, 0.0, math.sin(turn), -math.cos(turn) * 1.2, 0.17, (70, 128, 74))
        pen.polygon([(-0.35, -0.1), (0.35, -0.1), (0.24, 0.5), (-0.24, 0.5)], (176, 98, 64))


@dataclass(frozen=True)
class _Drifter:
    """Something of no class that moves: a balloon, or a ball that rolls."""

    start: float
    height: float
    speed: float
    size: float
    colour: Colour
    balloon: bool

    def draw(self, pixels: NDArray[np.float32], time: float) -> None:
        across = (self.start + self.speed * time) % (WIDTH + 80) - 40
        down = self.height + (6.0 * math.sin(time * 1.3) if self.balloon else 0.0)
        pen = Canvas(pixels, across, down, self.size)
        if self.balloon:
            pen.line(0.0, 1.0, 0.1, 2.2, 0.07, (230, 230, 230))
        pen.ellipse(0.0, 0.0, 0.85 if self.balloon else 1.0, 1.0, self.colour)
        pen.ellipse(-0.3, -0.35, 0.2, 0.2, (255, 255, 255), alpha=0.5)


def _drifters(rng: np.random.Generator) -> Sequence[_Drifter]:
    result = []
    for _ in range(rng.integers(0, 3)):
        balloon = bool(rng.random() < 0.5)
        colour = tuple(float(value) for value in rng.uniform(60, 230, 3))
        result.append(
            _Drifter(
                start=float(rng.uniform(0, WIDTH)),
                height=float(rng.uniform(20, 60) if balloon else rng.uniform(150, 170)),
                speed=float(rng.uniform(-18, 18)),
                size=float(rng.uniform(6, 11)),
                colour=(colour[0], colour[1], colour[2]),
                balloon=balloon,
            )
        )
    return result
