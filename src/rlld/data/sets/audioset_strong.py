"""AudioSet's strong labels: what is heard in clips of ten seconds, to a tenth of a second.

``audioset_train_strong.tsv``, ``audioset_eval_strong.tsv`` and ``mid_to_display_name.tsv``; of the
framed variants (``..._framed_posneg.tsv``) the rows that say ``present``. Evaluation clips are for
testing.
"""

from __future__ import annotations

from pathlib import Path

from rlld.data.problems import Report, strict
from rlld.data.sets._tables import cells_of, rows_of, seconds_at, write_rows
from rlld.data.sets.base import SECONDS, PublishedSet, SetEvent, Split, Video, class_at, spell
from rlld.errors import RlldError
from rlld.utils.sheets import number_text

SPLITS: dict[Split, str] = {"train": "train", "test": "eval"}
FILES = ("audioset_{}_strong.tsv", "audioset_{}_strong_framed_posneg.tsv")
NAMES = "mid_to_display_name.tsv"
COLUMNS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
PRESENT, ABSENT = "PRESENT", "NOT_PRESENT"


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads what there is of training and evaluation.

    A clip is called as there, ``ID_30000``, by the millisecond of its start. One of which nothing
    is heard has no row, and is not known.

    Raises:
        RlldError: If a table is missing or has another layout, or names an unknown label.
    """
    names = _names(folder / NAMES)
    tables = {split: _table(folder, short) for split, short in SPLITS.items()}
    if not any(tables.values()):
        raise RlldError(
            f"{folder / FILES[0].format('train')}: no such file, nor that of eval; give the folder "
            "of AudioSet's strong labels"
        )
    events: list[SetEvent] = []
    splits: dict[str, Split] = {}
    for split, path in tables.items():
        for place, row in rows_of(path, COLUMNS) if path else ():
            label = class_at(row["label"], names, place, NAMES)
            if row.get("present", PRESENT).upper() == ABSENT:
                continue
            video = row["segment_id"]
            if splits.setdefault(video, split) != split:
                raise RlldError(f"{place}: clip {video!r} is in train and eval")
            onset, offset = (seconds_at(row[column], place, column) for column in COLUMNS[1:3])
            events.append(SetEvent(video, label, "audio", onset, offset, place))
    used = {event.label for event in events}
    published = sorted({name for name in names.values() if name in used})
    classes, spelled = spell(published)
    short = dict(zip(published, classes, strict=True))
    made = tuple(event._replace(label=short[event.label]) for event in events)
    tags: dict[str, dict[str, None]] = {video: {} for video in splits}
    for event in made:
        tags[event.video][event.label] = None
    videos = {video: _video(split, tuple(tags[video]), video) for video, split in splits.items()}
    return PublishedSet("audioset-strong", classes, videos, made, "audio", False, spelled, "heard")


def _names(path: Path) -> dict[str, str]:
    """Returns the names of labels; a table without header."""
    if not path.is_file():
        raise RlldError(f"{path}: no such file; put AudioSet's {NAMES} there")
    names = {}
    for place, cells in cells_of(path, "\t"):
        if len(cells) != 2:
            raise RlldError(f"{place}: expected a label and its name, found {len(cells)} cells")
        names[cells[0]] = cells[1]
    return names


def _table(folder: Path, short: str) -> Path | None:
    return next((p for name in FILES if (p := folder / name.format(short)).is_file()), None)


def _video(split: Split, tags: tuple[str, ...], video: str) -> Video:
    youtube, _, start = video.rpartition("_")
    if not youtube or not start.isdecimal():
        raise RlldError(
            f"segment_id is {video!r}, expected the YouTube id and the millisecond of its start; "
            "give AudioSet's strong labels as published"
        )
    second = int(start) / 1000
    return Video(
        split, tags, True, youtube=youtube, start=second, end=second + SECONDS, seconds=SECONDS
    )


def write(folder: Path, given: PublishedSet) -> None:
    """Writes both tables and the names; labels that have no code are their own."""
    for split, short in SPLITS.items():
        own = frozenset(given.of(split))
        rows = [
            (e.video, number_text(e.onset), number_text(e.offset), given.spelling(e.label))
            for e in given.events
            if e.video in own and e.modality != "visual"
        ]
        if rows:
            write_rows(folder / FILES[0].format(short), [COLUMNS, *rows])
    labels = [given.spelling(label) for label in given.classes]
    write_rows(folder / NAMES, [(label, label) for label in labels])
