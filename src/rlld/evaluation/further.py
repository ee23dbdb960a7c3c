"""The scores of other tasks and data sets, of a run on any split with dense annotation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlld.data.annotations import DenseRow, read_dense
from rlld.data.spec import ANNOTATIONS, LANES, annotation_file, dense_files
from rlld.data.split import Split
from rlld.errors import RlldError, nearest
from rlld.evaluation.decisions import Decisions
from rlld.metrics.averages import event_mean
from rlld.metrics.detection import Timed, detection_map, segment_map
from rlld.metrics.localisation import segment_accuracy
from rlld.metrics.moments import moment_precision
from rlld.metrics.sound_events import collar_f, psds
from rlld.types import AUDIO, VISUAL
from rlld.utils.runs import runs


@dataclass(frozen=True)
class Judged:
    """What a run says of videos, and what is true.

    Attributes:
        videos: The videos.
        probabilities: Of segments (N, T, 2, C).
        active: What is found (N, T, 2, C), bool.
    """

    videos: Split
    probabilities: Tensor
    active: Tensor

    def lane(self, values: Tensor, lane: str) -> Tensor:
        """Returns values (N, T, 2, C) of one lane (N, T, C); of both tracks the smaller ones."""
        if lane == "audio_visual":
            return values[:, :, AUDIO].minimum(values[:, :, VISUAL])
        return values[:, :, LANES.index(lane)]

    def by_video(self, values: Tensor) -> dict[str, NDArray[np.float32]]:
        """Returns values (N, T, C) by video, each as long as it is (T of it, C)."""
        split = self.videos
        counts = [values.shape[1]] * len(split) if split.lengths is None else split.lengths.tolist()
        return {
            video: own[:count].float().cpu().numpy()
            for video, own, count in zip(split.ids, values, counts, strict=True)
        }

    def true_events(self, lane: str) -> list[Timed]:
        """Returns the true events of a lane, with their own times and not those of segments."""
        rows = _true_rows(self.videos)
        if lane != "audio_visual":
            return [_timed(row) for row in rows[LANES.index(lane)]]
        if self.videos.spec.modalities == "joint":
            return [_timed(row) for row in rows[AUDIO]]
        return list(_common(*rows))

    def found_events(self, lane: str) -> list[Timed]:
        """Returns the events that are found in a lane, as sure as their segments on the mean."""
        seconds, classes = self.videos.spec.segment_seconds, self.videos.spec.classes
        sure = self.by_video(self.lane(self.probabilities, lane))
        active = self.by_video(self.lane(self.active, lane).to(torch.uint8))
        return [
            Timed(
                video,
                classes[label],
                first * seconds,
                last * seconds,
                float(sure[video][first:last, label].mean()),
            )
            for video, own in active.items()
            for label in np.flatnonzero(own.any(0)).tolist()
            for first, last in runs(own[:, label].astype(np.bool_))
        ]


def _true_rows(videos: Split) -> list[list[DenseRow]]:
    """Returns the rows of both dense files that are about some videos and mark something."""
    if videos.folder is None:
        raise RlldError(f"the {videos.name} split lies in no folder, whose annotation is needed")
    files = dense_files(videos.spec, videos.name)
    wanted = frozenset(videos.ids)
    return [
        [
            row
            for row in read_dense(
                annotation_file(videos.folder / ANNOTATIONS, file), videos.spec.taxonomy
            )
            if row.id in wanted and row.offset > row.onset
        ]
        for file in files
    ]


def _timed(row: DenseRow) -> Timed:
    return Timed(row.id, row.label, row.onset, row.offset)


def _common(heard: list[DenseRow], seen: list[DenseRow]) -> Iterator[Timed]:
    """Yields where an event is heard while one of its class is seen."""
    others = defaultdict(list)
    for row in seen:
        others[row.id, row.label].append(row)
    for row in heard:
        for other in others[row.id, row.label]:
            start, end = max(row.onset, other.onset), min(row.offset, other.offset)
            if start < end:
                yield Timed(row.id, row.label, start, end)


def _accuracy(judged: Judged, lane: str) -> dict[str, float]:
    if lane != "audio_visual":
        return {}
    videos = judged.videos
    truth = videos.require_dense()
    return {"accuracy": segment_accuracy(judged.probabilities, judged.active, truth, videos.mask)}


def _map(judged: Judged, lane: str) -> dict[str, float]:
    found = detection_map(judged.found_events(lane), judged.true_events(lane))
    named = {f"mAP@{threshold:.1f}": value for threshold, value in found.items()}
    return {"mAP": sum(found.values()) / len(found), **named} if found else {}


def _segment_map(judged: Judged, lane: str) -> dict[str, float]:
    """Of both tracks the product counts here, as LFAV has it."""
    truth = judged.by_video(judged.lane(judged.videos.require_dense().to(torch.uint8), lane))
    values = judged.probabilities
    own = values.prod(2) if lane == "audio_visual" else judged.lane(values, lane)
    found = judged.by_video(own)
    rows, true = (np.concatenate([each[video] for video in found]) for each in (found, truth))
    return {"segment mAP": segment_map(rows.astype(np.float64), true.astype(np.bool_))}


def _psds(judged: Judged, lane: str) -> dict[str, float]:
    spec = judged.videos.spec
    scores = judged.by_video(judged.lane(judged.probabilities, lane))
    return psds(scores, judged.true_events(lane), spec.classes, spec.segment_seconds)


def _collar(judged: Judged, lane: str) -> dict[str, float]:
    spec = judged.videos.spec
    found = judged.by_video(judged.lane(judged.active, lane))
    truth = judged.true_events(lane)
    return {"collar F": collar_f(found, truth, spec.classes, spec.segment_seconds)}


def _event_mean(judged: Judged, lane: str) -> dict[str, float]:
    return {"event F, mean": event_mean(judged.active, judged.videos.require_dense(), lane)}


def _moment_map(judged: Judged, lane: str) -> dict[str, float]:
    videos = judged.videos
    found = moment_precision(judged.probabilities, videos.require_dense(), videos.mask)
    return {"moment mAP": 100 * float(found.double().mean(0)[LANES.index(lane)])}


METRICS: Mapping[str, Callable[[Judged, str], dict[str, float]]] = {
    "accuracy": _accuracy,
    "map": _map,
    "segment-map": _segment_map,
    "psds": _psds,
    "collar": _collar,
    "event-mean": _event_mean,
    "moment-map": _moment_map,
}
"""Families of scores by name: what each says of a lane, in percent."""


def metric_names(names: Iterable[str]) -> tuple[str, ...]:
    """Returns names of families, once each.

    Raises:
        RlldError: If one is unknown.
    """
    found = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    for name in found:
        if name not in METRICS:
            raise RlldError(f"metrics: unknown score {name!r}{nearest(name, METRICS)}")
    return found


def further_scores(
    videos: Split, decided: Decisions, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Scores what a run decided as other tasks do.

    Args:
        videos: The videos, with dense annotation.
        decided: What was decided about them.
        names: Families of scores, of ``METRICS``.

    Returns:
        Percent by score, then by lane; lanes that the data set does not know are left out.

    Raises:
        RlldError: If a name is unknown, the videos have no dense annotation, or a package is
            missing.
    """
    videos.require_dense()
    judged = Judged(videos, decided.probabilities, decided.active)
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name in metric_names(names):
        for lane in videos.spec.lanes:
            for score, value in METRICS[name](judged, lane).items():
                found[score][lane] = value
    return dict(found)
