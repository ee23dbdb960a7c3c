"""The ten F-scores and their variants written plainly, video by video and class by class, in NumPy.

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


def class_macro_scores(predicted: Map, truth: Map, iou: float = 0.5) -> list[float]:
    """Returns the ten percentages as means over classes, whose counts are over all videos."""
    return ten_from_rows([_of_counts(*_split_counts(predicted, truth, iou))])


def micro_scores(predicted: Map, truth: Map, iou: float = 0.5) -> list[float]:
    """Returns the ten percentages of counts over all classes and videos."""
    levels = _split_counts(predicted, truth, iou)
    together = [[[_added(classes)] for classes in level] for level in levels]
    return ten_from_rows([_of_counts(*together)])


def exclusive_scores(predicted: Map, truth: Map, iou: float = 0.5) -> list[float]:
    """Returns CoLeaF's ten percentages: audio and visual where the other modality is silent."""
    rows = []
    for p, g in zip(predicted, truth, strict=True):
        pairs = list(zip(_only_tracks(p), _only_tracks(g), strict=True))
        segments = [segment_counts(*pair) for pair in pairs]
        events = [[event_counts(*each, iou) for each in zip(*pair, strict=True)] for pair in pairs]
        rows.append(_of_counts(segments, events))
    return ten_from_rows(rows)


def _only_tracks(maps: Map) -> list[Map]:
    audio, visual, both = tracks(maps)
    return [audio & ~visual, visual & ~audio, both]


def _split_counts(predicted: Map, truth: Map, iou: float) -> list[list[list[Triple]]]:
    """Returns TP, FP and FN over all videos: by level, modality and class."""
    levels: list[list[list[list[Triple]]]] = [[], []]
    for p, g in zip(predicted, truth, strict=True):
        pairs = zip(tracks(p), tracks(g), strict=True)
        levels[0].append([segment_counts(*pair) for pair in pairs])
        levels[1].append(video_event_counts(p, g, iou))
    return [
        [
            [
                _added([video[modality][label] for video in videos])
                for label in range(truth.shape[3])
            ]
            for modality in range(3)
        ]
        for videos in levels
    ]


def _added(counts: list[Triple]) -> Triple:
    tp, fp, fn = (sum(count[place] for count in counts) for place in range(3))
    return tp, fp, fn


def _of_counts(segments: list[list[Triple]], events: list[list[Triple]]) -> list[float]:
    return _four_scores(segments) + _four_scores(events)


def video_scores(predicted: Map, truth: Map, iou: float = 0.5) -> list[float]:
    """Returns the eight values of one video: audio, visual, audio-visual, Event at both levels."""
    segments = [segment_counts(p, g) for p, g in zip(tracks(predicted), tracks(truth), strict=True)]
    return _of_counts(segments, video_event_counts(predicted, truth, iou))


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


def segment_counts(predicted: Map, truth: Map) -> list[Triple]:
    """Returns TP, FP and FN of the segments of each class, of maps (C, T)."""
    p, g = predicted.astype(float), truth.astype(float)
    tp = np.sum(p * g, axis=1).astype(int)
    fp = np.sum(p * (1 - g), axis=1).astype(int)
    fn = np.sum((1 - p) * g, axis=1).astype(int)
    return list(zip(tp.tolist(), fp.tolist(), fn.tolist(), strict=True))


def event_counts(predicted: Map, truth: Map, iou: float = 0.5) -> Triple:
    """Returns TP, FP and FN of the events in (T,) of one class: any match makes a hit."""
    predicted_events, true_events = runs(predicted), runs(truth)
    tp = sum(any(match(p, g, iou) for g in true_events) for p in predicted_events)
    found = sum(any(match(p, g, iou) for p in predicted_events) for g in true_events)
    return tp, len(predicted_events) - tp, len(true_events) - found


def runs(active: Map) -> list[Map]:
    """Returns the maximal runs of active segments, each as a map (T,) of its own."""
    events: list[Map] = []
    inside = False
    for segment, on in enumerate(active):
        if on and not inside:
            events.append(np.zeros(len(active), dtype=bool))
        if on:
            events[-1][segment] = True
        inside = bool(on)
    return events


def match(first: Map, second: Map, iou: float) -> bool:
    """Whether two events overlap enough; a tie matches."""
    # Division rounds correctly, so a fraction equal to the decimal threshold compares equal.
    return bool(np.sum(first & second) / np.sum(first | second) >= iou)


def _four_scores(counts: list[list[Triple]]) -> list[float]:
    audio, visual, both = counts
    pooled = [(a[0] + v[0], a[1] + v[1], a[2] + v[2]) for a, v in zip(audio, visual, strict=True)]
    return [_mean_f(classes) for classes in (audio, visual, both, pooled)]


def _mean_f(classes: list[Triple]) -> float:
    """Averages F over the classes predicted or present; 1 when there is none."""
    values = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in classes if tp + fp > 0 or tp + fn > 0]
    return sum(values) / len(values) if values else 1.0
