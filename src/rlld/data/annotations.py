r"""Annotation files: tab-separated text in the published format of LLP, read and written.

A *weak* file has the columns ``filename`` and ``event_labels`` (class names joined by commas), a
*dense* file ``filename``, ``onset``, ``offset`` and ``event_labels`` (one class per row, times in
seconds, the offset exclusive). The first line is the header. Readers accept Windows line ends, a
byte order mark and the quotes that spreadsheets put around cells; everything else that is not the
format is an error at its line.

Video ids are matched whole. Rows of one video need not be adjacent, and rows of unknown videos
are allowed: the dense files of LLP serve two splits and hold some ids of neither.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlld.data.lines import read_bytes, rows_below
from rlld.data.problems import Problem, Report, strict
from rlld.data.spec import annotation_file, weak_files
from rlld.errors import RlldError, nearest
from rlld.utils.files import write_text
from rlld.utils.sheets import number_text

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec
    from rlld.taxonomy import Taxonomy

Interval = tuple[float, float]

WEAK_HEADER = ("filename", "event_labels")
DENSE_HEADER = ("filename", "onset", "offset", "event_labels")
YOUTUBE_ID = 11
"""Characters at the start of an LLP id that are the id of the whole YouTube video."""

LLP_AUDIO_VERSIONS = {
    "d5435664668bec6e7eafb39059d2f424ed2682f6b55395262fc3cb691b7d0778": (
        "the corrected LLP audio file (134,355 bytes)"
    ),
    "249122f65501d8d611c0027a48643798fe622bedee60f7e6224b5a8e3c02f886": (
        "the damaged LLP audio file (134,360 bytes) that published scores were computed with; "
        "rows 930, 931 and 2449 name no video"
    ),
}
"""The two versions of ``AVVP_eval_audio.csv`` in circulation, by SHA-256."""


@dataclass(frozen=True)
class WeakAnnotations:
    """Weak labels of a split, in file order.

    Attributes:
        ids: Video ids, N of them, unique.
        labels: (N, C) of 0 and 1, uint8.
    """

    ids: tuple[str, ...]
    labels: NDArray[np.uint8]


class DenseRow(NamedTuple):
    """One row of a dense file.

    Attributes:
        id: Video id.
        onset: Start in seconds.
        offset: End in seconds, exclusive; may equal or precede the onset, which marks nothing.
        label: Class name.
        line: Line in the file, counted from 1.
    """

    id: str
    onset: float
    offset: float
    label: str
    line: int


def read_weak(path: Path, taxonomy: Taxonomy, report: Report = strict) -> WeakAnnotations:
    """Reads a weak annotation file.

    Args:
        path: The file.
        taxonomy: The classes.
        report: Receives every problem; the default raises on the first error.

    Returns:
        The labels of the rows without error. A repeated label counts once; an empty cell says that
        nothing occurs in the video. A video of which that is not known has no row.

    Raises:
        RlldError: If the file cannot be read or (with the default ``report``) on a wrong header
            or separator, an unknown class or a video listed twice; names file and line.
    """
    index = {name: position for position, name in enumerate(taxonomy.classes)}
    lines: dict[str, int] = {}
    labels: list[list[int]] = []
    for line, (video, cell) in rows_below(path, WEAK_HEADER, report):
        found = [index.get(name, -1) for name in cell.split(",")] if cell else []
        if -1 in found:
            name = cell.split(",")[found.index(-1)]
            report(_unknown_class(path, line, name, taxonomy))
            continue
        if video in lines:
            text = f"video '{video}' is listed before, on line {lines[video]}; keep one row"
            report(Problem(path, line, "error", text))
            continue
        if len(set(found)) < len(found):
            text = f"video '{video}' repeats a label ('{cell}'); it counts once"
            report(Problem(path, line, "note", text))
        lines[video] = line
        labels.append(found)
    _note_empty(
        path, [line for line, own in zip(lines.values(), labels, strict=True) if not own], report
    )
    matrix = np.zeros((len(labels), len(taxonomy)), dtype=np.uint8)
    for position, found in enumerate(labels):
        matrix[position, found] = 1
    return WeakAnnotations(tuple(lines), matrix)


def _note_empty(path: Path, lines: Sequence[int], report: Report) -> None:
    """Counts the videos without label: nothing occurs in them, which is more than not to know."""
    if lines:
        count = f"{len(lines)} {'video has' if len(lines) == 1 else 'videos have'} no label"
        text = (
            f"{count}, which says that none of the classes occurs; remove the rows of those that "
        )
        report(Problem(path, lines[0], "note", f"{text}nobody looked at"))


def read_splits(folder: Path, spec: DataSpec) -> dict[str, WeakAnnotations]:
    """Reads the weak annotation of every split that a data set has.

    Args:
        folder: The annotation folder.
        spec: The data set.

    Raises:
        RlldError: As ``read_weak``, or if a file leads out of the folder.
    """
    return {
        split: read_weak(annotation_file(folder, file), spec.taxonomy)
        for split, file in weak_files(spec).items()
    }


def read_dense(
    path: Path,
    taxonomy: Taxonomy,
    duration: float | Mapping[str, float] | None = None,
    report: Report = strict,
) -> list[DenseRow]:
    """Reads a dense annotation file.

    Args:
        path: The file.
        taxonomy: The classes.
        duration: Length of a video in seconds, or of each by id; times beyond it are errors where
            it is given.
        report: Receives every problem; the default raises on the first error.

    Returns:
        The rows without error in file order, also those of zero or negative length.

    Raises:
        RlldError: If the file cannot be read or (with the default ``report``) on a wrong header
            or separator, an unknown class, or a time that is no number or outside the video;
            names file and line.
    """
    classes = frozenset(taxonomy.classes)
    ends = duration if isinstance(duration, Mapping) else {}
    common = duration if isinstance(duration, float | int) else math.inf
    rows: list[DenseRow] = []
    for line, (video, start, end, label) in rows_below(path, DENSE_HEADER, report):
        if label not in classes:
            report(_unknown_class(path, line, label, taxonomy))
            continue
        onset, offset = _seconds(start), _seconds(end)
        if onset is None or offset is None:
            name, cell = ("onset", start) if onset is None else ("offset", end)
            text = f"{name} is '{cell}', not a number of seconds; correct it"
            report(Problem(path, line, "error", text))
            continue
        limit = ends.get(video, common)
        if not (0 <= onset <= limit and 0 <= offset <= limit):
            text = (
                f"event from {start} to {end} s lies outside the video "
                f"(0 to {_time(limit) if math.isfinite(limit) else 'its end'} s); correct it"
            )
            report(Problem(path, line, "error", text))
            continue
        if offset <= onset:
            what = "zero length" if offset == onset else "its offset before its onset"
            text = f"{label} of '{video}' has {what} ({start} to {end} s) and marks nothing"
            report(Problem(path, line, "warning", text))
        rows.append(DenseRow(video, onset, offset, label, line))
    return rows


def rasterise(rows: Iterable[DenseRow], ids: Sequence[str], spec: DataSpec) -> NDArray[np.bool_]:
    """Paints dense rows on segments.

    A segment is active when an event covers at least half of it. For times that are whole multiples
    of the segment length this is the published rule, onset <= segment < offset. Rows of a class
    that touch or overlap are one event; rows of other videos are left out.

    Args:
        rows: The rows.
        ids: Video ids, N of them.
        spec: The data set, for its classes, segments and segment length.

    Returns:
        (N, T, C), bool.

    Examples:
        >>> from rlld.data.spec import DataSpec
        >>> spec = DataSpec(name="aviary", classes=("Crow", "Owl"), segments=4)
        >>> crow, owl = DenseRow("dawn", 0, 2, "Crow", 2), DenseRow("dawn", 1.5, 4, "Owl", 3)
        >>> rasterise([crow, owl], ["dawn"], spec)[0].T.astype(int)  # (C, T)
        array([[1, 1, 0, 0],
               [0, 1, 1, 1]])
    """
    video = {name: position for position, name in enumerate(ids)}
    label = {name: position for position, name in enumerate(spec.classes)}
    cells = np.zeros((len(video), spec.segments, len(spec.classes)), dtype=np.bool_)
    for event in united(row for row in rows if row.id in video):
        first, stop = covered(event.onset, event.offset, spec.segment_seconds)
        cells[video[event.id], first:stop, label[event.label]] = True
    return cells


def united(rows: Iterable[DenseRow]) -> list[DenseRow]:
    """Returns the events of rows: those of a class that touch or overlap are one, at its first row.

    An event that was marked piece by piece covers what its pieces cover together. Rows of zero or
    negative length are none.

    Examples:
        >>> pieces = [DenseRow("dawn", 0, 0.4, "Crow", 2), DenseRow("dawn", 0.4, 0.9, "Crow", 3)]
        >>> [(event.onset, event.offset) for event in united(pieces)]
        [(0, 0.9)]
    """
    lanes: dict[tuple[str, str], list[DenseRow]] = defaultdict(list)
    for row in rows:
        if row.onset < row.offset:
            lanes[row.id, row.label].append(row)
    found = []
    for (video, label), own in lanes.items():
        lines = {row.onset: row.line for row in reversed(own)}
        found += [
            DenseRow(video, onset, offset, label, lines[onset])
            for onset, offset in union((row.onset, row.offset) for row in own)
        ]
    return found


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Merges overlapping and touching intervals; empty and reversed ones mark nothing."""
    merged: list[Interval] = []
    for start, end in sorted(pair for pair in intervals if pair[0] < pair[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def marked(row: DenseRow, spec: DataSpec) -> bool:
    """Says whether an event covers half of a segment; if not, it marks none."""
    first, stop = covered(row.onset, row.offset, spec.segment_seconds)
    return first < stop


def covered(onset: float, offset: float, segment_seconds: float) -> tuple[int, int]:
    """Returns the segments ``first <= t < stop`` of which an event covers at least half.

    Examples:
        >>> covered(0.0, 4.0, 1.0)
        (0, 4)
        >>> covered(0.6, 2.4, 1.0)  # 0.4 s of the first second, 0.4 s of the third
        (1, 2)
    """
    # Rounding makes 2.88 s of 0.96 s segments exactly 3 segments.
    start = round(onset / segment_seconds, 9)
    end = round(offset / segment_seconds, 9)
    if end - start < 0.5:
        return 0, 0
    return math.ceil(start - 0.5), math.floor(end + 0.5)


def write_weak(
    path: Path, ids: Sequence[str], labels: NDArray[np.generic], taxonomy: Taxonomy
) -> None:
    """Writes a weak annotation file; classes of a row stand in index order.

    Args:
        path: The file, replaced whole.
        ids: Video ids, N of them.
        labels: (N, C), non-zero where a label is given.
        taxonomy: The classes.
    """
    lines = ["\t".join(WEAK_HEADER)]
    for video, row in zip(ids, np.asarray(labels), strict=True):
        names = ",".join(taxonomy.classes[c] for c in np.flatnonzero(row))
        lines.append(f"{_checked_id(video)}\t{names}")
    write_text(path, "\n".join(lines) + "\n")


def write_dense(path: Path, ids: Sequence[str], maps: NDArray[np.bool_], spec: DataSpec) -> None:
    """Writes a dense annotation file: one row per run of active segments.

    Args:
        path: The file, replaced whole.
        ids: Video ids, N of them.
        maps: (N, T, C), true where an event is present.
        spec: The data set.
    """
    edges = np.pad(np.asarray(maps, dtype=np.int8), ((0, 0), (1, 1), (0, 0)))
    steps = np.diff(edges, axis=1).transpose(0, 2, 1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    lines = ["\t".join(DENSE_HEADER)]
    for (video, label, first), (_, _, stop) in zip(starts, ends, strict=True):
        onset = _time(first * spec.segment_seconds)
        offset = _time(stop * spec.segment_seconds)
        lines.append(f"{_checked_id(ids[video])}\t{onset}\t{offset}\t{spec.classes[label]}")
    write_text(path, "\n".join(lines) + "\n")


def write_rows(path: Path, rows: Iterable[DenseRow]) -> None:
    """Writes a dense annotation file row by row; their lines are not looked at."""
    lines = ["\t".join(DENSE_HEADER)]
    for row in rows:
        lines.append(f"{_checked_id(row.id)}\t{_time(row.onset)}\t{_time(row.offset)}\t{row.label}")
    write_text(path, "\n".join(lines) + "\n")


def audio_version(path: Path) -> str:
    """Says which of the two circulating LLP audio files a file is; empty for any other file."""
    return LLP_AUDIO_VERSIONS.get(hashlib.sha256(read_bytes(path)).hexdigest(), "")


def _unknown_class(path: Path, line: int, name: str, taxonomy: Taxonomy) -> Problem:
    text = f"unknown class {name!r}{nearest(name, taxonomy.classes)}"
    return Problem(path, line, "error", text)


def _seconds(cell: str) -> float | None:
    try:
        # What Python takes besides (1_0, digits of other scripts) is a slip of the finger here.
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _time(seconds: float) -> str:
    """Writes seconds without needless digits: ``3``, ``2.88``."""
    return number_text(round(float(seconds), 9))


def _checked_id(video: str) -> str:
    if not video or video != video.strip(' "') or any(mark in video for mark in "\t\r\n"):
        raise RlldError(f"video id {video!r} cannot be written: it holds a tab, line end or space")
    return video
