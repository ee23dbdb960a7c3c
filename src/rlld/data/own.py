"""What a person knows of clips, settled: classes, splits, and the annotation files of both."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlld.data.annotations import DenseRow, marked, united, write_rows, write_weak
from rlld.data.answers import FILE, Answer, read_answers, write_answers
from rlld.data.problems import Problem
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    SPLITS,
    AnnotationFiles,
    DataSpec,
    annotation_file,
    spec_text,
)
from rlld.data.tags.classes import look_alike, one_spelling
from rlld.data.tags.events import Marked
from rlld.errors import RlldError, listed
from rlld.types import MODALITIES
from rlld.utils.files import write_text

BEYOND = 1.0
"""Seconds by which an event may end behind its clip; people round."""


@dataclass(frozen=True)
class Known:
    """What is known of clips, each class spelled in one way.

    Attributes:
        tags: Classes of every clip; none where nothing occurs.
        events: Events of the clips that were watched.
        watched: These clips.
        notes: What the reader should know.
        answers: Whether the event of a tag is heard or seen in a clip.
    """

    tags: dict[str, tuple[str, ...]]
    events: tuple[Marked, ...]
    watched: frozenset[str]
    notes: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes, in alphabetical order."""
        found = {tag for words in self.tags.values() for tag in words}
        found |= {event.label for event in self.events}
        return tuple(sorted(found, key=lambda name: (name.casefold(), name)))

    def only(self, videos: Collection[str]) -> Known:
        """Returns what is known of some clips, in their order."""
        tags = {video: self.tags[video] for video in videos if video in self.tags}
        events = tuple(event for event in self.events if event.video in tags)
        answers = tuple(answer for answer in self.answers if answer.video in tags)
        watched = self.watched & tags.keys()
        return replace(self, tags=tags, events=events, watched=watched, answers=answers)


class Place(NamedTuple):
    """Where a clip was before, and how long it is."""

    split: str
    seconds: float


def known_of(
    tags: Mapping[str, Sequence[str]],
    events: Sequence[Marked],
    watched: Collection[str],
    answers: Sequence[Answer] = (),
) -> Known:
    """Settles tags, events and answers as they were found.

    Args:
        tags: Tags by clip, as they are spelled.
        events: Events.
        watched: Clips whose events are all among them. One without tags has those of its events.
        answers: Answers; those about tags that a clip does not have are passed over.
    """
    marked: dict[str, list[str]] = {video: [] for video in watched}
    for event in events:
        marked[event.video].append(event.label)
    together = {
        video: (*tags.get(video, ()), *marked.get(video, ())) for video in tags.keys() | marked
    }
    spelling, notes = one_spelling(together)
    made = {
        video: tuple(dict.fromkeys(spelling[tag] for tag in tags.get(video, marked.get(video, ()))))
        for video in together
    }
    spelled = tuple(event._replace(label=spelling[event.label]) for event in events)
    lacking = {event.video for event in spelled if event.label not in made[event.video]}
    if lacking:
        notes.append(
            f"{len(lacking):,} clips have events of classes that their tags lack, which stay as "
            f"they are: {listed(sorted(lacking)[:5])}"
        )
    folds = {name.casefold(): name for name in spelling.values()}
    told = tuple(
        answer._replace(label=folds[answer.label.casefold()])
        for answer in answers
        if folds.get(answer.label.casefold()) in made.get(answer.video, ())
    )
    if len(told) < len(answers):
        notes.append(
            f"{len(answers) - len(told):,} of {len(answers):,} answers are about classes that the "
            "clip is not tagged with; they are not used"
        )
    return Known(made, spelled, frozenset(watched), tuple(notes), told)


def doubts(counts: Mapping[str, int], clips: int) -> list[str]:
    """Says what is odd about tags.

    Args:
        counts: Clips of each class.
        clips: All clips.
    """
    notes = []
    if alike := look_alike(counts):
        notes.append(f"{listed(alike)}; where one is meant, correct the tags and run again")
    if once := sorted(name for name, count in counts.items() if count == 1):
        notes.append(f"tagged once, which is too little to learn from: {listed(once)}")
    always = sorted(name for name, count in counts.items() if count == clips)
    if always and clips > 1:
        notes.append(
            f"tagged in every clip, so that nothing shows what is without it: {listed(always)}"
        )
    return notes


def short(events: Iterable[Marked], spec: DataSpec) -> list[str]:
    """Tells of events that no segment is half full of.

    Args:
        events: The events.
        spec: The data set.
    """
    lanes: dict[str, list[DenseRow]] = {modality: [] for modality in MODALITIES}
    for event in events:
        lanes[event.modality].append(_row(event, event.offset))
    count = sum(not marked(row, spec) for rows in lanes.values() for row in united(rows))
    if not count:
        return []
    fill, they = ("event fills", "it is") if count == 1 else ("events fill", "they are")
    return [
        f"{count:,} {fill} no segment of {spec.segment_seconds:g} s by half; {they} kept, but "
        "training and scores take nothing to be there; shorter segments would show more"
    ]


def placed(known: Known, test: float, before: Mapping[str, Place]) -> dict[str, tuple[str, ...]]:
    """Divides clips into splits: those that were watched are for validation and testing.

    Which are for testing depends on their names alone, so that they stay when others join.

    Args:
        known: What is known of the clips.
        test: How many are for testing, or which share of those that were watched.
        before: Where clips were before; of a number, those for testing stay.

    Raises:
        RlldError: If a split would be empty.
    """
    watched = sorted(known.watched, key=_lot)
    count = len(watched)
    if not 0 <= test < math.inf or (test >= 1 and test != int(test)):
        raise RlldError(f"--test: expected a number of clips or a share below 1, found {test}")
    if test and not count:
        raise RlldError(
            "--test: a test needs clips whose events are known; give them with --events FILE"
        )
    if test < 1:
        tested = {video for video in watched if int(_lot(video), 16) < test * 16**64}
    else:
        watched.sort(key=lambda video: video not in before or before[video].split != "test")
        tested = set(watched[: int(test)])
    splits = {
        "train": tuple(video for video in known.tags if video not in known.watched),
        "validation": tuple(sorted(known.watched - tested)),
        "test": tuple(sorted(tested)),
    }
    if len(tested) == count > 0:
        raise RlldError(
            f"--test: {test:g} of the {count} clips with events leaves none for validation; give "
            "less"
        )
    if not splits["train"]:
        raise RlldError(
            f"all {count} tagged clips have events, so that none is left to train on; add clips "
            "that have tags alone, or leave some out of --events"
        )
    return {split: videos for split, videos in splits.items() if videos}


def _lot(video: str) -> str:
    return hashlib.sha256(video.encode()).hexdigest()


def write_own(
    out: Path,
    spec: DataSpec,
    splits: Mapping[str, Sequence[str]],
    known: Known,
    lengths: Mapping[str, float],
    listed: Callable[[], None] = lambda: None,
) -> None:
    """Writes the annotations of a data set and its ``dataset.yaml``.

    Wherever it is killed, no video is lost that was for training: their file comes last.

    Args:
        out: The data-set folder.
        spec: The data set; answers that it names stay, but for those on classes that are gone and
            those that ``known`` answers anew.
        splits: Videos by split.
        known: What is known of them.
        lengths: Seconds of every clip.
        listed: Writes down which clips these are; called before anything is written, when nothing
            is refused any more.

    Raises:
        RlldError: If an event lies outside its clip. Nothing is written then.
    """
    answers = [a for a in known.answers if a.video not in splits.get("test", ())]
    files = replace(
        AnnotationFiles(answers=spec.annotations.answers or (FILE if answers else "")),
        **{split: "" for split in SPLITS if split not in splits},
        **({} if known.watched else {"audio": "", "visual": ""}),
    )
    dense = [_dense(known.events, modality, lengths, spec) for modality in MODALITIES]
    places = {split: annotation_file(out / ANNOTATIONS, getattr(files, split)) for split in splits}
    train = places.pop("train")
    listed()
    for split, path in places.items():
        _write_tags(path, spec, splits[split], known)
    for file, rows in zip((files.audio, files.visual), dense, strict=True):
        if file:
            write_rows(out / ANNOTATIONS / file, rows)
    if files.answers:
        before = spec.annotations.answers != ""
        _write_answers(annotation_file(out / ANNOTATIONS, files.answers), spec, answers, before)
    write_text(out / FILE_NAME, spec_text(replace(spec, annotations=files)))
    _write_tags(train, spec, splits["train"], known)


def _write_tags(path: Path, spec: DataSpec, videos: Sequence[str], known: Known) -> None:
    index = {name: at for at, name in enumerate(spec.classes)}
    labels = np.zeros((len(videos), len(index)), np.uint8)
    for row, video in enumerate(videos):
        labels[row, [index[tag] for tag in known.tags[video]]] = 1
    write_weak(path, videos, labels, spec.taxonomy)


def _dense(
    events: Sequence[Marked], modality: str, lengths: Mapping[str, float], spec: DataSpec
) -> list[DenseRow]:
    rows = []
    for event in events:
        if event.modality != modality:
            continue
        end = lengths[event.video]
        if event.onset >= end or event.offset > end + BEYOND:
            raise RlldError(
                f"{event.place}: the event from {event.onset:g} to {event.offset:g} s lies outside "
                f"of the clip, which lasts {end:g} s; correct it"
            )
        end = max(end, spec.segment_seconds)
        offset = min(event.offset, end, math.inf if spec.any_length else spec.duration)
        if event.onset < offset:
            rows.append(_row(event, offset))
    return sorted(rows)


def _row(event: Marked, offset: float) -> DenseRow:
    return DenseRow(event.video, event.onset, offset, event.label, 0)


def _write_answers(path: Path, spec: DataSpec, answers: Sequence[Answer], kept: bool) -> None:
    """Adds answers to those that are kept, and takes away those on classes that are gone."""
    gone: list[Problem] = []
    old = read_answers(path, spec.taxonomy, gone.append) if kept and path.is_file() else []
    if answers or any(problem.grade == "error" for problem in gone):
        write_answers(path, {answer.question: answer for answer in (*old, *answers)}.values())
