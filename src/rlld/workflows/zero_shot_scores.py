"""Scores of segments as log odds, by what similarities mean in a whole data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import WeakAnnotations, rasterise, read_dense
from rlld.data.spec import ANNOTATIONS, DataSpec, annotation_file, dense_files
from rlld.open_classes.calibrated import Calibrated, CalibratedRule
from rlld.open_classes.mixture import CERTAIN
from rlld.open_classes.similarities import Similarities, from_scores
from rlld.types import MODALITIES

Scores = Mapping[str, NDArray[np.float32]]
LEARNT_FROM = ("train", "validation")
"""Splits that say what similarities mean; the test split only gets its scores by it."""


def calibrated_scores(
    folder: Path,
    spec: DataSpec,
    labels: Mapping[str, WeakAnnotations],
    scored: Mapping[str, Iterable[Scores]],
) -> dict[str, list[dict[str, NDArray[np.float32]]]]:
    """Makes log odds of similarities, so that 0 is as likely as not for every class.

    A class that a video is not tagged with is absent from it, and so are annotated videos known
    segment by segment. Tags alone do not say whether a class is heard, or seen.

    Args:
        folder: The data-set folder.
        spec: The data set.
        labels: Its weak labels by split.
        scored: Similarities of the videos of each split by modality, (T, C) each.

    Returns:
        Log odds of the videos of each split by modality; -60 in segments without sound or picture.
    """
    clips = {split: [_clip(scores) for scores in rows] for split, rows in scored.items()}
    known = {
        split: known_segments(folder, spec, split, labels[split], clips[split])
        for split in LEARNT_FROM
        if split in clips
    }
    every = [clip for split in known for clip in clips[split]]
    told = dict(enumerate(held for rows in known.values() for held in rows))
    rule = CalibratedRule(Calibrated(), spec.classes, told)
    learned = [rule.learned(every, modality) for modality in range(len(MODALITIES))]
    return {
        split: [
            {
                name: np.nan_to_num(learned[number].odds(clip.part(number)), nan=-CERTAIN).astype(
                    np.float32
                )
                for number, name in enumerate(MODALITIES)
            }
            for clip in rows
        ]
        for split, rows in clips.items()
    }


def _clip(scores: Scores) -> Similarities:
    heard, seen = (scores[modality].astype(np.float64) for modality in MODALITIES)
    return from_scores(heard, seen, np.ones(len(heard) - 1))


def known_segments(
    folder: Path,
    spec: DataSpec,
    split: str,
    weak: WeakAnnotations,
    clips: list[Similarities],
) -> list[NDArray[np.float64]]:
    """Returns what is known of the segments of each video (S, 2, C), NaN where nothing is."""
    files = dense_files(spec, split, with_truth=False)
    annotated: set[str] = set()
    maps = None
    if files:
        places = [annotation_file(folder / ANNOTATIONS, file) for file in files]
        dense = [read_dense(place, spec.taxonomy) for place in places]
        annotated = {row.id for rows in dense for row in rows}
        maps = np.stack([rasterise(rows, weak.ids, spec) for rows in dense], axis=2)
    result = []
    for number, (video, clip) in enumerate(zip(weak.ids, clips, strict=True)):
        held = np.full((len(clip), 2, len(spec.classes)), np.nan)
        if maps is not None and video in annotated:
            held[:] = maps[number, : len(clip)]
        held[:, :, weak.labels[number] == 0] = 0
        result.append(held)
    return result
