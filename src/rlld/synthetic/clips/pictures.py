"""One moving picture per class, drawn about the local origin within one unit of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rlld.synthetic.clips.canvas import Canvas, Colour

DARK: Colour = (38, 36, 42)
WHITE: Colour = (244, 242, 236)
STEEL: Colour = (150, 156, 166)
SKINS: tuple[Colour, ...] = ((236, 196, 164), (206, 156, 118), (150, 102, 72), (98, 66, 48))


@dataclass(frozen=True)
class Look:
    """What makes one video's dog differ from another's.

    Attributes:
        tempo: Actions per second; the sound of the same video has the same.
        phase: Where the action starts, in turns.
        pick: Six numbers in [0, 1) that choose colours and proportions.
        seed: Seed of what looks random from picture to picture.
    """

    tempo: float
    phase: float
    pick: tuple[float, ...]
    seed: int

    def choose(self, options: tuple[Colour, ...], number: int) -> Colour:
        """Returns one of several colours, slightly varied."""
        colour = options[int(self.pick[number] * len(options)) % len(options)]
        bright = 0.88 + 0.24 * (self.pick[number] * 7.31 % 1.0)
        return (colour[0] * bright, colour[1] * bright, colour[2] * bright)

    def turn(self, time: float, rate: float = 1.0) -> float:
        """Returns the angle of the action in radians."""
        return 2.0 * math.pi * (time * self.tempo * rate + self.phase)

    def wave(self, time: float, rate: float = 1.0) -> float:
        """Returns the action as a number in [-1, 1]."""
        return math.sin(self.turn(time, rate))


Draw = Callable[[Canvas, float, Look], None]


def dimmed(colour: Colour, factor: float) -> Colour:
    """Returns a darker (or, above 1, lighter) colour."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def speech(pen: Canvas, time: float, look: Look) -> None:
    """A person who talks: the mouth opens with the syllables, the head nods."""
    skin = look.choose(SKINS, 0)
    hair = look.choose(((48, 34, 28), (92, 60, 34), (196, 160, 96), (120, 118, 120)), 1)
    shirt = look.choose(((64, 104, 168), (168, 72, 84), (84, 140, 96), (196, 150, 72)), 2)
    pen.ellipse(0.0, 1.0, 0.85, 0.5, shirt)
    pen.box(0.0, 0.5, 0.16, 0.25, dimmed(skin, 0.85))
    head = pen.moved(0.03 * look.wave(time, 0.3), -0.08, tilt=0.07 * look.wave(time, 0.22))
    head.ellipse(0.0, -0.16, 0.56, 0.62, hair)
    if look.pick[3] > 0.5:
        head.box(0.0, 0.2, 0.54, 0.4, hair, radius=0.2)
    head.ellipse(0.0, 0.0, 0.46, 0.58, skin)
    head.ellipse(0.0, -0.45, 0.42, 0.2, hair)
    blink = 0.15 if (time * 0.4 + look.phase) % 1.0 < 0.05 else 1.0
    for side in (-0.19, 0.19):
        head.ellipse(side, -0.08, 0.09, 0.06 * blink, WHITE)
        head.ellipse(side, -0.08, 0.045, 0.05 * blink, DARK)
        head.line(side - 0.1, -0.22, side + 0.1, -0.23, 0.05, hair)
    head.line(0.0, 0.0, 0.02, 0.12, 0.04, dimmed(skin, 0.75))
    gape = 0.02 + 0.13 * abs(look.wave(time, 0.5)) * (0.6 + 0.4 * look.wave(time, 0.13))
    head.ellipse(0.0, 0.3, 0.19 - 0.3 * gape, gape + 0.035, (176, 84, 84))
    head.ellipse(0.0, 0.3, 0.14 - 0.3 * gape, gape, (80, 24, 30))


def car(pen: Canvas, time: float, look: Look) -> None:
    """A car on a piece of road: it drives to and fro along it, the wheels turn."""
    paint = look.choose(((196, 44, 44), (44, 92, 184), (228, 188, 60), (70, 150, 110)), 0)
    pen.box(0.0, 0.62, 1.75, 0.14, (84, 84, 90), radius=0.05)
    dash = (time * 1.6) % 0.6
    for mark in range(-3, 3):
        pen.box(mark * 0.6 + dash, 0.62, 0.13, 0.02, (226, 222, 200))
    body = pen.moved(0.45 * look.wave(time, 0.12), 0.012 * look.wave(time, 3.0))
    body.ellipse(0.0, 0.52, 1.0, 0.07, DARK, alpha=0.5)
    body.polygon([(-0.62, 0.0), (-0.36, -0.42), (0.34, -0.42), (0.66, 0.0)], paint)
    body.polygon([(-0.48, -0.03), (-0.3, -0.34), (-0.03, -0.34), (-0.03, -0.03)], (188, 216, 232))
    body.polygon([(0.05, -0.03), (0.05, -0.34), (0.28, -0.34), (0.5, -0.03)], (188, 216, 232))
    body.box(0.0, 0.18, 1.05, 0.22, paint, radius=0.12)
    body.box(0.0, 0.2, 1.05, 0.025, dimmed(paint, 0.7))
    body.ellipse(-0.98, 0.12, 0.06, 0.06, (255, 240, 170))
    body.ellipse(0.98, 0.12, 0.05, 0.07, (220, 40, 40))
    for place in (-0.58, 0.58):
        body.ellipse(place, 0.36, 0.23, 0.23, DARK)
        body.ellipse(place, 0.36, 0.13, 0.13, STEEL)
        for spoke in range(2):
            turn = -time * 9.0 + spoke * math.pi / 2
            across, down = 0.12 * math.cos(turn), 0.12 * math.sin(turn)
            body.line(place - across, 0.36 - down, place + across, 0.36 + down, 0.04, DARK)


def dog(pen: Canvas, time: float, look: Look) -> None:
    """A dog from the side: the tail wags, the head jerks up and the jaw opens as it barks."""
    fur = look.choose(((170, 116, 66), (92, 70, 54), (214, 190, 150), (72, 72, 78)), 0)
    dark = dimmed(fur, 0.72)
    bark = max(0.0, look.wave(time)) ** 2
    wag = 0.6 * math.sin(2.0 * math.pi * 2.6 * time)
    pen.ellipse(0.0, 0.86, 0.9, 0.08, DARK, alpha=0.35)
    pen.line(0.68, 0.05, 0.95 + 0.1 * wag, -0.4 + 0.16 * wag, 0.14, fur)
    for place, colour in ((-0.3, dark), (0.52, dark), (-0.46, fur), (0.66, fur)):
        pen.line(place, 0.25, place, 0.8, 0.17, colour)
        pen.ellipse(place - 0.05, 0.83, 0.12, 0.06, colour)
    pen.ellipse(0.1, 0.15, 0.68, 0.32, fur)
    pen.ellipse(0.1, 0.26, 0.5, 0.16, dimmed(fur, 1.2))
    head = pen.moved(-0.62, -0.3 - 0.1 * bark, tilt=0.25 * bark)
    pen.line(-0.42, 0.0, -0.58, -0.28, 0.36, fur)
    head.ellipse(0.0, 0.0, 0.33, 0.3, fur)
    head.ellipse(-0.34, 0.06 - 0.05 * bark, 0.22, 0.11, fur)
    head.ellipse(-0.28, 0.16 + 0.12 * bark, 0.18, 0.07, dark, angle=-0.5 * bark)
    if bark > 0.2:
        head.ellipse(-0.34, 0.13, 0.13, 0.07 * bark, (190, 70, 80))
    head.ellipse(-0.53, 0.02 - 0.05 * bark, 0.07, 0.06, DARK)
    head.ellipse(-0.1, -0.07, 0.05, 0.055, DARK)
    head.ellipse(0.2, 0.03, 0.11, 0.26, dark, angle=-0.25 - 0.2 * bark)
    pen.line(-0.4, 0.0, -0.3, 0.12, 0.09, look.choose(((200, 40, 50), (50, 90, 190)), 1))


def frying(pen: Canvas, time: float, look: Look) -> None:
    """A pan from above with eggs: bubbles burst in the fat, steam rises."""
    pen.box(1.05, -0.35, 0.5, 0.075, (52, 44, 42), radius=0.05, angle=-0.35)
    pen.ellipse(0.0, 0.0, 0.86, 0.86, (58, 58, 62))
    pen.ellipse(0.0, 0.0, 0.76, 0.76, (34, 34, 37))
    pen.ellipse(0.0, 0.02, 0.7, 0.68, (134, 96, 40), alpha=0.5)
    for number in range(2 + int(look.pick[0] * 2)):
        turn = number * 2.2 + look.pick[1] * 6.0
        u, v = 0.34 * math.cos(turn), 0.34 * math.sin(turn)
        shake = 0.012 * math.sin(time * 31.0 + number)
        pen.ellipse(u + shake, v, 0.27, 0.23, WHITE, angle=turn)
        pen.ellipse(u + shake, v, 0.115, 0.11, (248, 186, 40))
        pen.ellipse(u + shake - 0.03, v - 0.04, 0.03, 0.025, (255, 232, 150))
    rng = np.random.default_rng((look.seed, int(time * 12)))
    for turn, far, size in rng.random((16, 3)):
        u = 0.68 * math.sqrt(far) * math.cos(6.283 * turn)
        v = 0.68 * math.sqrt(far) * math.sin(6.283 * turn)
        pen.ring(u, v, 0.02 + 0.04 * size, 0.02, (255, 224, 150), alpha=0.9)
    for number in range(3):
        rise = (time * 0.5 + number / 3 + look.phase) % 1.0
        sway = 0.12 * math.sin(time * 3 + number * 2)
        place = (number - 1) * 0.35 + sway
        size = 0.1 + 0.12 * rise
        pen.ellipse(place, -0.1 - rise, size, size * 1.3, WHITE, alpha=0.3 * (1.0 - rise))


def fire_alarm(pen: Canvas, time: float, look: Look) -> None:
    """A red alarm on the wall: its lamp flashes and the gong trembles."""
    red = look.choose(((206, 34, 34), (226, 62, 40)), 0)
    lit = look.wave(time) > 0.0
    if lit:
        pen.ellipse(0.0, -0.62, 1.0, 0.75, (255, 236, 190), alpha=0.3)
        pen.ellipse(0.0, -0.62, 0.55, 0.45, (255, 244, 214), alpha=0.5)
    pen.box(0.0, 0.16, 0.6, 0.74, dimmed(red, 0.7), radius=0.1)
    pen.box(0.0, 0.14, 0.55, 0.69, red, radius=0.09)
    pen.box(0.0, -0.66, 0.26, 0.16, (255, 250, 236) if lit else (176, 150, 146), radius=0.08)
    gong = pen.moved(0.02 * math.sin(time * 75.0), 0.18)
    gong.ellipse(0.0, 0.0, 0.42, 0.42, dimmed(red, 0.62))
    gong.ellipse(0.0, 0.0, 0.36, 0.36, (214, 206, 196))
    gong.ring(0.0, 0.0, 0.24, 0.035, (150, 140, 134))
    gong.ellipse(0.0, 0.0, 0.08, 0.08, (110, 104, 100))
    pen.box(0.0, 0.74, 0.4, 0.055, WHITE, radius=0.02)


def violin(pen: Canvas, time: float, look: Look) -> None:
    """A violin with the bow drawn across its strings."""
    wood = look.choose(((158, 82, 36), (186, 108, 48), (122, 58, 30)), 0)
    dark = dimmed(wood, 0.55)
    body = pen.moved(0.0, 0.1, tilt=0.28)
    body.box(0.0, -0.72, 0.055, 0.5, DARK, radius=0.03)
    body.ellipse(0.0, -1.22, 0.1, 0.12, dark)
    for colour, grow in ((dark, 0.035), (wood, 0.0)):
        body.ellipse(0.0, -0.12, 0.36 + grow, 0.32 + grow, colour)
        body.ellipse(0.0, 0.52, 0.46 + grow, 0.4 + grow, colour)
        body.box(0.0, 0.16, 0.27 + grow, 0.3, colour)
    for side in (-1.0, 1.0):
        body.line(side * 0.2, 0.06, side * 0.24, 0.34, 0.04, DARK)
        body.ellipse(side * 0.36, 0.16, 0.1, 0.13, dark)
    body.box(0.0, 0.72, 0.075, 0.17, DARK, radius=0.04)
    body.box(0.0, 0.4, 0.15, 0.03, (220, 184, 124))
    for string in (-0.045, -0.015, 0.015, 0.045):
        body.line(string, -1.1, string, 0.6, 0.012, (226, 220, 204))
    bow = body.moved(0.55 * look.wave(time, 0.5), 0.2, tilt=-0.22 + 0.06 * look.wave(time, 0.2))
    bow.line(-1.0, 0.0, 1.0, 0.0, 0.035, WHITE)
    bow.path([(-1.02, 0.0), (-0.5, -0.09), (0.5, -0.1), (1.05, -0.02)], 0.05, (92, 48, 26))
    bow.box(0.86, -0.01, 0.1, 0.055, DARK)


def chicken(pen: Canvas, time: float, look: Look) -> None:
    """A hen that pecks and flaps."""
    plume = look.choose(((236, 226, 206), (176, 96, 48), (222, 176, 104)), 0)
    peck = max(0.0, look.wave(time, 0.4)) ** 3
    for place in (-0.12, 0.14):
        pen.line(place, 0.5, place + 0.02, 0.86, 0.05, (226, 150, 40))
        pen.line(place - 0.12, 0.88, place + 0.1, 0.88, 0.05, (226, 150, 40))
    for fan in range(4):
        pen.ellipse(0.66, -0.12 - 0.1 * fan, 0.3, 0.1, dimmed(plume, 0.62 + 0.1 * fan), angle=-0.5)
    pen.ellipse(0.1, 0.2, 0.6, 0.42, plume)
    flap = 0.25 * max(0.0, look.wave(time))
    pen.ellipse(0.2, 0.18 - 0.5 * flap, 0.36, 0.22, dimmed(plume, 0.78), angle=0.25 - flap)
    down = 0.62 * peck
    pen.line(-0.3, 0.08, -0.5 - 0.1 * peck, -0.36 + down, 0.3, plume)
    head = pen.moved(-0.52 - 0.12 * peck, -0.42 + down, tilt=-0.5 * peck)
    for place, high in ((-0.08, 0.16), (0.03, 0.2), (0.13, 0.14)):
        head.ellipse(place, -0.2, 0.075, high, (214, 36, 40))
    head.ellipse(0.0, 0.0, 0.2, 0.2, plume)
    head.polygon([(-0.16, -0.06), (-0.16, 0.09), (-0.4, 0.04)], (236, 166, 40))
    head.ellipse(-0.13, 0.17, 0.06, 0.11, (214, 36, 40))
    head.ellipse(-0.06, -0.04, 0.04, 0.045, DARK)


def helicopter(pen: Canvas, time: float, look: Look) -> None:
    """A helicopter that hovers with turning rotors."""
    paint = look.choose(((60, 96, 70), (226, 196, 64), (60, 90, 160), (200, 70, 56)), 0)
    hull = pen.moved(0.18 * look.wave(time, 0.05), 0.1 * look.wave(time, 0.08), tilt=0.06)
    hull.polygon([(0.25, -0.2), (0.25, 0.1), (1.3, -0.14), (1.3, -0.24)], dimmed(paint, 0.85))
    hull.polygon([(1.16, -0.2), (1.34, -0.2), (1.44, -0.55), (1.3, -0.55)], paint)
    hull.ellipse(-0.1, 0.04, 0.62, 0.38, paint)
    hull.ellipse(-0.34, -0.02, 0.32, 0.26, (178, 212, 232))
    hull.line(-0.34, -0.26, -0.34, 0.22, 0.03, paint)
    hull.box(-0.05, -0.42, 0.05, 0.1, STEEL)
    for place in (-0.42, 0.22):
        hull.line(place, 0.34, place, 0.58, 0.04, STEEL)
    hull.line(-0.72, 0.6, 0.5, 0.6, 0.05, STEEL)
    spin = 2.0 * math.pi * (1.7 + look.pick[1]) * time
    hull.ellipse(-0.05, -0.54, 1.35, 0.07, STEEL, alpha=0.22)
    reach = 1.3 * math.cos(spin)
    hull.line(-0.05 - reach, -0.54, -0.05 + reach, -0.54, 0.05, DARK)
    reach = 1.3 * math.sin(spin)
    hull.line(-0.05 - reach, -0.55, -0.05 + reach, -0.53, 0.04, (70, 70, 76))
    tail = hull.moved(1.38, -0.5, tilt=spin * 1.3)
    tail.line(-0.2, 0.0, 0.2, 0.0, 0.05, DARK)


def guitar(pen: Canvas, time: float, look: Look) -> None:
    """A guitar on its side, strummed by a hand."""
    wood = look.choose(((218, 158, 84), (186, 112, 58), (232, 190, 126)), 0)
    dark = dimmed(wood, 0.5)
    body = pen.moved(0.3, 0.15, tilt=-0.22)
    body.box(-0.95, 0.0, 0.72, 0.075, (74, 46, 30), radius=0.02)
    for fret in range(6):
        body.box(-0.55 - 0.18 * fret, 0.0, 0.012, 0.075, STEEL)
    body.box(-1.68, 0.0, 0.13, 0.12, dark, radius=0.04)
    for colour, grow in ((dark, 0.035), (wood, 0.0)):
        body.ellipse(-0.16, 0.0, 0.38 + grow, 0.42 + grow, colour)
        body.ellipse(0.46, 0.0, 0.5 + grow, 0.55 + grow, colour)
        body.box(0.12, 0.0, 0.3, 0.36 + grow, colour)
    body.ellipse(0.06, 0.0, 0.2, 0.2, DARK)
    body.ring(0.06, 0.0, 0.23, 0.03, dark)
    body.box(0.62, 0.0, 0.05, 0.2, dark)
    for number in range(5):
        place = (number - 2) * 0.03
        shake = 0.018 * math.sin(time * 47.0 + number * 1.9)
        body.path([(-1.6, place), (0.1, place + shake), (0.6, place)], 0.012, (240, 232, 210))
    skin = look.choose(SKINS, 1)
    hand = body.moved(0.2, 0.34 * look.wave(time, 0.5), tilt=0.3 * look.wave(time, 0.5))
    hand.line(0.1, 0.08, 0.75, 0.55, 0.2, look.choose(((70, 90, 140), (150, 60, 70)), 2))
    hand.ellipse(0.06, 0.03, 0.18, 0.13, skin, angle=0.5)
    for finger in range(3):
        hand.line(0.0, 0.02, -0.17, -0.08 + 0.08 * finger, 0.07, dimmed(skin, 0.94))


def telephone(pen: Canvas, time: float, look: Look) -> None:
    """An old desk telephone whose handset jumps as it rings."""
    paint = look.choose(((40, 40, 46), (168, 40, 44), (60, 120, 112), (226, 214, 180)), 0)
    ringing = (time * look.tempo * 0.5 + look.phase) % 1.0 < 0.7
    jump = 0.035 * math.sin(time * 50.0) if ringing else 0.0
    pen.polygon([(-0.8, 0.75), (0.8, 0.75), (0.5, -0.12), (-0.5, -0.12)], paint)
    pen.box(0.0, 0.76, 0.84, 0.08, dimmed(paint, 0.7), radius=0.04)
    for side in (-0.36, 0.36):
        pen.box(side, -0.17, 0.06, 0.13, dimmed(paint, 0.7))
    pen.ellipse(0.0, 0.32, 0.33, 0.33, WHITE)
    for number in range(9):
        turn = number * 0.6 + 0.5
        pen.ellipse(0.24 * math.cos(turn), 0.32 + 0.24 * math.sin(turn), 0.05, 0.05, DARK)
    pen.ellipse(0.0, 0.32, 0.11, 0.11, dimmed(paint, 0.9))
    handset = pen.moved(0.0, -0.36 + jump, tilt=1.6 * jump)
    handset.box(0.0, -0.05, 0.72, 0.09, paint, radius=0.08)
    for side in (-0.68, 0.68):
        handset.ellipse(side, 0.04, 0.2, 0.15, dimmed(paint, 0.86))
    if ringing:
        for side in (-1.0, 1.0):
            for wave in (1.0, 1.22):
                arc = [
                    (side * wave * math.cos(a), -0.35 + 0.6 * wave * math.sin(a))
                    for a in (-0.5, -0.25, 0.0, 0.25, 0.5)
                ]
                pen.path(arc, 0.05, (255, 214, 80), alpha=0.9)


def blender(pen: Canvas, time: float, look: Look) -> None:
    """A blender in whose jar a coloured drink swirls."""
    drink = look.choose(((226, 70, 96), (96, 176, 70), (244, 160, 50), (130, 70, 160)), 0)
    base = look.choose(((60, 60, 66), (222, 220, 214), (176, 48, 46)), 1)
    shake = 0.015 * math.sin(time * 61.0)
    pen.box(0.0, 0.78, 0.46, 0.24, base, radius=0.08)
    pen.ellipse(0.0, 0.8, 0.1, 0.1, STEEL)
    jar = pen.moved(shake, 0.0)
    jar.box(0.52, 0.0, 0.13, 0.3, (206, 220, 226), radius=0.1, alpha=0.8)
    jar.polygon(
        [(-0.34, 0.54), (0.34, 0.54), (0.48, -0.72), (-0.48, -0.72)], (222, 234, 240), alpha=0.85
    )
    level = -0.28 + 0.05 * math.sin(time * 8.0)
    jar.polygon([(-0.32, 0.52), (0.32, 0.52), (0.42, level), (-0.42, level)], drink)
    spin = time * 14.0 + look.phase
    for number in range(7):
        depth = number / 7
        turn = spin + number * 1.9
        place = (0.32 - 0.1 * depth) * math.cos(turn)
        bright = 1.25 if math.sin(turn) > 0 else 0.75
        jar.ellipse(place, level + 0.12 + 0.6 * depth, 0.11, 0.05, dimmed(drink, bright))
    jar.ellipse(0.0, level, 0.4, 0.06, dimmed(drink, 1.25))
    jar.line(-0.3, -0.6, -0.24, 0.3, 0.04, WHITE, alpha=0.7)
    jar.box(0.0, -0.78, 0.5, 0.09, base, radius=0.05)
    jar.box(0.0, -0.9, 0.16, 0.06, base, radius=0.03)


def clapping(pen: Canvas, time: float, look: Look) -> None:
    """Two hands that clap."""
    skin = look.choose(SKINS, 0)
    sleeve = look.choose(((80, 60, 130), (40, 110, 120), (180, 90, 50)), 1)
    apart = 0.12 + 0.42 * abs(look.wave(time, 0.5))
    for side in (-1.0, 1.0):
        hand = pen.moved(side * apart, 0.0, tilt=side * (0.2 + 0.35 * apart))
        tone = skin if side > 0 else dimmed(skin, 0.9)
        hand.line(side * 0.1, 0.5, side * 0.42, 1.15, 0.42, sleeve)
        hand.box(side * 0.03, 0.18, 0.15, 0.36, tone, radius=0.14)
        for finger in range(4):
            place = side * 0.03 + (finger - 1.5) * 0.085
            tip = -0.62 - 0.08 * (finger in (1, 2))
            hand.line(place, 0.0, place, tip, 0.085, dimmed(tone, 0.92 + 0.04 * finger))
        hand.line(side * -0.02, 0.15, side * -0.24, -0.2, 0.11, tone)
    if apart < 0.24:
        for turn in (-0.9, -0.45, 0.0, 0.45, 0.9):
            u, v = math.sin(turn), -math.cos(turn)
            pen.line(0.8 * u, 0.8 * v, 1.0 * u, 1.0 * v, 0.05, (255, 236, 150))


PICTURES: dict[str, Draw] = {
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
"""The drawing of every class that can be rendered."""
