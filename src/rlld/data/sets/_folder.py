"""From a data-set folder to what published files say, so that any data set can be written so."""

from __future__ import annotations

from pathlib import Path

from rlld.data.annotations import DenseRow, read_dense, read_weak
from rlld.data.sets.base import PublishedSet, SetEvent, Video
from rlld.data.spec import (
    ANNOTATIONS,
    LANES,
    SPLITS,
    annotation_file,
    dense_files,
    read_spec,
    weak_files,
)
from rlld.types import Modality


def as_published(folder: Path) -> PublishedSet:
    """Returns what the annotation of a data-set folder says, for the ``write`` of a module.

    Args:
        folder: The data-set folder, with or without features.

    Raises:
        RlldError: If it is none, or a file is wrong.
    """
    spec = read_spec(folder)
    videos: dict[str, Video] = {}
    events: dict[SetEvent, None] = {}
    for split in SPLITS:
        file = weak_files(spec).get(split)
        if file is None:
            continue
        weak = read_weak(annotation_file(folder / ANNOTATIONS, file), spec.taxonomy)
        files = dense_files(spec, split)
        for video, labels in zip(weak.ids, weak.labels, strict=True):
            tags = tuple(spec.classes[at] for at in labels.nonzero()[0])
            videos[video] = Video(split, tags, bool(files), youtube=video)
        for lane, name in zip(LANES, files, strict=False):
            path = annotation_file(folder / ANNOTATIONS, name)
            for row in read_dense(path, spec.taxonomy):
                if row.id in weak.ids:
                    event = _event(row, "audio_visual" if spec.modalities == "joint" else lane)
                    events[event] = None  # of a joint set both files say the same
    return PublishedSet(
        spec.name, spec.classes, videos, tuple(events), spec.modalities, spec.any_length
    )


def _event(row: DenseRow, lane: Modality) -> SetEvent:
    return SetEvent(row.id, row.label, lane, row.onset, row.offset)
