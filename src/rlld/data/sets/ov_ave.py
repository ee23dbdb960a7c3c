"""OV-AVEBench: clips of ten seconds, one class each, of 67; 21 of them occur in no training clip.

``meta_anno_files`` of the repository jasongief/OV-AVEL: a table of splits and classes, and a JSON
file that says of each second whether the event is heard and seen.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from rlld.data.problems import Report, strict
from rlld.data.sets._tables import file_in, rows_of, text_at, write_rows
from rlld.data.sets.base import SECONDS, PublishedSet, SetEvent, Split, Video, require_joint, spell
from rlld.errors import RlldError
from rlld.utils.files import write_text
from rlld.utils.plain import json_text, json_value

META = "ovave_dataset_meta.csv"
LABELS = ("released_ovavel_dataset_anno.json", "ovavel_dataset_anno.json")
COLUMNS = ("split", "cls_name", "cls_type", "vid_name")
SPLITS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
CELLS = re.compile(r"\[\s*[01](\s*,\s*[01]){9}\s*\]")
"""Ten zeros and ones, written as text."""


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads splits, classes and seconds.

    Classes stand in the order in which the table names them. A clip of whose ten seconds none is
    marked keeps its class as its tag.

    Raises:
        RlldError: If a file is missing or has another layout, or a clip has no seconds.
    """
    meta = file_in(folder, META, f"OV-AVEBench's {META}")
    rows = list(rows_of(meta, COLUMNS, ","))
    path = _labels_file(meta.parent)
    labels = json_value(text_at(path), str(path))
    if not isinstance(labels, dict):
        raise RlldError(f"{path}: expected a mapping of clips; give the file as published")
    published = list(dict.fromkeys(row["cls_name"] for _, row in rows))
    classes, spelled = spell(published)
    short = dict(zip(published, classes, strict=True))
    videos: dict[str, Video] = {}
    events: list[SetEvent] = []
    for place, row in rows:
        video, label = row["vid_name"], short[row["cls_name"]]
        if row["split"] not in SPLITS:
            raise RlldError(f"{place}: split is {row['split']!r}, expected train, val or test")
        if video in videos:
            raise RlldError(f"{place}: clip {video!r} stands there twice; give it as published")
        videos[video] = Video(SPLITS[row["split"]], (label,), True, youtube=video, seconds=SECONDS)
        for start, end in _runs(path, video, row["cls_name"], labels.get(video)):
            events.append(SetEvent(video, label, "audio_visual", start, end, f"{path}: {video!r}"))
    return PublishedSet("ov-ave", classes, videos, tuple(events), "joint", spelled=spelled)


def _labels_file(folder: Path) -> Path:
    for name in LABELS:
        if (folder / name).is_file():
            return folder / name
    raise RlldError(
        f"{folder / LABELS[0]}: no such file, which says what is heard and seen in each second; "
        f"put it beside {META}"
    )


def _runs(path: Path, video: str, label: str, entry: object) -> list[tuple[int, int]]:
    """Returns first second and end of each run of ones."""
    cells = entry.get("label") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not CELLS.fullmatch(str(cells)):
        raise RlldError(
            f"{path}: {video!r}: label is {str(cells)[:40]!r}, expected ten zeros and ones in "
            "brackets; give the file as published"
        )
    if entry.get("category") != label:
        raise RlldError(
            f"{path}: {video!r}: category is {entry.get('category')!r}, {META} says {label!r}; "
            "give both of one version"
        )
    seconds = enumerate(re.findall("[01]", str(cells)))
    runs = [(cell, list(group)) for cell, group in groupby(seconds, key=lambda each: each[1])]
    return [(own[0][0], own[-1][0] + 1) for cell, own in runs if cell == "1"]


def write(folder: Path, given: PublishedSet) -> None:
    """Writes both files; a class that occurs in training is ``close``, another one ``open``."""
    require_joint("ov-ave", given)
    known = {given.videos[video].tags[0] for video in given.of("train")}
    back = {split: name for name, split in SPLITS.items()}
    cells = {video: ["0"] * SECONDS for video in given.videos}
    for event in given.events:
        for second in range(int(event.onset), int(event.offset)):
            cells[event.video][second] = "1"
    rows, labels = [], {}
    for video, own in given.videos.items():
        name = given.spelling(own.tags[0])
        kind = "close" if own.tags[0] in known else "open"
        rows.append((back[own.split], name, kind, video))
        labels[video] = {"category": name, "label": f"[{', '.join(cells[video])}]"}
    write_rows(folder / META, [COLUMNS, *rows], ",")
    path = folder / LABELS[0]
    write_text(path, json_text(labels, str(path)) + "\n")
