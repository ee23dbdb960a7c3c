"""UnAV-100: untrimmed videos, a hundred classes of events that are heard and seen at once.

``unav100_annotations.json`` of the repository ttgeng233/UnAV, in ActivityNet's layout; OpenTAD and
ActionFormer call its subsets otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlld.data.problems import Problem, Report, strict
from rlld.data.sets._features import NpyFeatures, Part
from rlld.data.sets._tables import file_in, text_at
from rlld.data.sets.base import PublishedSet, SetEvent, Split, Video, require_joint, spell
from rlld.errors import RlldError
from rlld.utils.files import write_text
from rlld.utils.plain import json_text, json_value

FILE = "unav100_annotations.json"
SUBSETS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
"""What subsets are called, in small letters."""
HOP = 0.32
"""Seconds between rows of its features, those of the sound too."""
SAME = 1e-3
"""Seconds by which an event differs from another that repeats it."""


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads the annotation.

    Raises:
        RlldError: If the file is missing or has another layout; names the video.
    """
    path = file_in(folder, FILE, f"UnAV-100's {FILE}")
    data = json_value(text_at(path), str(path))
    database = data.get("database") if isinstance(data, dict) else None
    if not isinstance(database, dict) or not database:
        raise RlldError(f"{path}: has no videos under 'database'; give UnAV-100's {FILE}")
    numbers: dict[str, int] = {}
    found = {video: _video(path, video, entry, numbers) for video, entry in database.items()}
    classes, spelled = spell(sorted(numbers, key=lambda name: numbers[name]))
    short = dict(zip(sorted(numbers, key=lambda name: numbers[name]), classes, strict=True))
    videos, events = {}, []
    for video, (split, seconds, rows) in found.items():
        own: list[SetEvent] = []
        for at, (label, onset, offset) in enumerate(rows):
            place = f"{path}: {video!r}, annotation {at}"
            event = SetEvent(video, short[label], "audio_visual", onset, offset, place)
            if any(_repeats(event, other) for other in own):
                text = f"annotation {at} of video {video!r} repeats another; it counts once"
                report(Problem(path, 0, "note", text))
            else:
                own.append(event)
        tags = tuple(dict.fromkeys(event.label for event in own))
        videos[video] = Video(split, tags, True, youtube=video, seconds=seconds)
        events += own
    return PublishedSet(
        "unav-100", classes, videos, tuple(events), "joint", any_length=True, spelled=spelled
    )


def _repeats(event: SetEvent, other: SetEvent) -> bool:
    times = abs(event.onset - other.onset), abs(event.offset - other.offset)
    return event.label == other.label and max(times) <= SAME


def _video(
    path: Path, video: str, entry: Any, numbers: dict[str, int]
) -> tuple[Split, float | None, list[tuple[str, float, float]]]:
    """Reads a video, and learns the numbers of its classes."""
    try:
        subset, length = str(entry["subset"]).lower(), entry.get("duration")
        labels = [(str(row["label"]), int(row["label_id"])) for row in entry["annotations"]]
        segments = [row["segment"] for row in entry["annotations"]]
        times = [(float(start), float(end)) for start, end in segments]
        seconds = None if length is None else float(length)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RlldError(
            f"{path}: {video!r}: expected subset, duration and annotations, each with segment "
            f"[start, end], label and label_id ({type(error).__name__}: {error}); give "
            f"UnAV-100's {FILE} as published"
        ) from None
    if subset not in SUBSETS:
        raise RlldError(
            f"{path}: {video!r}: subset is {entry['subset']!r}, expected train, validation or test"
        )
    for label, number in labels:
        if numbers.setdefault(label, number) != number:
            raise RlldError(
                f"{path}: {video!r}: {label!r} has label_id {number}, elsewhere {numbers[label]}; "
                "give the file of one version"
            )
    events = [(label, *own) for (label, _), own in zip(labels, times, strict=True)]
    return SUBSETS[subset], seconds, events


def write(folder: Path, given: PublishedSet) -> None:
    """Writes the same file; classes are numbered in their order."""
    require_joint("unav-100", given)
    numbers = {label: at for at, label in enumerate(given.classes)}
    rows: dict[str, list[Mapping[str, Any]]] = {video: [] for video in given.videos}
    for event in given.events:
        row = {"segment": [event.onset, event.offset], "label": given.spelling(event.label)}
        rows[event.video].append({**row, "label_id": numbers[event.label]})
    database = {
        video: {
            **({} if known.seconds is None else {"duration": known.seconds}),
            "annotations": rows[video],
            "subset": known.split,
        }
        for video, known in given.videos.items()
    }
    path = folder / FILE
    data = {"version": "unav100", "database": database}
    write_text(path, json_text(data, str(path)) + "\n")


def features(folder: Path) -> NpyFeatures:
    """Returns what reads the published features, averaged over seconds."""
    return NpyFeatures(
        folder,
        {
            "audio": (Part(128, suffix="_vggish", hop=HOP),),
            "visual_2d": (
                Part(1024, suffix="_rgb", hop=HOP),
                Part(1024, suffix="_flow", hop=HOP),
            ),
        },
    )
