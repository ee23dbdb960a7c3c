"""Known events of a clip, to be shown beside the parsed ones."""

from __future__ import annotations

from pathlib import Path

from rlld.data.annotations import DenseRow, Interval, read_dense, union
from rlld.data.spec import AnnotationFiles, DataSpec, annotation_file
from rlld.errors import RlldError
from rlld.parsing.result import Event
from rlld.types import Modality


def known_events(folder: Path, video: str, spec: DataSpec) -> tuple[Event, ...] | None:
    """Reads the dense annotation of a video.

    Args:
        folder: Annotation folder with the file names that ``spec.annotations`` says, or the usual
            ones where the data set had no annotated events.
        video: Its id, or the part of it before the times (``BjCEufrlXm4`` of
            ``BjCEufrlXm4_20_30``) where only one id begins so.
        spec: The data set.

    Returns:
        Audible, visible and audio-visual events with confidence 1; None when the files do not
        name the video.

    Raises:
        RlldError: If the folder or its audio or visual file is missing or wrong.
    """
    # A run that learnt from tags alone knows no names; events may have come later.
    files = spec.annotations if spec.annotations.audio else AnnotationFiles()
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; give one with {files.audio}")
    audible = _rows(folder, (files.audio, files.truth_audio), spec)
    visible = _rows(folder, (files.visual, files.truth_visual), spec)
    name = _match(video, {row.id for row in (*audible, *visible)})
    if name is None:
        return None
    found: list[Event] = []
    for label in spec.classes:
        heard, seen = (
            union((r.onset, r.offset) for r in rows if r.id == name and r.label == label)
            for rows in (audible, visible)
        )
        kinds: tuple[tuple[Modality, list[Interval]], ...] = (
            ("audio", heard),
            ("visual", seen),
            ("audio_visual", overlap(heard, seen)),
        )
        for modality, intervals in kinds:
            found += [Event(label, modality, start, end, 1.0) for start, end in intervals]
    return tuple(found)


def overlap(first: list[Interval], second: list[Interval]) -> list[Interval]:
    """Returns where two lists of disjoint intervals both hold."""
    common = [(max(a, c), min(b, d)) for a, b in first for c, d in second if max(a, c) < min(b, d)]
    return sorted(common)


def _rows(folder: Path, names: tuple[str, str], spec: DataSpec) -> list[DenseRow]:
    required, optional = names
    rows = read_dense(annotation_file(folder, required), spec.taxonomy)
    if optional and (file := annotation_file(folder, optional)).is_file():
        rows += read_dense(file, spec.taxonomy)
    return rows


def _match(video: str, ids: set[str]) -> str | None:
    if video in ids:
        return video
    longer = [name for name in ids if name.startswith(f"{video}_")]
    return longer[0] if len(longer) == 1 else None
