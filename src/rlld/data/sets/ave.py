"""AVE: clips of ten seconds in which one event is heard and seen at once.

``Annotations.txt`` and the files of its splits, from the repository YapengTian/AVE-ECCV18 or the
download of the clips. A row is a sample: 45 clips have two or more, each of a class of its own, so
that a sample is known by its row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlld.data.problems import Problem, Report, strict
from rlld.data.sets._features import Array, SetFeatures
from rlld.data.sets._tables import file_in, seconds_at, text_at
from rlld.data.sets.base import (
    SECONDS,
    PublishedSet,
    SetEvent,
    Split,
    Video,
    class_at,
    require_joint,
    spell,
)
from rlld.data.spec import StreamSpec
from rlld.data.store import FeatureError
from rlld.errors import RlldError
from rlld.utils.extras import optional
from rlld.utils.files import write_text
from rlld.utils.sheets import number_text

PUBLISHED = (
    "Church bell",
    "Male speech, man speaking",
    "Bark",
    "Fixed-wing aircraft, airplane",
    "Race car, auto racing",
    "Female speech, woman speaking",
    "Helicopter",
    "Violin, fiddle",
    "Flute",
    "Ukulele",
    "Frying (food)",
    "Truck",
    "Shofar",
    "Motorcycle",
    "Acoustic guitar",
    "Train horn",
    "Clock",
    "Banjo",
    "Goat",
    "Baby cry, infant cry",
    "Bus",
    "Chainsaw",
    "Cat",
    "Horse",
    "Toilet flush",
    "Rodents, rats, mice",
    "Accordion",
    "Mandolin",
)
"""Its classes, in the order of its labels."""
CLASSES, SPELLED = spell(PUBLISHED)
HEADER = ["Category", "VideoID", "Quality", "StartTime", "EndTime"]
FILE = "Annotations.txt"
QUALITY = "good"
SPLITS: dict[Split, tuple[str, str]] = {
    "train": ("train_order.h5", "trainSet.txt"),
    "validation": ("val_order.h5", "valSet.txt"),
    "test": ("test_order.h5", "testSet.txt"),
}
"""Files of each split: numbers of rows, or the rows themselves."""
KEY = "avadataset"
FEATURES = {"audio": ("audio_feature.h5", 128), "visual_2d": ("visual_feature.h5", 512)}


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads ``Annotations.txt`` and the splits.

    A clip is called by its YouTube id; where several rows have one, by the id, ``_`` and the number
    of the row, counted from 0. An event without length is reported; the sample keeps its class.

    Raises:
        RlldError: If a file is missing or none of AVE's, or a row is in no split or in two.
    """
    path = file_in(folder, FILE, "AVE's Annotations.txt")
    rows = _rows(path)
    short = {published: label for label, published in SPELLED.items()}
    known = {name: short.get(name, name) for name in PUBLISHED}
    splits = _splits(path.parent, [cells for _, cells in rows])
    times = Counter(cells[1] for _, cells in rows)
    videos, events = {}, []
    for at, (place, (published, youtube, _, start, end)) in enumerate(rows):
        label = class_at(published, known, place, FILE)
        video = youtube if times[youtube] == 1 else f"{youtube}_{at}"
        onset, offset = seconds_at(start, place, "StartTime"), seconds_at(end, place, "EndTime")
        if offset > SECONDS:
            line = int(place.rpartition(":")[2])
            text = f"the event of {video!r} ends at {end} s of {SECONDS} s; cut there"
            report(Problem(path, line, "warning", text))
        videos[video] = Video(splits[at], (label,), True, youtube=youtube, seconds=SECONDS)
        events.append(SetEvent(video, label, "audio_visual", onset, offset, place))
    return PublishedSet("ave", CLASSES, videos, tuple(events), "joint", spelled=SPELLED)


def _rows(path: Path) -> list[tuple[str, list[str]]]:
    """Returns place and cells of every row; only the download's file has a header."""
    rows = []
    for line, text in enumerate(text_at(path).splitlines(), 1):
        cells = [cell.strip() for cell in text.split("&")]
        if not text.strip() or (line == 1 and cells == HEADER):
            continue
        if len(cells) != len(HEADER):
            raise RlldError(
                f"{path}:{line}: expected {len(HEADER)} cells separated by '&' "
                f"({', '.join(HEADER)}), found {len(cells)}; give AVE's {FILE} as published"
            )
        rows.append((f"{path}:{line}", cells))
    if not rows:
        raise RlldError(f"{path}: holds no row; give AVE's {FILE} as published")
    return rows


def _splits(folder: Path, rows: Sequence[Sequence[str]]) -> dict[int, Split]:
    """Returns the split of every row."""
    found: dict[int, Split] = {}
    for split, names in SPLITS.items():
        present = [folder / name for name in names if (folder / name).is_file()]
        if not present:
            raise RlldError(
                f"{folder}: has neither {names[0]} (of AVE's features) nor {names[1]} (of its "
                f"clips), which say what is for {split}; put one of them beside {FILE}"
            )
        path = present[0]
        numbers = _numbers(path, len(rows)) if path.suffix == ".h5" else _listed(path, rows)
        for at in numbers:
            if at in found:
                raise RlldError(
                    f"{path}: row {at} of {FILE} is in {found[at]} too; give the files of one "
                    "version of AVE"
                )
            found[at] = split
    if len(found) < len(rows):
        lost = next(at for at in range(len(rows)) if at not in found)
        raise RlldError(
            f"{folder}: row {lost} of {FILE} is in no split ({len(rows) - len(found)} such rows); "
            "give the files of one version of AVE"
        )
    return found


def _numbers(path: Path, rows: int) -> list[int]:
    order = _array(path, "order", "AVE's splits")[:]
    if order.ndim != 1 or order.dtype.kind not in "iu" or not ((order >= 0) & (order < rows)).all():
        raise RlldError(f"{path}: order must be numbers of the {rows} rows of {FILE}; take it anew")
    return [int(at) for at in order]


def _listed(path: Path, rows: Sequence[Sequence[str]]) -> list[int]:
    """Returns which rows a list of rows means; equal ones one after the other."""
    places: dict[tuple[str, ...], list[int]] = {}
    for at, cells in enumerate(rows):
        places.setdefault(tuple(cells), []).append(at)
    found = []
    for place, cells in _rows(path):
        left = places.get(tuple(cells))
        if not left:
            raise RlldError(f"{place}: is no row of {FILE}; give the files of one version of AVE")
        found.append(left.pop(0))
    return found


def _array(path: Path, key: str, purpose: str) -> Any:
    """Opens an array of an HDF5 file, which stays on the disk."""
    try:
        return optional("h5py", purpose).File(path, "r")[key]
    except (OSError, KeyError) as error:
        raise RlldError(f"{path}: no HDF5 file with {key!r} ({error}); take it anew") from None


def write(folder: Path, given: PublishedSet) -> None:
    """Writes ``Annotations.txt`` with its header and the lists of the splits, as with the clips."""
    require_joint("ave", given)
    for name, videos in {
        FILE: list(given.videos),
        **{names[1]: given.of(split) for split, names in SPLITS.items()},
    }.items():
        wanted = frozenset(videos)
        rows = [
            (
                given.spelling(e.label),
                given.videos[e.video].youtube,
                QUALITY,
                number_text(e.onset),
                number_text(e.offset),
            )
            for e in given.events
            if e.video in wanted
        ]
        write_text(folder / name, "".join("&".join(row) + "\n" for row in [HEADER, *rows]))


class Features(SetFeatures):
    """AVE's features: one file of all samples per stream, in the order of ``Annotations.txt``.

    Args:
        folder: Their folder.
    """

    def __init__(self, folder: Path) -> None:
        self._arrays = {}
        for stream, (name, dim) in FEATURES.items():
            array = _array(file_in(folder, name, "AVE's features"), KEY, "AVE's features")
            if array.ndim < 3 or array.shape[1] != SECONDS or array.shape[-1] != dim:
                raise RlldError(
                    f"{folder / name}: {KEY} has shape {array.shape}, expected (samples, "
                    f"{SECONDS}, ..., {dim}); give AVE's features as published"
                )
            self._arrays[stream] = array
        self._files = {stream: folder / name for stream, (name, _) in FEATURES.items()}
        self._rows: Mapping[str, int] = {}

    def meet(self, given: PublishedSet) -> None:
        """Learns which row is which sample.

        Raises:
            RlldError: If there are not as many as samples.
        """
        self._rows = {video: at for at, video in enumerate(given.videos)}
        for stream, array in self._arrays.items():
            if len(array) != len(self._rows):
                raise RlldError(
                    f"{self._files[stream]}: holds {len(array)} samples, {FILE} has "
                    f"{len(self._rows)}; give both of one version of AVE"
                )

    @property
    def streams(self) -> dict[str, StreamSpec]:
        """The streams, by name."""
        return {stream: StreamSpec(dim, frames=1) for stream, (_, dim) in FEATURES.items()}

    def find(self, video: str) -> tuple[dict[str, Path], list[str]]:
        """Returns the files, which hold every sample."""
        return dict(self._files), []

    def tracks(self, video: str, files: Mapping[str, Path]) -> dict[str, Array]:
        """Returns the features of a sample, pictures averaged over their positions."""
        made: dict[str, Array] = {}
        for stream, array in self._arrays.items():
            value = np.asarray(array[self._rows[video]], np.float32)
            value = value.reshape(SECONDS, -1, value.shape[-1]).mean(1, dtype=np.float32)
            if not np.isfinite(value).all():
                raise FeatureError(f"{stream}: holds values that are no finite numbers")
            made[stream] = value
        return made

    def names(self) -> set[str]:
        """Returns the samples."""
        return set(self._rows)


def features(folder: Path) -> Features:
    """Returns what reads the published features."""
    return Features(folder)
