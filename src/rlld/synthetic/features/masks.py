"""Which segments an event covers, as bit masks over the segments of a video.

A mask of T segments is an integer below 2**T whose bit t says whether segment t is active. With
T = 10 there are 1024, few enough to hold a whole distribution in a vector: every conditional
distribution (several runs, contained in another mask, ...) is a product and a sum away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RELATIONS = ("same", "visual_contains", "audio_contains", "crossing")
"""How the audio and the visual mask of one event lie: equal; the audio one properly inside the
visual one; the reverse; none of these (overlapping or apart)."""


@dataclass(frozen=True)
class MaskCounts:
    """What is known of some masks of one kind.

    Attributes:
        spans: Masks of a single run by start and last segment (T, T); ``spans[0][T - 1]`` counts
            those that cover everything.
        broken: Number of masks of several runs.
        chain: Their transitions: [[first off, first on], [off to off, off to on], [on to off,
            on to on]].
    """

    spans: tuple[tuple[int, ...], ...]
    broken: int
    chain: tuple[tuple[int, ...], ...]


def bits(segments: int) -> NDArray[np.bool_]:
    """Returns every mask as a row of booleans (2**T, T)."""
    return (np.arange(1 << segments)[:, None] >> np.arange(segments) & 1).astype(bool)


def encode(maps: NDArray[np.bool_]) -> Ints:
    """Returns boolean maps (..., T) as masks (...)."""
    result: Ints = (maps * (1 << np.arange(maps.shape[-1], dtype=np.int64))).sum(-1)
    return result


def count(masks: Ints, segments: int) -> MaskCounts:
    """Counts spans and transitions of non-empty masks (n,)."""
    active = bits(segments)[masks]
    onsets = active & ~np.pad(active, ((0, 0), (1, 0)))[:, :-1]
    single = onsets.sum(1) == 1
    spans = np.zeros((segments, segments), np.int64)
    first = active.argmax(1)
    last = segments - 1 - active[:, ::-1].argmax(1)
    np.add.at(spans, (first[single], last[single]), 1)
    broken = active[~single].astype(int)
    chain = np.zeros((3, 2), np.int64)
    chain[0] = np.bincount(broken[:, 0], minlength=2)
    np.add.at(chain, (1 + broken[:, :-1].ravel(), broken[:, 1:].ravel()), 1)
    return MaskCounts(
        tuple(map(tuple, spans.tolist())), len(broken), tuple(map(tuple, chain.tolist()))
    )


def distribution(counts: MaskCounts, pooled: MaskCounts, weight: float) -> Floats:
    """Returns the probability of every mask (2**T,).

    Masks of one run follow the table of spans, masks of several runs a two-state chain over time.

    Args:
        counts: Of the masks in question.
        pooled: Of a larger group, towards which few counts are drawn.
        weight: What the larger group counts for, in masks.
    """
    spans, broken, chain = (
        _shrunk(np.asarray(own, float), np.asarray(all_, float), weight, total)
        for own, all_, total in (
            (counts.spans, pooled.spans, _total(pooled)),
            (counts.broken, pooled.broken, _total(pooled)),
            (counts.chain, pooled.chain, max(pooled.broken, 1)),
        )
    )
    segments = len(spans)
    result = np.zeros(1 << segments)
    for start, end in np.argwhere(spans > 0):
        result[(1 << (end + 1)) - (1 << start)] = spans[start, end]
    several = _chained(chain, segments)
    if broken > 0 and several.sum() > 0:
        result += several * (broken / several.sum())
    norm: Floats = result / result.sum()
    return norm


def _total(counts: MaskCounts) -> int:
    return int(np.sum(counts.spans)) + counts.broken


def _shrunk(own: Floats, pooled: Floats, weight: float, total: int) -> Floats:
    return own + weight * pooled / max(total, 1)


def _chained(chain: Floats, segments: int) -> Floats:
    """Chain probability of every mask with two runs or more, zero for the others (2**T,)."""
    rates = chain / np.maximum(chain.sum(1, keepdims=True), 1e-12)
    active = bits(segments).astype(int)
    result = rates[0, active[:, 0]]
    for time in range(1, segments):
        result = result * rates[1 + active[:, time - 1], active[:, time]]
    runs = active[:, 0] + (np.diff(active, axis=1) == 1).sum(1)
    chained: Floats = np.where(runs > 1, result, 0.0)
    return chained


@cache
def _related(relation: str, segments: int) -> NDArray[np.bool_]:
    """Whether a visual and an audio mask stand in a relation (2**T visual, 2**T audio)."""
    all_masks = np.arange(1 << segments)
    visual, audio = all_masks[:, None], all_masks[None, :]
    common = visual & audio
    differ = (visual > 0) & (audio > 0) & (visual != audio)
    within, around = common == audio, common == visual
    kinds = {"visual_contains": within, "audio_contains": around, "crossing": ~(within | around)}
    related: NDArray[np.bool_] = differ & kinds[relation]
    return related


def draw(rng: np.random.Generator, probabilities: Floats, number: int) -> Ints:
    """Draws masks, or any categories, by inverting the cumulated probabilities (n,)."""
    edges = np.cumsum(probabilities)
    drawn: Ints = np.searchsorted(edges, rng.random(number) * edges[-1], side="right")
    return drawn


def draw_pairs(
    rng: np.random.Generator, audio: Floats, visual: Floats, relation: str, number: int
) -> tuple[Ints, Ints]:
    """Draws an audio and a visual mask each from its distribution, given how they lie.

    Args:
        rng: Source of randomness.
        audio: Distribution of audio masks (2**T,).
        visual: Distribution of visual masks (2**T,).
        relation: One of ``RELATIONS`` but ``same``.
        number: How many pairs, n.

    Returns:
        Audio masks (n,) and visual masks (n,).
    """
    related = _related(relation, (len(audio) - 1).bit_length())
    # The product of both distributions restricted to the relation: the visual mask by its
    # marginal, then the audio mask among those that fit.
    edges = np.cumsum(np.where(related, audio, 0.0), axis=1)
    visual_masks = draw(rng, visual * edges[:, -1], number)
    uniform = rng.random(number) * edges[visual_masks, -1]
    audio_masks: Ints = (edges[visual_masks] <= uniform[:, None]).sum(1)
    return audio_masks, visual_masks
