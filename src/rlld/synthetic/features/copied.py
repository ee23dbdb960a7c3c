"""Labels from real annotation files; training events are copied from annotated videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.spec import SPLITS, AnnotationFiles, DataSpec, annotation_file
from rlld.synthetic.features.labels import SplitLabels

TWINS = 5
"""Annotated videos of equal labels from which a whole video is copied."""


def read_annotations(
    folder: Path, names: AnnotationFiles, spec: DataSpec
) -> dict[str, SplitLabels]:
    """Reads weak and dense labels of all splits; training videos have no events yet.

    Raises:
        RlldError: If a file is missing or damaged.
    """
    rows = [
        read_dense(annotation_file(folder, name), spec.taxonomy, spec.duration)
        for name in (names.audio, names.visual)
    ]
    labels = {}
    for split, name in zip(SPLITS, (names.train, names.validation, names.test), strict=True):
        weak = read_weak(annotation_file(folder, name), spec.taxonomy)
        events = np.stack([rasterise(of, weak.ids, spec) for of in rows], axis=2)
        labels[split] = SplitLabels(weak.ids, weak.labels, events)
    return labels


def copy_events(
    weak: NDArray[np.uint8],
    annotated: NDArray[np.uint8],
    events: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Gives weakly labelled videos the events of annotated ones.

    A label set that at least five annotated videos have takes all events of a random one of them;
    any other takes, class by class, the events of a random annotated video with that class. Half
    of the videos are reversed in time, both modalities together.

    Args:
        weak: Weak labels (N, C) of the videos to fill.
        annotated: Weak labels (M, C) of annotated videos.
        events: Their events (M, T, 2, C).
        rng: Source of randomness.

    Returns:
        Events (N, T, 2, C).
    """
    result = np.zeros((len(weak), *events.shape[1:]), np.bool_)
    for labels in np.unique(weak, axis=0):
        videos = np.flatnonzero((weak == labels).all(1))
        twins = np.flatnonzero((annotated == labels).all(1))
        if len(twins) >= TWINS:
            result[videos] = events[rng.choice(twins, len(videos))]
            continue
        for label in np.flatnonzero(labels):
            donors = np.flatnonzero(annotated[:, label])
            if len(donors):
                chosen = rng.choice(donors, len(videos))
                result[videos, :, :, label] = events[chosen][..., label]
    backwards = rng.random(len(weak)) < 0.5
    result[backwards] = result[backwards, ::-1]
    return result


def copied_labels(
    folder: Path, names: AnnotationFiles, spec: DataSpec, rng: np.random.Generator
) -> dict[str, SplitLabels]:
    """Reads all splits and gives the training videos the events of annotated ones.

    Raises:
        RlldError: If a file is missing or damaged.
    """
    labels = read_annotations(folder, names, spec)
    annotated = [labels[split] for split in SPLITS[1:]]
    weak = np.concatenate([split.weak for split in annotated])
    events = np.concatenate([split.events for split in annotated])
    train = labels["train"]
    copied = copy_events(train.weak, weak, events, rng)
    return {**labels, "train": SplitLabels(train.ids, train.weak, copied)}
