"""Labels and events drawn from aggregate statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlld.synthetic.features import masks
from rlld.synthetic.features.labels import SplitLabels
from rlld.synthetic.features.statistics import (
    COMPANY,
    ROLES,
    STATES,
    LabelCounts,
    LabelStatistics,
    shared_time,
)

SHRINKAGE = 4.0
"""How many observations the average over classes counts for where a class was seen rarely."""

EXCHANGED = 0.15
"""Share of the videos of a class that are offered an exchange at once."""

ROUNDS = 50
"""Rounds of exchanges after which the last result is good enough."""


def draw_labels(
    statistics: LabelStatistics, counts: LabelCounts, ids: tuple[str, ...], rng: np.random.Generator
) -> SplitLabels:
    """Draws weak labels and the events behind them.

    Args:
        statistics: What the events look like.
        counts: Which weak labels are given: those of training or of annotated videos.
        ids: Video ids, N of them.
        rng: Source of randomness.
    """
    weak = draw_weak(counts, len(ids), rng)
    return SplitLabels(ids, weak, draw_events(statistics, weak, rng))


def draw_events(
    statistics: LabelStatistics, weak: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draws the events (N, T, 2, C) behind weak labels (N, C), missing labels included."""
    states = draw_states(statistics, weak, rng)
    _add_extra(statistics, weak, states, rng)
    codes = draw_masks(statistics, states, rng)
    active = masks.bits(statistics.segments)[codes]
    events = np.ascontiguousarray(active.transpose(0, 3, 1, 2))
    _take_turns(statistics, events, rng)
    return events


def draw_weak(counts: LabelCounts, number: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draws weak labels (N, C).

    One label follows the frequency of single classes, two that of pairs. Three and more start
    with a pair and add classes by the naive Bayes rule from pairs that occur in such videos.
    """
    classes = len(counts.alone)
    weak = np.zeros((number, classes), np.uint8)
    sizes = masks.draw(rng, np.asarray(counts.number, float), number)
    single, double = np.flatnonzero(sizes == 1), np.flatnonzero(sizes == 2)
    weak[single, masks.draw(rng, np.asarray(counts.alone, float), len(single))] = 1
    pairs = masks.draw(rng, np.asarray(counts.pairs, float).ravel(), len(double))
    weak[double, pairs // classes] = 1
    weak[double, pairs % classes] = 1
    company = np.asarray(counts.company, float)
    frequency = np.maximum(company.diagonal(), 1.0)
    for video in np.flatnonzero(sizes >= COMPANY):
        chosen = [*divmod(int(masks.draw(rng, np.triu(company, 1).ravel(), 1)[0]), classes)]
        while len(chosen) < sizes[video]:
            likely = frequency * (company[chosen] / frequency).prod(0)
            likely[chosen] = 0.0
            if not likely.any():
                likely = company[chosen].sum(0)
                likely[chosen] = 0.0
            if not likely.any():
                break
            chosen.append(int(masks.draw(rng, likely, 1)[0]))
        weak[video, chosen] = 1
    return weak


def draw_states(
    statistics: LabelStatistics, weak: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draws in which modality each label is perceived (N, C), an index into ``STATES``.

    Absent labels are ``neither``. The chance depends on the class and on whether the video has
    one, two or more labels: the more labels, the more of them are noise.
    """
    states = np.full(weak.shape, STATES.index("neither"))
    company = np.minimum(weak.sum(1), COMPANY) - 1
    seen = np.asarray(statistics.states, float)
    every = seen.sum(1, keepdims=True)
    chances = seen + SHRINKAGE * every / np.maximum(every.sum(-1, keepdims=True), 1.0)
    for label, number in np.ndindex(seen.shape[:2]):
        videos = np.flatnonzero((weak[:, label] > 0) & (company == number))
        states[videos, label] = masks.draw(rng, chances[label, number], len(videos))
    return states


def _add_extra(
    statistics: LabelStatistics,
    weak: NDArray[np.uint8],
    states: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Adds events that no weak label names."""
    kinds = np.asarray(statistics.extra_states, float)
    chances = np.asarray(statistics.extra_number, float)
    for video, times in enumerate(masks.draw(rng, chances, len(states))):
        free = kinds * (weak[video] == 0)[:, None]
        for _ in range(int(times) if free.any() else 0):
            label, state = divmod(int(masks.draw(rng, free.ravel(), 1)[0]), kinds.shape[1])
            states[video, label] = state


def draw_masks(
    statistics: LabelStatistics, states: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draws when each event is perceived: bit masks over the segments (N, 2, C)."""
    codes = np.zeros((len(states), 2, states.shape[1]), np.int64)
    pooled = {role: _pooled(statistics.masks[role]) for role in ROLES}
    related = np.asarray(statistics.relations, float)
    shares = related + SHRINKAGE * related.sum(0) / max(related.sum(), 1.0)
    for label in np.flatnonzero((states != STATES.index("neither")).any(0)):
        chance = {
            role: masks.distribution(statistics.masks[role][label], pooled[role], SHRINKAGE)
            for role in ROLES
        }
        videos = {
            state: np.flatnonzero(states[:, label] == number) for number, state in enumerate(STATES)
        }
        for modality, state in enumerate(STATES[1:3]):
            alone = masks.draw(rng, chance[f"{state}_alone"], len(videos[state]))
            codes[videos[state], modality, label] = alone
        relation = masks.draw(rng, shares[label], len(videos["both"]))
        for number, name in enumerate(masks.RELATIONS):
            chosen = videos["both"][relation == number]
            if not len(chosen):
                continue
            if name == "same":
                audio = visual = masks.draw(rng, chance["same"], len(chosen))
            else:
                audio, visual = masks.draw_pairs(
                    rng, chance["audio"], chance["visual"], name, len(chosen)
                )
            codes[chosen, 0, label] = audio
            codes[chosen, 1, label] = visual
    return codes


def _take_turns(
    statistics: LabelStatistics, events: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Lets the events of a video avoid each other in time as often as real ones do, in place.

    Speech pauses where a dog barks; events drawn one by one ignore each other. Two videos that
    perceive a class in the same modalities exchange its events where that leaves fewer segments
    crowded, until the audible classes of a video share no more time than the statistics say. No
    distribution of the events of a class is changed by that.
    """
    if statistics.pairs_in_time < 1:
        return
    target = statistics.shared_segments / (statistics.pairs_in_time * statistics.segments)
    crowd = events.sum(-1, dtype=np.int64)
    for _ in range(ROUNDS):
        segments, pairs = shared_time(events)
        if segments <= target * pairs * statistics.segments:
            break
        for label in rng.permutation(events.shape[-1]):
            _exchange(events, crowd, int(label), rng)


def _exchange(
    events: NDArray[np.bool_], crowd: NDArray[np.int64], label: int, rng: np.random.Generator
) -> None:
    """Offers pairs of videos an exchange of one class; keeps ``crowd`` (N, T, 2) up to date."""
    perceived = events[..., label].any(1)
    for state in ((True, True), (True, False), (False, True)):
        videos = np.flatnonzero((perceived == state).all(1))
        videos = rng.permutation(videos[rng.random(len(videos)) < EXCHANGED])
        half = len(videos) // 2
        if not half:
            continue
        one, two = videos[:half], videos[half : 2 * half]
        gained = events[two, ..., label].astype(np.int64) - events[one, ..., label]
        # What the others take up in both videos; their own event counts in neither.
        difference = (crowd[one] - events[one, ..., label]) - (crowd[two] - events[two, ..., label])
        better = (gained * difference).sum((1, 2)) < 0
        one, two, gained = one[better], two[better], gained[better]
        events[one, ..., label] ^= gained != 0
        events[two, ..., label] ^= gained != 0
        crowd[one] += gained
        crowd[two] -= gained


def _pooled(counts: Sequence[masks.MaskCounts]) -> masks.MaskCounts:
    spans = np.sum([count.spans for count in counts], axis=0)
    chain = np.sum([count.chain for count in counts], axis=0)
    return masks.MaskCounts(
        tuple(map(tuple, spans.tolist())),
        sum(count.broken for count in counts),
        tuple(map(tuple, chain.tolist())),
    )
