"""Examples of parses beside the truth: the best and the worst of some videos, as lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.evaluation.baselines import columns_of
from rlld.metrics.scores import LEVELS
from rlld.types import MODALITIES
from rlld.utils.runs import runs

SHOWN = 3
"""Of the best, and of the worst."""
LANES = 12


@dataclass(frozen=True)
class Span:
    """Where an event is.

    Attributes:
        start: Seconds.
        end: Seconds.
        left: Percent of the video.
        width: Percent of the video.
    """

    start: float
    end: float
    left: float
    width: float


@dataclass(frozen=True)
class Lane:
    """A class in a modality of a video: what was found, and what occurs."""

    label: str
    modality: str
    found: Sequence[Span]
    true: Sequence[Span]


@dataclass(frozen=True)
class Example:
    """A video, parsed.

    Attributes:
        video: Its id.
        segment: Its segment-level Type score, in percent.
        event: Its event-level Type score.
        duration: Seconds.
        tags: Its tags.
        lanes: What was found and what occurs, at most ``LANES``.
        more: How many lanes are left out.
    """

    video: str
    segment: float
    event: float
    duration: float
    tags: Sequence[str]
    lanes: Sequence[Lane]
    more: int = 0


def examples(
    videos: Split, predicted: Tensor, columns: Tensor
) -> tuple[list[Example], list[Example]]:
    """Returns the best and the worst parses among the videos in which something occurs.

    Args:
        videos: Videos with dense annotation.
        predicted: What was found in them (N, T, 2, C), bool.
        columns: Their eight values (N, 8), as in ``metrics.scores.COLUMNS``.
    """
    truth = videos.require_dense()
    segment, event = (100 * columns[:, columns_of(level)].mean(1) for level in LEVELS)
    some = truth.flatten(1).any(1).nonzero()[:, 0].to(columns.device)
    order = some[torch.argsort(segment[some] + event[some], stable=True)].tolist()
    count = min(SHOWN, len(order) // 2)

    def example(number: int) -> Example:
        lanes = _lanes(videos, number, predicted[number].cpu(), truth[number].cpu())
        spec = videos.spec
        tags = [spec.classes[c] for c in videos.labels[number].nonzero()[:, 0].tolist()]
        score = float(segment[number]), float(event[number])
        seconds = segments_of(videos, number) * spec.segment_seconds
        return Example(videos.ids[number], *score, seconds, tags, lanes[:LANES], len(lanes[LANES:]))

    best = [example(number) for number in reversed(order[len(order) - count :])]
    return best, [example(number) for number in order[:count]]


def spans_of(active: Tensor, segment_seconds: float) -> list[Span]:
    """Returns the events of a video, class and modality.

    Args:
        active: Its segments (S,), bool.
        segment_seconds: Length of a segment.
    """
    return [
        Span(
            first * segment_seconds,
            last * segment_seconds,
            100 * first / len(active),
            100 * (last - first) / len(active),
        )
        for first, last in runs(active.numpy())
    ]


def segments_of(videos: Split, number: int) -> int:
    """Returns how many segments a video has."""
    return videos.spec.segments if videos.lengths is None else int(videos.lengths[number])


def _lanes(videos: Split, number: int, found: Tensor, true: Tensor) -> list[Lane]:
    segments, spec = segments_of(videos, number), videos.spec

    def spans(active: Tensor) -> list[Span]:
        return spans_of(active[:segments], spec.segment_seconds)

    return [
        Lane(label, modality, spans(found[:, m, c]), spans(true[:, m, c]))
        for c, label in enumerate(spec.classes)
        for m, modality in enumerate(MODALITIES)
        if bool((found[:, m, c] | true[:, m, c]).any())
    ]
