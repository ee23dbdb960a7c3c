"""The ten F-scores written plainly, video by video and class by class, in NumPy.

Slow on purpose: nothing is shared with the fast scores, so that each can be checked against the
other. Maps are bool or 0/1 arrays (T, 2, C) of one video; modality 0 is audio, 1 is visual.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.bool_]
Triple = tuple[int, int, int]


def ten_scores(predicted: Map, truth: Map, iou: float = 0.5) -> list[float]:
    """Returns the ten percentages, in the published order, of maps (N, T, 2, C)."""
    return ten_from_rows([video_scores(p, g, iou) for p, g in zip(predicted, truth, strict=True)])


def ten_from_rows(rows: list[list[float]]) -> list[float]:
    """Returns the ten percentages from the eight values of each video."""
    averages = np.mean(rows, axis=0)
    result: list[float] = []
    for audio, visual, both, event in (averages[:4], averages[4:]):
        result += [audio, visual, both, (audio + visual + both) / 3, event]
    return [100 * float(value) for value in result]


def video_scores(predicted: Map, truth: Map, iou: float = 0.5) -> list[float]:
    """Returns the eight values of one video: audio, visual, audio-visual, Event at both levels."""
    segments = [
        [segment_counts(p, g) for p, g in zip(ps, gs, strict=True)]
        for ps, gs in zip(tracks(predicted), tracks(truth), strict=True)
    ]
    events = video_event_counts(predicted, truth, iou)
    return _four_scores(segments) + _four_scores(events)


def video_event_counts(predicted: Map, truth: Map, iou: float = 0.5) -> list[list[Triple]]:
    """Returns TP, FP and FN of events, by modality and class."""
    return [
        [event_counts(p, g, iou) for p, g in zip(ps, gs, strict=True)]
        for ps, gs in zip(tracks(predicted), tracks(truth), strict=True)
    ]


def tracks(maps: Map) -> list[Map]:
    """Returns the audio, visual and audio-visual map of a video, (C, T) each."""
    audio = maps[:, 0].T.astype(bool)
    visual = maps[:, 1].T.astype(bool)
    return [audio, visual, audio & visual]


def segment_counts(predicted: Map, truth: Map) -> Triple:
    """Returns TP, FP and FN of the segments (T,) of one class."""
    tp = int(np.sum(predicted & truth))
    fp = int(np.sum(predicted & ~truth))
    fn = int(np.sum(~predicted & truth))
    return tp, fp, fn


def event_counts(predicted: Map, truth: Map, iou: float = 0.5) -> Triple:
    """Returns TP, FP and FN of the events in (T,) of one class: any match makes a hit."""
    predicted_events, true_events = runs(predicted), runs(truth)
    tp = sum(any(match(p, g, iou) for g in true_events) for p in predicted_events)
    found = sum(any(match(p, g, iou) for p in predicted_events) for g in true_events)
    return tp, len(predicted_events) - tp, len(true_events) - found


def runs(active: Map) -> list[set[int]]:
    """Returns the maximal runs of active segments, each as the set of its segments."""
    events: list[set[int]] = []
    current: set[int] = set()
    for segment, on in enumerate(active):
        if on:
            current.add(segment)
        elif current:
            events.append(current)
            current = set()
    return [*events, current] if current else events


def match(first: set[int], second: set[int], iou: float) -> bool:
    """Whether two events overlap enough; a tie matches."""
    # Division rounds correctly, so a fraction equal to the decimal threshold compares equal.
    return len(first & second) / len(first | second) >= iou


def _four_scores(counts: list[list[Triple]]) -> list[float]:
    audio, visual, both = counts
    pooled = [(a[0] + v[0], a[1] + v[1], a[2] + v[2]) for a, v in zip(audio, visual, strict=True)]
    return [_mean_f(classes) for classes in (audio, visual, both, pooled)]


def _mean_f(classes: list[Triple]) -> float:
    """Averages F over the classes predicted or present; 1 when there is none."""
    values = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in classes if tp + fp > 0 or tp + fn > 0]
    return sum(values) / len(values) if values else 1.0
