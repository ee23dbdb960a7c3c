"""Anti-aliased shapes on a picture, in coordinates of their own.

A shape is painted by its signed distance in pixels: full inside, half on the edge, nothing
outside. Only the part of the picture that the shape can reach is touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]

SHADE = 0.16
"""How much lighter the top of a shape is than its middle."""


@dataclass(frozen=True)
class Canvas:
    """A picture with a place to draw at.

    Attributes:
        pixels: (height, width, 3), float32 in [0, 255], painted in place.
        x: Column of the local origin in pixels.
        y: Row of the local origin in pixels.
        size: Pixels per local unit.
        tilt: Clockwise rotation in radians.
        flip: -1 mirrors left and right, 1 does not.
    """

    pixels: Array
    x: float = 0.0
    y: float = 0.0
    size: float = 1.0
    tilt: float = 0.0
    flip: float = 1.0

    def moved(self, u: float, v: float, *, tilt: float = 0.0, scale: float = 1.0) -> Canvas:
        """Returns the canvas with its origin at (u, v), turned and scaled there."""
        x, y = self._place(u, v)
        return replace(self, x=x, y=y, size=self.size * scale, tilt=self.tilt + tilt * self.flip)

    def ellipse(
        self,
        u: float,
        v: float,
        wide: float,
        high: float,
        colour: Colour,
        *,
        angle: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """Paints an ellipse with centre (u, v) and half axes ``wide`` and ``high``."""
        a, b = max(wide * self.size, 0.3), max(high * self.size, 0.3)

        def distance(p: Array, q: Array) -> Array:
            near = np.hypot(p / a, q / b)
            result: Array = near * (near - 1.0) / (np.hypot(p / a**2, q / b**2) + 1e-6)
            return result

        self._paint(u, v, max(a, b), angle, distance, colour, alpha)

    def box(
        self,
        u: float,
        v: float,
        wide: float,
        high: float,
        colour: Colour,
        *,
        radius: float = 0.0,
        angle: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """Paints a rectangle with half sides ``wide`` and ``high`` and rounded corners."""
        a, b = wide * self.size, high * self.size
        round_ = min(radius * self.size, a, b)

        def distance(p: Array, q: Array) -> Array:
            over_p, over_q = np.abs(p) - (a - round_), np.abs(q) - (b - round_)
            outside = np.hypot(np.maximum(over_p, 0.0), np.maximum(over_q, 0.0))
            result: Array = outside + np.minimum(np.maximum(over_p, over_q), 0.0) - round_
            return result

        self._paint(u, v, math.hypot(a, b), angle, distance, colour, alpha)

    def ring(
        self,
        u: float,
        v: float,
        radius: float,
        width: float,
        colour: Colour,
        *,
        alpha: float = 1.0,
    ) -> None:
        """Paints a circle line of a width."""
        r, half = radius * self.size, width * self.size / 2

        def distance(p: Array, q: Array) -> Array:
            result: Array = np.abs(np.hypot(p, q) - r) - half
            return result

        self._paint(u, v, r + half, 0.0, distance, colour, alpha)

    def line(
        self,
        u0: float,
        v0: float,
        u1: float,
        v1: float,
        width: float,
        colour: Colour,
        *,
        alpha: float = 1.0,
    ) -> None:
        """Paints a line with round ends."""
        half = max(width * self.size / 2, 0.35)
        length = math.hypot(u1 - u0, v1 - v0) * self.size / 2
        angle = math.atan2(v1 - v0, u1 - u0)

        def distance(p: Array, q: Array) -> Array:
            result: Array = np.hypot(np.maximum(np.abs(p) - length, 0.0), q) - half
            return result

        centre = ((u0 + u1) / 2, (v0 + v1) / 2)
        self._paint(*centre, length + half, angle, distance, colour, alpha)

    def path(
        self,
        points: Sequence[tuple[float, float]],
        width: float,
        colour: Colour,
        *,
        alpha: float = 1.0,
    ) -> None:
        """Paints lines through points."""
        for (u0, v0), (u1, v1) in pairwise(points):
            self.line(u0, v0, u1, v1, width, colour, alpha=alpha)

    def polygon(
        self, points: Sequence[tuple[float, float]], colour: Colour, *, alpha: float = 1.0
    ) -> None:
        """Paints a convex polygon, its corners in either order round it."""
        u = sum(point[0] for point in points) / len(points)
        v = sum(point[1] for point in points) / len(points)
        corners = [((p - u) * self.size, (q - v) * self.size) for p, q in points]
        sides = []
        for (p0, q0), (p1, q1) in zip(corners, corners[1:] + corners[:1], strict=True):
            normal = (q1 - q0, p0 - p1)
            length = math.hypot(*normal) or 1.0
            offset = (p0 * normal[0] + q0 * normal[1]) / length
            sign = 1.0 if offset >= 0 else -1.0
            sides.append((sign * normal[0] / length, sign * normal[1] / length, abs(offset)))

        def distance(p: Array, q: Array) -> Array:
            result = sides[0][0] * p + sides[0][1] * q - sides[0][2]
            for across, down, offset in sides[1:]:
                result = np.maximum(result, across * p + down * q - offset)
            return result

        reach = max(math.hypot(*corner) for corner in corners)
        self._paint(u, v, reach, 0.0, distance, colour, alpha)

    def _place(self, u: float, v: float) -> tuple[float, float]:
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        across = u * self.flip
        return (
            self.x + self.size * (cos * across - sin * v),
            self.y + self.size * (sin * across + cos * v),
        )

    def _paint(
        self,
        u: float,
        v: float,
        reach: float,
        angle: float,
        distance: Callable[[Array, Array], Array],
        colour: Colour,
        alpha: float,
    ) -> None:
        x, y = self._place(u, v)
        height, width = self.pixels.shape[:2]
        left, right = max(0, int(x - reach - 1)), min(width, int(x + reach + 3))
        top, bottom = max(0, int(y - reach - 1)), min(height, int(y + reach + 3))
        if left >= right or top >= bottom or alpha <= 0.0:
            return
        across = np.arange(left, right, dtype=np.float32)[None] - np.float32(x)
        down = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
        turn = self.tilt + angle * self.flip
        cos, sin = math.cos(turn), math.sin(turn)
        p = (across * cos + down * sin) * self.flip
        q = down * cos - across * sin
        cover = np.clip(0.5 - distance(p, q), 0.0, 1.0)[..., None] * np.float32(alpha)
        light = 1.0 - SHADE * down / max(reach, 1.0)
        paint = np.asarray(colour, np.float32) * light[..., None]
        region = self.pixels[top:bottom, left:right]
        region += (paint - region) * cover
