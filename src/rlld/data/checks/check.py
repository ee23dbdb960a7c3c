"""Checking a data set: what cannot be read, what is doubtful, and what it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import (
    DenseRow,
    WeakAnnotations,
    audio_version,
    rasterise,
    read_dense,
    read_weak,
)
from rlld.data.answers import Answer, read_answers
from rlld.data.checks.rows import doubts
from rlld.data.checks.stores import verify_store
from rlld.data.dataset import check_store, video_ends
from rlld.data.moved import features_of
from rlld.data.problems import Grade, Problem
from rlld.data.similarities import check_scores, scores_files
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    LLP_FILES,
    LLP_SPEC,
    SPLITS,
    AnnotationFiles,
    DataSpec,
    annotation_file,
    dense_files,
    read_spec,
    weak_files,
)
from rlld.data.store import read_store, store_path
from rlld.errors import RlldError
from rlld.types import MODALITIES
from rlld.utils.names import require_name

AT_ONCE = 1 << 24
"""Cells that are counted at once: bytes."""


@dataclass(frozen=True)
class SplitCounts:
    """What a split holds. Dense counts are None where the split has no dense annotation.

    Attributes:
        name: Its name.
        videos: Videos of the weak file.
        labels: Weak labels, all classes together.
        per_class: Weak labels of each class.
        audio_rows: Rows of the audible file that name a video of the split.
        visual_rows: The same for the visible file.
        audio_events: Runs of active segments, which is what is scored.
        visual_events: The same for the visible file.
        inaudible: Videos without any audible event.
        invisible: Videos without any visible event.
        wrong: Weak labels that are neither audible nor visible.
        missing: Classes of the dense annotation that the weak label lacks.
        answers: Bare answers that are used; None where the data set has none.
    """

    name: str
    videos: int
    labels: int
    per_class: tuple[int, ...]
    audio_rows: int | None = None
    visual_rows: int | None = None
    audio_events: int | None = None
    visual_events: int | None = None
    inaudible: int | None = None
    invisible: int | None = None
    wrong: int | None = None
    missing: int | None = None
    answers: int | None = None


@dataclass(frozen=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        problems: Problems, file by file in line order.
        splits: What each readable split holds.
        audio_version: Which of the two circulating LLP audio files it is; empty for other files.
        stores: Number of packed stores whose checksums were verified.
        scores: Number of files of scores that were read whole.
    """

    problems: tuple[Problem, ...]
    splits: tuple[SplitCounts, ...]
    audio_version: str
    stores: int
    scores: int

    def count(self, grade: Grade) -> int:
        """Returns the number of problems of a grade."""
        return sum(problem.grade == grade for problem in self.problems)


def check(folder: Path, spec: DataSpec | None = None) -> CheckReport:
    """Checks a data-set folder, or a bare folder of annotation files.

    Args:
        folder: A data-set folder, or annotation files alone.
        spec: What a bare folder should hold; the published LLP files are recognised without.

    Returns:
        Everything that was found; nothing is raised for a problem inside the data.

    Raises:
        RlldError: If the folder holds no data set, or its ``dataset.yaml`` is wrong.
    """
    annotations, spec = _locate(folder, spec)
    return _Checker(folder, annotations, spec).run()


def _locate(folder: Path, spec: DataSpec | None) -> tuple[Path, DataSpec]:
    if spec is None and (folder / FILE_NAME).is_file():
        return folder / ANNOTATIONS, read_spec(folder)
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; give a data set or a folder of annotations")
    if spec is not None:
        return folder, spec
    if any((folder / name).is_file() for name in weak_files(LLP_SPEC).values()):
        return folder, LLP_SPEC
    raise RlldError(
        f"{folder}: holds neither {FILE_NAME} nor the published LLP files ({LLP_FILES.train} ...); "
        "give a data set, or say with --spec what the files are"
    )


class _Checker:
    """One check under way."""

    def __init__(self, folder: Path, annotations: Path, spec: DataSpec) -> None:
        self.folder = folder
        self.annotations = annotations
        self.spec = spec
        self.problems: list[Problem] = []

    def run(self) -> CheckReport:
        weak = {split: self._weak(file) for split, file in weak_files(self.spec).items()}
        self._shared_videos(weak)
        dense = self._dense(weak)
        answers = self._answers(weak, dense)
        counts = tuple(
            replace(
                _counts(
                    split, labels, [dense.get(file, []) for file in self._files(split)], self.spec
                ),
                answers=answers.get(split),
            )
            for split, labels in weak.items()
        )
        if self.folder != self.annotations and not store_path(self.folder, "").parent.is_dir():
            self._add(self.folder, 0, "note", "no packed features yet; run 'rlld extract'")
        stores = sum(self._store(split, labels.ids) for split, labels in weak.items())
        scores = self._scores(weak)
        audio = self.spec.annotations.audio
        path = annotation_file(self.annotations, audio) if audio else None
        version = audio_version(path) if path and path.is_file() else ""
        return CheckReport(tuple(self.problems), counts, version, stores, scores)

    def _files(self, split: str) -> tuple[str, ...]:
        return dense_files(self.spec, split)

    def _add(self, path: Path, line: int, grade: Grade, text: str) -> None:
        self.problems.append(Problem(path, line, grade, text))

    def _weak(self, file: str) -> WeakAnnotations:
        path = annotation_file(self.annotations, file)
        if path.is_file():
            weak = read_weak(path, self.spec.taxonomy, self.problems.append)
            if not weak.ids and not any(problem.path == path for problem in self.problems):
                grade: Grade = "error" if file == self.spec.annotations.train else "warning"
                self._add(path, 0, grade, "lists no video; add a row for each")
            for video in weak.ids:
                self._require_id(path, video)
            return weak
        self._add(path, 0, "error", self._missing(file))
        return WeakAnnotations((), np.zeros((0, len(self.spec.classes)), dtype=np.uint8))

    def _require_id(self, path: Path, video: str) -> None:
        """Refuses an id that no file can be called by, as whoever extracts or packs it will."""
        try:
            require_name(video, "video id", "call the clip and its rows otherwise")
        except RlldError as error:
            self._add(path, 0, "error", str(error))

    def _shared_videos(self, weak: dict[str, WeakAnnotations]) -> None:
        seen: dict[str, str] = {}
        for split, labels in weak.items():
            path = annotation_file(self.annotations, weak_files(self.spec)[split])
            for video in labels.ids:
                if video in seen:
                    text = f"video '{video}' of {split} is in {seen[video]} too; keep it in one"
                    # Training and scoring refuse a test video that is in another split.
                    grade: Grade = "error" if "test" in (split, seen[video]) else "warning"
                    self._add(path, 0, grade, text)
                seen.setdefault(video, split)

    def _dense(self, weak: dict[str, WeakAnnotations]) -> dict[str, list[DenseRow]]:
        """Reads every dense file once, and checks it against the videos it serves."""
        videos: dict[str, set[str]] = defaultdict(set)
        for split, labels in weak.items():
            for file in self._files(split):
                videos[file].update(labels.ids)
        dense = {}
        ends = self._ends(weak)
        for file, known in videos.items():
            path = annotation_file(self.annotations, file)
            if not path.is_file():
                self._add(path, 0, "error", self._missing(file))
                continue
            found: list[Problem] = []
            rows = read_dense(path, self.spec.taxonomy, ends, found.append)
            found += [
                Problem(path, line, grade, text)
                for line, grade, text in doubts(rows, known, self.spec)
            ]
            self.problems += sorted(found, key=lambda problem: problem.line)
            dense[file] = rows
        return dense

    def _ends(self, weak: Container[str]) -> float | dict[str, float]:
        """Returns how long videos are, as far as their features say it."""
        if not self.spec.any_length:
            return self.spec.duration
        ends: dict[str, float] = {}
        for path in (store_path(self.folder, split) for split in SPLITS if split in weak):
            try:
                store = read_store(path)
            except RlldError:
                continue  # reported with the stores
            found = video_ends(store.ids, store.lengths, self.spec)
            ends |= found if isinstance(found, dict) else {}
        return ends

    def _missing(self, file: str) -> str:
        names = [f.name for f in fields(AnnotationFiles) if _named(self.spec, f.name) == file]
        both = ("audio", "visual") if names[0] in ("audio", "visual") else names[:1]
        empty = " and ".join(f'{name}: ""' for name in both)
        return (
            f"no such annotation file; add it, or write {empty} under annotations in "
            f"{FILE_NAME} if there is none"
        )

    def _answers(
        self, weak: dict[str, WeakAnnotations], dense: dict[str, list[DenseRow]]
    ) -> dict[str, int]:
        """Checks the bare answers; returns how many are used by split."""
        file = self.spec.annotations.answers
        if not file:
            return {}
        path = annotation_file(self.annotations, file)
        if not path.is_file():
            self._add(path, 0, "error", self._missing(file))
            return {}
        found: list[Problem] = []
        answers = read_answers(path, self.spec.taxonomy, found.append)
        home = {video: split for split, labels in weak.items() for video in labels.ids}
        tags = {
            (labels.ids[video], self.spec.classes[label])
            for labels in weak.values()
            for video, label in zip(*labels.labels.nonzero(), strict=True)
        }
        events = {
            split: {
                (row.id, row.label, modality)
                for modality, rows in zip(MODALITIES, self._files(split), strict=False)
                for row in dense.get(rows, [])
                if row.offset > row.onset
            }
            for split in weak
            if split != "train" and self._files(split)
        }
        used = dict.fromkeys((split for split in weak if split != "test"), 0)
        for answer in answers:
            split = home.get(answer.video, "")
            text = _unused(answer, split, tags)
            if not text:
                used[split] += 1
                if split in events and answer.present != (answer.question in events[split]):
                    text = (
                        f"{answer.modality} {answer.label} of '{answer.video}' is answered "
                        f"{'yes' if answer.present else 'no'}, the dense annotation says the "
                        "contrary; the answer counts"
                    )
            if text:
                found.append(Problem(path, answer.line, "warning", text))
        self.problems += sorted(found, key=lambda problem: problem.line)
        return used

    def _store(self, split: str, ids: Sequence[str]) -> bool:
        """Verifies the packed store of a split; says whether it is whole."""
        path = store_path(self.folder, split)
        if not path.parent.is_dir():
            return False
        try:
            check_store(features_of(self.folder, split, ids), ids, self.spec)
            store = read_store(path) if path.is_file() else None
        except RlldError as error:
            self._add(path, 0, "error", str(error).removeprefix(f"{path}: "))
            return False
        held = () if store is None else store.ids
        if held != tuple(ids):
            count = len(set(ids) - set(held))
            text = f"holds other videos than its split, of which {count} are in those of others"
            self._add(path, 0, "note", text)
        for text in verify_store(store) if store is not None else ():
            self._add(path, 0, "error", text)
        return True

    def _scores(self, weak: dict[str, WeakAnnotations]) -> int:
        """Verifies the files of scores; returns how many there are."""
        files = scores_files(self.folder)
        for path in files:
            if path.stem not in weak:
                self._add(path, 0, "warning", f"{path.stem!r} is no split of this data set")
                continue
            for text in check_scores(path, self.spec, weak[path.stem]):
                self._add(path, 0, "error", text)
        return len(files)


def _named(spec: DataSpec, field: str) -> str:
    name: str = getattr(spec.annotations, field)
    return name


def _unused(answer: Answer, split: str, tags: Container[tuple[str, str]]) -> str:
    """Says why an answer is not used, or nothing."""
    if not split:
        return f"'{answer.video}' is in none of the splits, so the answer is not used"
    if split == "test":
        return f"'{answer.video}' is a test video, which teaches nothing; the answer is not used"
    if (answer.video, answer.label) not in tags:
        return f"'{answer.video}' is not tagged with {answer.label}; the answer is not used"
    return ""


def _counts(
    split: str, weak: WeakAnnotations, files: Sequence[Sequence[DenseRow]], spec: DataSpec
) -> SplitCounts:
    per_class = tuple(int(count) for count in weak.labels.sum(axis=0, dtype=np.int64))
    basic = (split, len(weak.ids), sum(per_class), per_class)
    if not files:
        return SplitCounts(*basic)
    known = set(weak.ids)
    audio_rows, visual_rows = (sum(row.id in known for row in rows) for rows in files)
    events, found = np.zeros(2, dtype=np.int64), [np.zeros((2, 0, len(spec.classes)), dtype=bool)]
    for cells in _painted(files, weak.ids, spec):
        events += [_runs(each) for each in cells]
        found.append(np.stack([np.any(each, axis=1) for each in cells]))
    heard, seen = np.concatenate(found, axis=1)
    labels = weak.labels.astype(bool)
    return SplitCounts(
        *basic,
        audio_rows=audio_rows,
        visual_rows=visual_rows,
        audio_events=int(events[0]),
        visual_events=int(events[1]),
        inaudible=int((~np.any(heard, axis=1)).sum()),
        invisible=int((~np.any(seen, axis=1)).sum()),
        wrong=int((labels & ~(heard | seen)).sum()),
        missing=int(((heard | seen) & ~labels).sum()),
    )


def _painted(
    files: Sequence[Sequence[DenseRow]], ids: Sequence[str], spec: DataSpec
) -> Iterator[list[NDArray[np.bool_]]]:
    """Yields the segments (N, T, C) of each file, of as many videos at once as memory is for."""
    grouped: list[dict[str, list[DenseRow]]] = [defaultdict(list) for _ in files]
    for rows, group in zip(files, grouped, strict=True):
        for row in rows:
            group[row.id].append(row)
    at_once = max(1, AT_ONCE // (spec.segments * len(spec.classes)))
    for first in range(0, len(ids), at_once):
        part = ids[first : first + at_once]
        yield [
            rasterise([row for video in part for row in group.get(video, ())], part, spec)
            for group in grouped
        ]


def _runs(cells: NDArray[np.bool_]) -> int:
    """Counts runs of active segments (N, T, C)."""
    starts = cells.copy()
    starts[:, 1:] &= ~cells[:, :-1]
    return int(starts.sum())
