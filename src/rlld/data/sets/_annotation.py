"""From what a published data set says to the annotation files of a data-set folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlld.data.annotations import DenseRow, write_rows, write_weak
from rlld.data.answers import FILE, Answer, write_answers
from rlld.data.sets.base import SECONDS, PublishedSet, SetEvent, repaired
from rlld.data.spec import ANNOTATIONS, SPLITS, AnnotationFiles, DataSpec, Priors
from rlld.types import MODALITIES

TRUTH = ("truth_audio.csv", "truth_visual.csv")
KNOWN: dict[str, dict[str, Any]] = {
    "separate": {},
    "joint": {},
    "audio": {"selection.score": "segment_audio", "supervision.weight": 0.0},
}
"""Settings that choose weights by what is known, and teach nothing that is not."""


def spec_of(given: PublishedSet) -> DataSpec:
    """Returns what a published data set is, before it has features; segments last a second."""
    splits = {known.split for known in given.videos.values()}
    timed = {known.split for known in given.videos.values() if known.timed}
    told = [known for known in given.videos.values() if known.heard is not None]
    train = "train" in timed or any(known.split == "train" for known in told)
    answered = any(known.split == "validation" and not known.timed for known in told)
    audio, visual = ("audio.csv", "visual.csv") if timed - {"train"} else ("", "")
    files = AnnotationFiles(
        **{split: f"{split}.csv" if split in splits else "" for split in SPLITS},
        audio=audio,
        visual=visual,
        truth_audio=TRUTH[0] if train else "",
        truth_visual=TRUTH[1] if train else "",
        answers=FILE if answered else "",
    )
    return DataSpec(
        given.name,
        given.classes,
        segments=SECONDS,
        annotations=files,
        overrides=dict(KNOWN[given.modalities]),
        any_length=given.any_length,
        priors=Priors(tags=given.found_by),
        modalities=given.modalities,
    )


def annotate(
    out: Path, given: PublishedSet, spec: DataSpec, lengths: Mapping[str, float]
) -> list[tuple[SetEvent, str]]:
    """Writes annotation files of a data-set folder.

    Tags of training videos of which only the tracks are known are true from start to end, for
    nothing says when.

    Args:
        out: The data-set folder.
        given: What is published of the videos that it shall hold.
        spec: What ``spec_of`` returned for them.
        lengths: Seconds of every video.

    Returns:
        Events that make no sense as published, with what was done about them.
    """
    folder, files = out / ANNOTATIONS, spec.annotations
    index = {name: at for at, name in enumerate(spec.classes)}
    for split in SPLITS:
        ids = given.of(split)
        labels = np.zeros((len(ids), len(index)), np.uint8)
        for row, video in enumerate(ids):
            labels[row, [index[tag] for tag in given.videos[video].tags]] = 1
        if file := getattr(files, split):
            write_weak(folder / file, ids, labels, spec.taxonomy)
    ends = dict.fromkeys(given.videos, float(SECONDS)) if not given.any_length else lengths
    events, faults = repaired(given.events, ends)
    taught = {video for video, known in given.videos.items() if known.split == "train"}
    for modality, dense, truth in zip(
        MODALITIES,
        (files.audio, files.visual),
        (files.truth_audio, files.truth_visual),
        strict=True,
    ):
        own = [e for e in events if e.modality in (modality, "audio_visual")]
        if dense:
            write_rows(folder / dense, _dense(e for e in own if e.video not in taught))
        if truth:
            timed = _dense(e for e in own if e.video in taught)
            write_rows(folder / truth, [*timed, *_whole(given, modality, ends)])
    if files.answers:
        write_answers(folder / files.answers, _answers(given))
    return faults


def _dense(events: Iterable[SetEvent]) -> list[DenseRow]:
    return [DenseRow(e.video, e.onset, e.offset, e.label, 0) for e in events]


def _told(given: PublishedSet, split: str) -> Iterator[tuple[str, str, str, bool]]:
    """Yields video, tag, track and whether it holds there, of tags whose tracks alone are told."""
    for video, known in given.videos.items():
        if known.split != split or known.timed or known.heard is None or known.seen is None:
            continue
        for tag in known.tags:
            yield video, tag, MODALITIES[0], tag in known.heard
            yield video, tag, MODALITIES[1], tag in known.seen


def _whole(given: PublishedSet, modality: str, ends: Mapping[str, float]) -> list[DenseRow]:
    return [
        DenseRow(video, 0, ends[video], tag, 0)
        for video, tag, track, holds in _told(given, "train")
        if holds and track == modality
    ]


def _answers(given: PublishedSet) -> list[Answer]:
    return [Answer(*told) for told in _told(given, "validation")]
