"""DESED, and tables like its: what is heard in clips of ten seconds of a home, strong and weak.

Tab-separated tables in one folder, told apart by their columns: ``filename onset offset
event_label`` (a clip without event has empty cells), ``filename event_labels`` (weak, for training)
and ``filename duration``. The name of a strong table says what it is for.
"""

from __future__ import annotations

from pathlib import Path

from rlld.data.problems import Problem, Report, strict
from rlld.data.sets._tables import (
    cells_of,
    rows_of,
    seconds_at,
    split_names,
    write_rows,
)
from rlld.data.sets.base import SECONDS, PublishedSet, SetEvent, Split, Video, spell
from rlld.errors import RlldError
from rlld.utils.sheets import number_text

TIMES = ("filename", "onset", "offset")
LABEL = ("event_label", "event_labels")
WEAK = ("filename", "event_labels")
LENGTHS = ("filename", "duration")
PLACES: tuple[tuple[str, Split], ...] = (
    ("train", "train"),
    ("synthetic", "train"),
    ("soundscapes", "train"),
    ("test", "test"),
    ("public", "test"),
    ("eval", "test"),
    ("valid", "validation"),
)
"""What the name of a strong table holds, and the split that it is then for."""

SUFFIXES = (".wav", ".mp3", ".flac", ".mp4")


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads every table of a folder.

    Clips are called by their name without ``.wav``; classes stand in alphabetical order. Tables of
    other columns are reported and passed over. Where clips have a duration, they are of any length
    unless all last ten seconds.

    Raises:
        RlldError: If there is no table, the name of a strong one does not say what it is for, or a
            clip is in two splits.
    """
    paths = sorted(folder.glob("*.tsv")) if folder.is_dir() else [folder]
    videos: dict[str, Video] = {}
    events: list[SetEvent] = []
    lengths: dict[str, float] = {}
    for path in paths:
        _, header = next(cells_of(path, "\t"), ("", []))
        label = next((name for name in LABEL if name in header), "")
        if label and set(TIMES) <= set(header):
            _strong(path, label, videos, events)
        elif set(WEAK) <= set(header):
            _weak(path, videos)
        elif set(LENGTHS) <= set(header):
            for place, row in rows_of(path, LENGTHS):
                lengths[_id(row["filename"])] = seconds_at(row["duration"], place, "duration")
        else:
            shown = ", ".join(header)[:60]
            report(Problem(path, 1, "warning", f"columns {shown} are none of DESED's; passed over"))
    if not videos:
        raise RlldError(
            f"{folder}: no table of events (.tsv with {', '.join(TIMES)}, {LABEL[0]}) or of weak "
            f"labels ({', '.join(WEAK)}) in it; give the folder of DESED's metadata"
        )
    published = sorted({tag for known in videos.values() for tag in known.tags})
    classes, spelled = spell(published)
    short = dict(zip(published, classes, strict=True))
    made = {
        video: known._replace(
            tags=tuple(short[tag] for tag in known.tags), seconds=lengths.get(video)
        )
        for video, known in videos.items()
    }
    any_length = any(abs(seconds - SECONDS) > 0.5 for seconds in lengths.values())
    found = tuple(event._replace(label=short[event.label]) for event in events)
    return PublishedSet("desed", classes, made, found, "audio", any_length, spelled, "heard")


def _id(name: str) -> str:
    return Path(name).stem if name.lower().endswith(SUFFIXES) else name


def _strong(path: Path, label: str, videos: dict[str, Video], events: list[SetEvent]) -> None:
    split = next((split for part, split in PLACES if part in path.stem.lower()), None)
    if split is None:
        raise RlldError(
            f"{path}: its name does not say what it is for; let it hold train, validation or test"
        )
    tags: dict[str, dict[str, None]] = {}
    for place, row in rows_of(path, (*TIMES, label)):
        video = _id(row["filename"])
        known = videos.get(video)
        if known is not None and known.timed and video not in tags:
            raise RlldError(f"{place}: clip {video!r} is in another table of events too; keep one")
        if known is not None and known.split != split:
            raise RlldError(f"{place}: clip {video!r} is for {known.split} and for {split}")
        own = tags.setdefault(video, {})
        if row[label]:
            own[row[label]] = None
            onset, offset = (seconds_at(row[column], place, column) for column in TIMES[1:])
            events.append(SetEvent(video, row[label], "audio", onset, offset, place))
        videos[video] = Video(split, tuple(own), True)


def _weak(path: Path, videos: dict[str, Video]) -> None:
    for place, row in rows_of(path, WEAK):
        video = _id(row["filename"])
        known = videos.get(video)
        if known is None:
            videos[video] = Video("train", tuple(dict.fromkeys(split_names(row["event_labels"]))))
        elif known.split != "train":
            raise RlldError(f"{place}: clip {video!r} is for training and for {known.split}")


def write(folder: Path, given: PublishedSet) -> None:
    """Writes a table of each kind that there is something for."""
    for split in ("train", "validation", "test"):
        timed = [video for video in given.of(split) if given.videos[video].timed]
        rows: dict[str, list[tuple[str, str, str]]] = {video: [] for video in timed}
        for event in given.events:
            if event.video in rows and event.modality != "visual":
                label = given.spelling(event.label)
                rows[event.video].append(
                    (number_text(event.onset), number_text(event.offset), label)
                )
        table = [(f"{v}.wav", *row) for v, own in rows.items() for row in own or [("", "", "")]]
        if table:
            write_rows(folder / f"{split}_strong.tsv", [(*TIMES, LABEL[0]), *table])
    weak = [
        (f"{video}.wav", ",".join(map(given.spelling, known.tags)))
        for video, known in given.videos.items()
        if not known.timed and known.split == "train"
    ]
    if weak:
        write_rows(folder / "train_weak.tsv", [WEAK, *weak])
    lengths = {v: known.seconds for v, known in given.videos.items() if known.seconds is not None}
    if lengths:
        rows_of_lengths = [(f"{v}.wav", number_text(seconds)) for v, seconds in lengths.items()]
        write_rows(folder / "durations.tsv", [LENGTHS, *rows_of_lengths])
