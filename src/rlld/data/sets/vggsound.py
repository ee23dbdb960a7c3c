"""VGGSound: clips of ten seconds with one label each, found by what is heard; weak labels only.

``vggsound.csv`` of the repository hche11/VGGSound has no header: YouTube id, second of the start,
label, ``train`` or ``test``. In another form, ``test.csv``, a clip is one cell, ``ID_000030.mp4``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from rlld.data.problems import Report, strict
from rlld.data.sets._tables import cells_of, file_in, seconds_at, write_rows
from rlld.data.sets.base import SECONDS, PublishedSet, Split, Video, spell
from rlld.errors import RlldError
from rlld.utils.sheets import number_text

FILE = "vggsound.csv"
SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


class Cut(TypedDict):
    """Where a clip is cut out of, as ``Video`` has it."""

    youtube: str
    start: float
    end: float
    seconds: float


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads the table.

    Raises:
        RlldError: If it is missing or has another layout, or a clip stands there twice.
    """
    path = file_in(folder, FILE, f"VGGSound's {FILE}")
    found: dict[str, tuple[str, str, Split]] = {}
    for place, video, label, split in rows(path):
        if video in found:
            raise RlldError(f"{place}: clip {video!r} stands there twice; give it as published")
        found[video] = (place, label, split)
    names = sorted({label for _, label, _ in found.values()})
    classes, spelled = spell(names)
    short = dict(zip(names, classes, strict=True))
    videos = {
        video: Video(split, (short[label],), **cut(video, place))
        for video, (place, label, split) in found.items()
    }
    return PublishedSet("vggsound", classes, videos, spelled=spelled, found_by="heard")


def rows(path: Path) -> Iterator[tuple[str, str, str, Split]]:
    """Yields place, clip, label and split of every row.

    Raises:
        RlldError: If a row has another layout.
    """
    for place, cells in cells_of(path, ","):
        if len(cells) == 2 and cells[0].endswith(".mp4"):
            yield place, cells[0].removesuffix(".mp4"), cells[1], "test"
            continue
        if len(cells) != 4 or cells[3] not in SPLITS:
            raise RlldError(
                f"{place}: expected YouTube id, start, label and train or test (a label with "
                f"commas in quotes), found {','.join(cells)[:60]!r}; give VGGSound's {FILE} as "
                "published"
            )
        start = seconds_at(cells[1], place, "the start")
        yield place, f"{cells[0]}_{round(start):06d}", cells[2], SPLITS[cells[3]]


def cut(video: str, place: str) -> Cut:
    """Returns where a clip is cut out of.

    Raises:
        RlldError: If its name does not say it.
    """
    youtube, _, start = video.rpartition("_")
    if not youtube or not start.isdecimal():
        raise RlldError(
            f"{place}: clip is {video!r}, expected the YouTube id and the second of its start, "
            "such as ---g-f_I2yQ_000001; give the file as published"
        )
    return Cut(youtube=youtube, start=int(start), end=int(start) + SECONDS, seconds=SECONDS)


def write(folder: Path, given: PublishedSet) -> None:
    """Writes the table of training and test clips."""
    made = [
        (known.youtube, number_text(known.start), given.spelling(known.tags[0]), known.split)
        for known in given.videos.values()
        if known.split in SPLITS
    ]
    write_rows(folder / FILE, made, ",")
