"""Published annotation that says of each tag whether its event is heard and whether it is seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rlld.data.annotations import read_dense, read_weak
from rlld.data.lines import read_bytes
from rlld.data.spec import LLP_FILES, LLP_SPEC, annotation_file
from rlld.errors import RlldError

SILENT = "silent"
"""What LFAV writes where a track holds no event."""
LFAV_FILE = "train_{}_weakly.csv"
VGGSOUNDER_COLUMNS = ("video_id", "label", "modality")
MODALITIES = {"A": (True, False), "V": (False, True), "AV": (True, True)}
"""What VGGSounder writes: heard, seen."""


class KnownTag(NamedTuple):
    """A tag of which both tracks were judged.

    Attributes:
        video: Id of the video.
        label: Class as its data set spells it.
        heard: Whether the event is heard.
        seen: Whether it is seen.
    """

    video: str
    label: str
    heard: bool
    seen: bool


def read_lfav(folder: Path) -> list[KnownTag]:
    """Reads the labels that LFAV gives each track of a training video; a tag is one of either.

    Args:
        folder: ``LFAV_dataset``, or the folder that holds ``train``, ``val``, ``test``.

    Raises:
        RlldError: If a file is missing or is none of LFAV's.
    """
    tracks = ("audio", "visual")
    heard, seen = (_lfav_labels(folder / "train" / LFAV_FILE.format(track)) for track in tracks)
    nothing: frozenset[str] = frozenset()
    return [
        KnownTag(
            video, label, label in heard.get(video, nothing), label in seen.get(video, nothing)
        )
        for video in {**heard, **seen}
        for label in sorted(heard.get(video, nothing) | seen.get(video, nothing))
    ]


def read_vggsounder(path: Path) -> list[KnownTag]:
    """Reads ``vggsounder.csv``.

    Raises:
        RlldError: If it is missing or another file.
    """
    tags = []
    for line, row in _rows(path, ",", VGGSOUNDER_COLUMNS):
        if row["modality"] not in MODALITIES:
            raise RlldError(
                f"{path}:{line}: modality is {row['modality']!r}, expected one of "
                f"{', '.join(MODALITIES)}; give VGGSounder's vggsounder.csv"
            )
        tags.append(KnownTag(row["video_id"], row["label"], *MODALITIES[row["modality"]]))
    return tags


def read_llp(folder: Path, splits: tuple[str, ...] = ("validation", "test")) -> list[KnownTag]:
    """Reads the tags of LLP's annotated videos beside their events.

    Args:
        folder: Folder of LLP's annotation files.
        splits: ``validation``, ``test`` or both.

    Raises:
        RlldError: If a file is missing or damaged.
    """
    perceived = [
        {
            (row.id, row.label)
            for row in read_dense(
                annotation_file(folder, name), LLP_SPEC.taxonomy, LLP_SPEC.duration
            )
            if row.offset > row.onset
        }
        for name in (LLP_FILES.audio, LLP_FILES.visual)
    ]
    tags = []
    for split in splits:
        name = getattr(LLP_FILES, split)
        weak = read_weak(annotation_file(folder, name), LLP_SPEC.taxonomy)
        for video, labels in zip(weak.ids, weak.labels, strict=True):
            for number in labels.nonzero()[0]:
                label = LLP_SPEC.classes[number]
                tags.append(KnownTag(video, label, *((video, label) in of for of in perceived)))
    return tags


def _lfav_labels(path: Path) -> dict[str, frozenset[str]]:
    found = {}
    for _, row in _rows(path, "\t", ("filename", "event_labels")):
        names = (name.strip() for name in row["event_labels"].split(","))
        found[row["filename"]] = frozenset(name for name in names if name not in ("", SILENT))
    return found


def _rows(
    path: Path, delimiter: str, columns: tuple[str, ...]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RlldError(f"{path}: no UTF-8 text ({error}); give the file as published") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise RlldError(
            f"{path}: has no column {missing[0]!r}, expected {', '.join(columns)}; give the file "
            "as published"
        )
    for row in reader:
        if any(row[name] is None for name in columns):
            raise RlldError(f"{path}:{reader.line_num}: too few cells; give the file as published")
        yield reader.line_num, row
