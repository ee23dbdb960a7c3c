"""What similarities with class names mean, by the annotated videos of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rlld.data.annotations import WeakAnnotations, read_dense, read_weak
from rlld.data.spec import (
    ANNOTATIONS,
    VIDEOS,
    DataSpec,
    annotation_file,
    dense_files,
    read_spec,
    weak_files,
)
from rlld.data.store import read_store, store_path
from rlld.errors import RlldError
from rlld.media.files import clip_of, clips_of_videos
from rlld.open_classes.calibrated import Calibrated, CalibratedRule, Taught
from rlld.open_classes.named import words
from rlld.open_classes.similarities import Similarities
from rlld.parsing.zero_shot import SECONDS, compare
from rlld.types import MODALITIES
from rlld.workflows.zero_shot_scores import known_segments

if TYPE_CHECKING:
    from rlld.open_classes.named import Namer

SPLIT = "validation"
"""Whose videos teach: those of the test split are there to be found."""


@dataclass(frozen=True)
class Calibration:
    """What a data set teaches of class names.

    Attributes:
        taught: It, as the rule reads it.
        videos: Annotated videos that it was learnt from.
    """

    taught: Taught
    videos: int


def calibrated_by(folder: Path, namer: Namer) -> Calibration:
    """Learns what similarities mean from the annotated validation videos of a data set.

    Their features are those of the data set where it was extracted with the same extractors, else
    their clips are looked at.

    Args:
        folder: The data-set folder.
        namer: Knows the names; those that are classes of the data set, in small letters and with
            spaces for underscores, are taught.

    Raises:
        RlldError: If it has none of the classes, no annotated validation videos, segments of
            another length or events of both tracks as one, or clips are missing.
    """
    spec = read_spec(folder)
    places = _places(folder, spec, namer.classes)
    weak = _annotated(folder, spec)
    clips = [_first(clip, spec.segments) for clip in _compared(folder, spec, weak.ids, namer)]
    known = {}
    held = known_segments(folder, spec, SPLIT, weak, clips)
    for number, rows in enumerate(held):
        known[number] = np.full((len(rows), len(MODALITIES), len(namer.classes)), np.nan)
        known[number][:, :, list(places)] = rows[:, :, list(places.values())]
    rule = CalibratedRule(Calibrated(), namer.classes, known)
    heard, seen = (rule.learned(clips, modality) for modality in range(len(MODALITIES)))
    classes = np.isin(np.arange(len(namer.classes)), list(places))
    return Calibration(Taught((heard, seen), classes), len(clips))


def _places(folder: Path, spec: DataSpec, classes: tuple[str, ...]) -> dict[int, int]:
    """Returns where the data set has which of the classes, both by index."""
    if spec.segment_seconds != SECONDS:
        raise RlldError(
            f"--calibrate: {folder} has segments of {spec.segment_seconds:g} s, names are compared "
            f"with segments of {SECONDS:g} s; give a data set of these"
        )
    if spec.modalities != "separate":
        raise RlldError(
            f"--calibrate: {folder} does not say of both tracks by themselves what occurs in them "
            f"(modalities: {spec.modalities}); give a data set that does"
        )
    known = {words(name): place for place, name in enumerate(spec.classes)}
    asked = {number: known.get(words(name)) for number, name in enumerate(classes)}
    places = {number: place for number, place in asked.items() if place is not None}
    if not places:
        raise RlldError(
            f"--calibrate: {folder} has none of the classes, but {', '.join(spec.classes[:8])}"
            f"{', ...' if len(spec.classes) > 8 else ''}; call them as it does"
        )
    return places


def _annotated(folder: Path, spec: DataSpec) -> WeakAnnotations:
    """Returns the annotated validation videos with their tags."""
    files, weak_file = dense_files(spec, SPLIT, with_truth=False), weak_files(spec).get(SPLIT)
    if files and weak_file:
        weak = read_weak(annotation_file(folder / ANNOTATIONS, weak_file), spec.taxonomy)
        paths = [annotation_file(folder / ANNOTATIONS, file) for file in files]
        dense = {row.id for path in paths for row in read_dense(path, spec.taxonomy)}
        rows = [number for number, video in enumerate(weak.ids) if video in dense]
        if rows:
            return WeakAnnotations(tuple(weak.ids[row] for row in rows), weak.labels[rows])
    raise RlldError(
        f"--calibrate: {folder} has no annotated validation videos; say of some of them what is "
        "heard and seen when (rlld studio)"
    )


def _compared(
    folder: Path, spec: DataSpec, videos: tuple[str, ...], namer: Namer
) -> Iterator[Similarities]:
    path = store_path(folder, SPLIT)
    if spec.features_version == namer.extractor.version and path.is_file():
        store = read_store(path)
        for video in videos:
            if video not in store.ids:
                raise RlldError(f"{path}: lacks the annotated video {video!r}; extract it again")
            rows = store.video(store.ids.index(video))
            yield namer.similarities([{name: row.float().numpy() for name, row in rows.items()}])
        return
    clips = clips_of_videos(folder / VIDEOS)
    for video in videos:
        clip = clip_of(clips, video)
        if clip is None:
            raise RlldError(
                f"--calibrate: {folder / VIDEOS}: no clip of the annotated video {video!r}; bring "
                f"it, or its features (rlld extract {folder} --features {namer.encoders})"
            )
        yield compare(namer, clip).similarities


def _first(clip: Similarities, segments: int) -> Similarities:
    """Returns a clip without what lies behind the end of a video of the data set."""
    cut = slice(segments)
    return Similarities(clip.audio[cut], clip.visual[cut], clip.steady[: segments - 1])
