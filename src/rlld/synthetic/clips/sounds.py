"""One synthesised sound per class: ``sound(rng, seconds, voice)`` gives mono samples near [-1, 1].

Every sound is built from harmonic tones, filtered noise and envelopes; none is a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 16000

VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
)
"""First three resonances of spoken vowels in Hz (Peterson and Barney 1952, men's averages)."""

WIDTHS = np.array([[90.0], [120.0], [180.0]])
KNOTS = 10

SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)


@dataclass(frozen=True)
class Voice:
    """What makes one video's dog sound different from another's.

    Attributes:
        pitch: In [0, 1], low to high within the class.
        tempo: Actions per second, shared with the picture.
        rough: In [0, 1], how noisy.
    """

    pitch: float
    tempo: float
    rough: float

    def between(self, low: float, high: float) -> float:
        """Returns a pitch in Hz between two, equally spaced to the ear."""
        return float(low * (high / low) ** self.pitch)


Sound = Callable[[np.random.Generator, float, Voice], Array]


def clock(seconds: float) -> Array:
    """Returns the times of the samples."""
    return np.arange(round(seconds * RATE)) / RATE


def noise(
    rng: np.random.Generator, count: int, low: float, high: float, tilt: float = 0.0
) -> Array:
    """Returns noise between two frequencies with power falling as f**-tilt, of unit strength."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 1.0)
    shape = 1 / (1 + (low / frequency) ** 6) / (1 + (frequency / high) ** 6)
    result = np.fft.irfft(spectrum * shape * frequency ** (-tilt / 2), count)
    return np.asarray(result / (np.std(result) + 1e-12))


def drift(rng: np.random.Generator, count: int, hertz: float) -> Array:
    """Returns a smooth random curve in [-1, 1] that wanders about ``hertz`` times per second."""
    knots = rng.uniform(-1, 1, max(4, int(count / RATE * hertz) + 3))
    return np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)


def tone(frequency: Array, strengths: Sequence[float]) -> Array:
    """Returns harmonics of a gliding tone; those near half the sampling rate are left out."""
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    result = np.zeros(len(frequency))
    for number, strength in enumerate(strengths, 1):
        if number * frequency.max() < 0.47 * RATE:
            result += strength * np.sin(number * phase)
    return result


def beats(rng: np.random.Generator, seconds: float, rate: float, jitter: float) -> Iterator[float]:
    """Yields the times of repeated strokes, the first near 0."""
    time = rng.uniform(0, 0.3) / rate
    while time < seconds - 0.02:
        yield time
        time += (1 + jitter * rng.uniform(-1, 1)) / rate


def put(target: Array, piece: Array, time: float) -> None:
    """Adds a piece to a sound at a time, cut at its end."""
    start = int(time * RATE)
    part = piece[: max(0, len(target) - start)]
    target[start : start + len(part)] += part


def hump(count: int, attack: float = 0.1) -> Array:
    """Returns an envelope that rises over a share ``attack`` of it and falls to zero."""
    place = np.linspace(0, 1, count)
    rise = np.minimum(1.0, place / attack)
    return np.asarray(rise * np.cos(place * np.pi / 2) ** 0.8)


def speech(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Syllables: a buzzing source through moving vowel resonances, hisses between them."""
    result = np.zeros(round(seconds * RATE))
    base = voice.between(95, 230)
    for time in beats(rng, seconds, 3.0 + 0.6 * voice.tempo, 0.25):
        length = int(rng.uniform(0.14, 0.26) * RATE)
        first, last = (np.array(VOWELS[i]) for i in rng.integers(0, len(VOWELS), 2))
        pitch = base * (1 + 0.18 * drift(rng, length, 4.0)) * np.linspace(1.06, 0.94, length)
        # Resonances move slowly: their gain is computed at a few points and interpolated.
        places = np.linspace(0, length - 1, KNOTS)
        knots = np.interp(places, np.arange(length), pitch)
        centres = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, KNOTS)
        centres = centres * (0.9 + 0.3 * voice.pitch)
        vowel = np.zeros(length)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        for number in range(1, int(3600 / base)):
            gain = (1 / (1 + ((number * knots - centres) / WIDTHS) ** 2)).sum(0)
            gain = np.interp(np.arange(length), places, gain)
            vowel += gain * np.sin(number * phase) / number**0.5
        put(result, vowel * hump(length, 0.25), time)
        if rng.random() < 0.4:
            hiss = noise(rng, int(0.07 * RATE), 2800, 7000)
            put(result, 0.16 * hiss * hump(len(hiss), 0.4), max(0.0, time - 0.05))
    return result


def car(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """An engine with many low harmonics and slow changes of speed, over the noise of tyres."""
    count = round(seconds * RATE)
    speed = voice.between(38, 62) * (1 + 0.22 * drift(rng, count, 0.6))
    engine = tone(speed, [1 / n**0.7 for n in range(1, 22)])
    engine *= 1 + 0.4 * np.sin(np.pi * np.cumsum(speed) / RATE)
    tyres = noise(rng, count, 120, 1400, 0.8) * (1 + 0.4 * drift(rng, count, 0.8))
    return np.asarray(engine + (0.8 + voice.rough) * tyres)


def dog(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Barks: short harsh tones that jump up and fall, with a burst of breath."""
    result = np.zeros(round(seconds * RATE))
    for time in beats(rng, seconds, max(1.4, 0.9 * voice.tempo), 0.3):
        length = int(rng.uniform(0.13, 0.22) * RATE)
        place = np.linspace(0, 1, length)
        pitch = voice.between(280, 620) * (0.75 + 0.6 * np.sin(np.pi * place**0.6))
        bark = tone(pitch, [0.5, 1.0, 0.8, 0.7, 0.45, 0.3, 0.2, 0.12])
        bark += (0.5 + voice.rough) * noise(rng, length, 400, 3500, 0.5)
        put(result, rng.uniform(0.7, 1.0) * bark * hump(length, 0.08), time)
    return result


def frying(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """A bright steady hiss with crackles."""
    count = round(seconds * RATE)
    hiss = noise(rng, count, 2600 + 1500 * voice.pitch, 7400)
    hiss *= 1 + 0.25 * drift(rng, count, 6.0)
    crackle = np.zeros(count)
    for time in rng.uniform(0, seconds, int(seconds * (30 + 50 * voice.rough))):
        spark = noise(rng, 64, 1200, 6000) * np.exp(-np.arange(64) / 12)
        put(crackle, rng.exponential(2.0) * spark, time)
    return np.asarray(hiss + crackle)


def fire_alarm(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Two hard tones in turn, or one that is switched on and off."""
    time = clock(seconds)
    place = time * (1.6 + 0.4 * voice.tempo) + rng.random()
    high = voice.between(850, 1500)
    first = (place % 1.0) < 0.5
    if voice.rough < 0.5:
        pitch = np.where(first, high, 0.76 * high)
        return tone(pitch, [1.0, 0.0, 0.45, 0.0, 0.25])
    edge = np.minimum(1.0, 40 * np.abs((place % 1.0) - 0.5))
    return np.asarray(tone(np.full(len(time), 2.2 * high), [1.0, 0.2, 0.15]) * first * edge * 1.4)


def violin(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Bowed notes of a scale: a full row of harmonics, vibrato, soft starts."""
    result = np.zeros(round(seconds * RATE))
    base = voice.between(250, 480)
    time = 0.0
    while time < seconds:
        length = int(rng.uniform(0.35, 0.9) * RATE)
        pitch = base * 2 ** (SCALE[rng.integers(len(SCALE))] / 12)
        t = np.arange(length) / RATE
        vibrato = 1 + 0.009 * np.sin(2 * np.pi * (5.2 + voice.rough) * t) * np.minimum(1, 5 * t)
        note = tone(pitch * vibrato, [1.0, 0.75, 0.65, 0.5, 0.42, 0.3, 0.24, 0.2, 0.16, 0.1])
        note += 0.07 * noise(rng, length, 1500, 6000)
        put(result, note * np.minimum(1, np.minimum(9 * t, 14 * t[::-1])), time)
        time += length / RATE * 0.97
    return result


def chicken(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Clucks in quick rows and now and then a long rising squawk."""
    result = np.zeros(round(seconds * RATE))
    base = voice.between(480, 800)
    for time in beats(rng, seconds, 2.6 + 0.9 * voice.tempo, 0.45):
        squawk = rng.random() < 0.14
        length = int((0.34 if squawk else rng.uniform(0.05, 0.09)) * RATE)
        place = np.linspace(0, 1, length)
        bend = 0.8 + 0.9 * np.sin(np.pi * place) if squawk else 1.35 - 0.6 * place
        cluck = tone(base * bend, [0.7, 1.0, 0.9, 0.45, 0.3, 0.15])
        cluck *= 1 + 0.5 * voice.rough * np.sin(2 * np.pi * 70 * np.arange(length) / RATE)
        put(result, cluck * hump(length, 0.15), time)
    return result


def helicopter(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Thumping blades over a low roar, a faint turbine above."""
    count = round(seconds * RATE)
    rate = voice.between(9, 15) * (1 + 0.03 * drift(rng, count, 0.5))
    beat = 0.5 + 0.5 * np.cos(2 * np.pi * np.cumsum(rate) / RATE)
    roar = noise(rng, count, 45, 500, 1.0) * (0.25 + 2.2 * beat**4)
    air = noise(rng, count, 500, 2600, 0.5) * (0.15 + 0.5 * beat**2)
    turbine = tone(np.full(count, voice.between(1900, 2900)), [0.1])
    return np.asarray(roar + (0.3 + 0.4 * voice.rough) * air + turbine)


def guitar(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Plucked strings: broken chords whose upper partials die away first."""
    result = np.zeros(round(seconds * RATE))
    base = voice.between(98, 165)
    chords = ((0, 4, 7, 12), (5, 9, 12, 17), (7, 11, 14, 19), (-3, 0, 4, 9))
    for number, time in enumerate(beats(rng, seconds, 1.4 + 0.7 * voice.tempo, 0.06)):
        chord = chords[number // 4 % len(chords)]
        strings = chord if number % 4 == 0 else (chord[rng.integers(len(chord))],)
        for order, step in enumerate(strings):
            string = pluck(base * 2 ** (step / 12), 0.9)
            put(result, string / len(strings) ** 0.5, time + 0.014 * order)
    return result


@lru_cache(maxsize=64)
def pluck(pitch: float, seconds: float) -> Array:
    """Returns one plucked string: partials that die away, the high ones first."""
    t = clock(seconds)
    result = np.zeros(len(t))
    for partial in range(1, min(18, int(7000 / pitch))):
        frequency = partial * pitch * np.sqrt(1 + 0.0002 * partial**2)
        weight = abs(np.sin(partial * np.pi * 0.17)) / partial**0.8
        result += weight * np.exp(-t * (2.2 + 0.9 * partial)) * np.sin(2 * np.pi * frequency * t)
    return result


def telephone(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Two small bells struck some twenty times a second, ringing and pausing."""
    time = clock(seconds)
    first = voice.between(1100, 1700)
    strike = 0.35 + 0.65 * np.abs(np.sin(np.pi * (17 + 6 * voice.rough) * time)) ** 0.7
    bells = np.zeros(len(time))
    for ratio, strength in ((1.0, 1.0), (1.26, 0.8), (2.67, 0.5), (3.36, 0.35)):
        bells += strength * np.sin(2 * np.pi * first * ratio * time)
    ringing = ((time * voice.tempo * 0.5 + rng.random() * 0.2) % 1.0) < 0.7
    gate = np.convolve(ringing, np.ones(320) / 320, mode="same")
    return np.asarray(bells * strike * gate)


def blender(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """A fast whining motor under load and the broad noise of the blades."""
    count = round(seconds * RATE)
    speed = voice.between(210, 320) * (1 + 0.05 * drift(rng, count, 1.5))
    motor = tone(speed, [0.6, 1.0, 0.5, 0.8, 0.3, 0.5, 0.3, 0.4, 0.2, 0.3, 0.2, 0.2])
    blades = noise(rng, count, 700, 6500, 0.3) * (1 + 0.3 * drift(rng, count, 9.0))
    return np.asarray(motor + (0.7 + 0.5 * voice.rough) * blades)


def clapping(rng: np.random.Generator, seconds: float, voice: Voice) -> Array:
    """Claps of a few pairs of hands: very short bursts of noise."""
    result = np.zeros(round(seconds * RATE))
    length = int(0.06 * RATE)
    for _ in range(1 + int(4 * voice.rough)):
        centre = voice.between(900, 1700) * rng.uniform(0.85, 1.2)
        loud = rng.uniform(0.5, 1.0)
        for time in beats(rng, seconds, max(2.4, voice.tempo) * rng.uniform(0.97, 1.03), 0.08):
            clap = noise(rng, length, 0.7 * centre, 2.2 * centre)
            put(result, loud * clap * np.exp(-np.arange(length) / (0.011 * RATE)), time)
    return result


SOUNDS: dict[str, Sound] = {
    "Speech": speech,
    "Car": car,
    "Dog": dog,
    "Frying_(food)": frying,
    "Fire_alarm": fire_alarm,
    "Chicken_rooster": chicken,
    "Violin_fiddle": violin,
    "Helicopter": helicopter,
    "Acoustic_guitar": guitar,
    "Telephone_bell_ringing": telephone,
    "Blender": blender,
    "Clapping": clapping,
}
"""The sound of every class that can be rendered."""
