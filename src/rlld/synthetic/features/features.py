"""Feature vectors of simulated videos.

Every segment is a sum of what happens in it (class prototypes in a strength and manner of this
video), of the surroundings that come with the labels, of distractors, background and noise. Only
sums of arrays and ``numpy.einsum`` are used: the same seed gives the same bytes whatever the
number of threads of a linear-algebra library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlld.synthetic.features.presets import DIMENSIONS, SHARING, Difficulty

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Appearance:
    """What is fixed about one modality.

    Attributes:
        prototypes: Class prototypes (C, D) of length 1.
        manners: Sub-prototypes (C, S, D).
        contexts: Surroundings of each class (C, D).
        backgrounds: Background vectors (20, D).
        shared: Turns the vector that both modalities of a video share into its trace here (D, D).
    """

    prototypes: Floats
    manners: Floats
    contexts: Floats
    backgrounds: Floats
    shared: Floats


def draw_appearance(
    difficulty: Difficulty, classes: int, groups: Sequence[Sequence[int]], rng: np.random.Generator
) -> Appearance:
    """Draws what is fixed about a modality.

    Args:
        difficulty: Its constants.
        classes: Number of classes, C.
        groups: Indices of classes that resemble each other; a class may be in several groups.
        rng: Source of randomness.
    """
    prototypes = _vectors(rng, classes)
    for group, common in zip(groups, _vectors(rng, len(groups)), strict=True):
        prototypes[list(group)] += difficulty.confusion * common
    prototypes /= np.sqrt((prototypes**2).sum(1, keepdims=True))
    return Appearance(
        prototypes,
        _vectors(rng, classes, difficulty.sub_prototypes),
        _vectors(rng, classes),
        _vectors(rng, SHARING),
        _vectors(rng, DIMENSIONS),
    )


def draw_segments(
    appearances: Sequence[Appearance],
    difficulties: Sequence[Difficulty],
    weak: NDArray[np.uint8],
    events: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[Floats, ...]:
    """Draws the segments of some videos.

    Args:
        appearances: Of each modality.
        difficulties: Of each modality.
        weak: Weak labels (N, C).
        events: Events (N, T, M, C), M modalities.
        rng: Source of randomness.

    Returns:
        Per modality (N, T, D), float32.
    """
    common = _vectors(rng, len(weak))
    return tuple(
        _draw_modality(appearance, difficulty, weak, events[:, :, number], common, rng)
        for number, (appearance, difficulty) in enumerate(
            zip(appearances, difficulties, strict=True)
        )
    )


def _draw_modality(
    look: Appearance,
    level: Difficulty,
    weak: NDArray[np.uint8],
    events: NDArray[np.bool_],
    common: Floats,
    rng: np.random.Generator,
) -> Floats:
    videos, segments, classes = events.shape
    manner = rng.integers(level.sub_prototypes, size=(videos, classes))
    kinds = look.prototypes + level.sub * look.manners[np.arange(classes), manner]
    kinds += level.instance * _vectors(rng, videos, classes)
    strength = np.exp(level.amplitude_sd * _normal(rng, videos, 1, classes))
    strength = strength * np.exp(level.segment_sd * _normal(rng, videos, segments, classes))
    result: Floats = np.einsum("ntc,ncd->ntd", strength * events, kinds)

    surroundings = level.context * np.exp(0.5 * _normal(rng, videos, classes)) * weak
    fixed = np.einsum("nc,cd->nd", surroundings, look.contexts)
    fixed += level.background * look.backgrounds[rng.integers(SHARING, size=videos)]
    fixed += level.nuisance * np.einsum("nd,de->ne", common, look.shared)
    fixed += level.nuisance * _vectors(rng, videos)
    result += fixed[:, None]

    stray = rng.random((videos, segments), np.float32) < level.distractor
    amount = level.distractor_amplitude * stray * rng.random((videos, segments), np.float32)
    result += amount[..., None] * look.prototypes[rng.integers(classes, size=videos)][:, None]
    result += level.noise * _vectors(rng, videos, segments)
    result *= np.float32(0.5 * np.sqrt(DIMENSIONS))
    return result


def draw_lift(dim: int, rng: np.random.Generator) -> Floats:
    """Draws a fixed map into more dimensions: orthonormal rows (D, dim), dim >= D."""
    rows = rng.standard_normal((DIMENSIONS, dim))
    for number, row in enumerate(rows):
        # Twice, since one pass of Gram-Schmidt leaves rounding errors.
        for _ in range(2):
            shadow = np.einsum("kd,d->k", rows[:number], row)
            row -= np.einsum("k,kd->d", shadow, rows[:number])
        row /= np.sqrt((row**2).sum())
    return rows.astype(np.float32)


def lift(
    segments: Floats, rows: Floats, gain: float, noise: float, rng: np.random.Generator
) -> Floats:
    """Lifts segments (N, T, D) to (N, T, dim), scaled by ``gain`` and with white noise added."""
    result: Floats = np.einsum("ntk,kd->ntd", segments, np.float32(gain) * rows)
    if noise:
        result += np.float32(noise) * _normal(rng, *result.shape)
    return result


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.standard_normal(shape, np.float32)


def _vectors(rng: np.random.Generator, *shape: int) -> Floats:
    """Random vectors of expected length 1 (*shape, D)."""
    return _normal(rng, *shape, DIMENSIONS) * np.float32(DIMENSIONS**-0.5)
