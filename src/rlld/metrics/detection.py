"""Mean average precision of events with times and confidence, as UnAV-100 and ActivityNet have it.

Source: the published evaluation of UnAV-100, which is that of ActivityNet and EPIC-KITCHENS.
Predicted events of a class are taken by falling confidence. Each takes the true event of its video
that it overlaps most and that no other has taken, if their intersection over union (tIoU) reaches a
threshold, and is a mistake otherwise. The average precision of a class is the area under its curve
of precision over recall, made monotone; the mean is over the classes that truly occur. LFAV ranks
segments in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = tuple(np.linspace(0.1, 0.9, 9).tolist())
"""Of tIoU, those of UnAV-100."""
SAME = 1e-3
"""Seconds by which a true event differs from another that repeats it."""

Floats = NDArray[np.float64]


class Timed(NamedTuple):
    """An event of a video.

    Attributes:
        video: Id of the video.
        label: Class.
        onset: Start in seconds.
        offset: End in seconds, larger than ``onset``.
        confidence: How certain it is; 1 for true events.
    """

    video: str
    label: str
    onset: float
    offset: float
    confidence: float = 1.0


def detection_map(
    predicted: Iterable[Timed],
    truth: Iterable[Timed],
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[float, float]:
    """Returns the mean average precision, in percent, by threshold of tIoU.

    Args:
        predicted: What was found.
        truth: What is true; events that repeat another within a millisecond count once.
        thresholds: Of tIoU, in (0, 1].

    Returns:
        By threshold; empty where no event is true.

    Examples:
        The surer of two events overlaps the true one by a half of their union, the other is it:

        >>> truth = [Timed("v", "Dog", 0, 4)]
        >>> found = [Timed("v", "Dog", 0, 2, 0.9), Timed("v", "Dog", 0, 4, 0.8)]
        >>> detection_map(found, truth, (0.5, 0.7))
        {0.5: 100.0, 0.7: 50.0}
    """
    true = _by_class(_once(truth))
    found = _by_class(predicted)
    if not true:
        return {}
    precisions = [
        [_average_precision(found.get(label, []), own, threshold) for threshold in thresholds]
        for label, own in true.items()
    ]
    means = 100 * np.mean(precisions, axis=0)
    return dict(zip(thresholds, means.tolist(), strict=True))


def segment_map(probabilities: Floats, truth: NDArray[np.bool_]) -> float:
    """Returns LFAV's mean average precision of segments, in percent; 100 where none is true.

    Segments of all videos are ranked together, class by class. The mean is over the classes that
    truly occur, of which the published code demands all.

    Args:
        probabilities: Of segments (R, C), in [0, 1], before gates.
        truth: What is true (R, C).

    Examples:
        The surest of three segments is right, the next is not, the last is:

        >>> right = np.array([[True], [False], [True]])
        >>> round(segment_map(np.array([[0.9], [0.8], [0.7]]), right), 1)
        83.3
    """
    counts = truth.sum(0)
    found = [
        _area(truth[np.argsort(probabilities[:, label], kind="stable")[::-1], label], count)
        for label, count in enumerate(counts.tolist())
        if count
    ]
    return 100 * float(np.mean(found)) if found else 100.0


def _by_class(events: Iterable[Timed]) -> dict[str, list[Timed]]:
    found: dict[str, list[Timed]] = defaultdict(list)
    for event in events:
        found[event.label].append(event)
    return dict(found)


def _once(events: Iterable[Timed]) -> list[Timed]:
    kept: dict[tuple[str, str], list[Timed]] = defaultdict(list)
    for event in events:
        own = kept[event.video, event.label]
        times = ((event.onset - other.onset, event.offset - other.offset) for other in own)
        if not any(max(abs(start), abs(end)) <= SAME for start, end in times):
            own.append(event)
    return [event for own in kept.values() for event in own]


def _average_precision(found: Sequence[Timed], true: Sequence[Timed], threshold: float) -> float:
    """Returns the average precision of a class, in [0, 1]."""
    times: dict[str, Floats] = {}
    for video in {event.video for event in true}:
        own = [(event.onset, event.offset) for event in true if event.video == video]
        times[video] = np.array(own, np.float64)
    taken = {video: np.zeros(len(own), np.bool_) for video, own in times.items()}
    order = np.argsort([event.confidence for event in found], kind="stable")[::-1]
    right = np.zeros(len(found), np.bool_)
    for rank, at in enumerate(order.tolist()):
        event = found[at]
        if event.video not in times:
            continue
        overlaps = _overlaps(event, times[event.video])
        free = np.flatnonzero(~taken[event.video] & (overlaps >= threshold))
        if len(free):
            best = free[np.argsort(overlaps[free], kind="stable")[-1]]
            taken[event.video][best] = right[rank] = True
    return _area(right, len(true))


def _overlaps(event: Timed, times: Floats) -> Floats:
    """Returns the intersection over union of an event with others (n, 2)."""
    both = np.minimum(event.offset, times[:, 1]) - np.maximum(event.onset, times[:, 0])
    both = both.clip(0)
    either = times[:, 1] - times[:, 0] + event.offset - event.onset - both
    overlap: Floats = both / either
    return overlap


def _area(right: NDArray[np.bool_], count: int) -> float:
    """Returns the area under precision over recall, each precision the best from there on."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / count)
