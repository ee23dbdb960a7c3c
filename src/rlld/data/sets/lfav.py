"""LFAV: minutes-long videos, heard and seen apart, the training tags too.

``LFAV_dataset/{train,val,test}`` of the repository GeWu-Lab/LFAV. Tables of one row a video say
which classes occur, and which are heard and seen; in ``val`` and ``test`` others say when.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rlld.data.problems import Problem, Report, strict
from rlld.data.sets._features import NpyFeatures, Part
from rlld.data.sets._tables import rows_of, seconds_at, split_names, write_rows
from rlld.data.sets.base import PublishedSet, SetEvent, Split, Video, class_at
from rlld.errors import RlldError
from rlld.utils.sheets import number_text

CLASSES = (
    "accordion",
    "alarm",
    "banjo",
    "bicycle",
    "car",
    "car_alarm",
    "cat",
    "cello",
    "chainsaw",
    "cheering",
    "chicken_rooster",
    "clapping",
    "cry",
    "dance",
    "dog",
    "drum",
    "fixed-wing_aircraft",
    "frisbee",
    "guitar",
    "helicopter",
    "horse",
    "laughter",
    "piano",
    "playing_basketball",
    "playing_badminton",
    "playing_baseball",
    "playing_ping-pong",
    "playing_tennis",
    "playing_soccer",
    "playing_volleyball",
    "rodents",
    "shofar",
    "singing",
    "speech",
    "violin",
)
DROPPED = ("train", "toilet_flush")
"""Classes of a few annotations that are none of the 35."""
SILENT = "silent"
"""What stands where a track holds no event."""
FOLDERS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
TAGS = {"train": "train_weakly.csv", "val": "val_weak_av.csv", "test": "test_weak_av.csv"}
WEAK, DENSE = ("filename", "event_labels"), ("filename", "onset", "offset", "event_labels")
TRACKS: tuple[Literal["audio", "visual"], ...] = ("audio", "visual")


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads the folder that holds ``train``, ``val`` and ``test``.

    Rows of classes that are none of the 35, and labels given twice, are reported and left out.

    Raises:
        RlldError: If a file is missing or none of LFAV's.
    """
    videos: dict[str, Video] = {}
    events: list[SetEvent] = []
    for short, split in FOLDERS.items():
        if not (folder / short).is_dir():
            raise RlldError(f"{folder}: has no folder {short!r}; give LFAV's folder LFAV_dataset")
        tags = _weak(_tags_file(folder, short), report)
        heard, seen = (
            _weak(folder / short / f"{short}_{track}_weakly.csv", report) for track in TRACKS
        )
        for video, own in tags.items():
            if video in videos:
                place = folder / short / TAGS[short]
                raise RlldError(f"{place}: video {video!r} is in two splits; give it as published")
            told = heard.get(video, ()), seen.get(video, ())
            videos[video] = Video(split, own, short != "train", *told, youtube=video)
        if short != "train":
            events += _dense(folder / short, short, videos, report)
    return PublishedSet("lfav", CLASSES, videos, tuple(events), any_length=True)


def _tags_file(folder: Path, short: str) -> Path:
    """Returns the table of all tags; LFAV's page calls those of val and test otherwise."""
    named = folder / short / TAGS[short]
    other = folder / short / f"{short}_weakly_av.csv"
    return other if other.is_file() and not named.is_file() else named


def _weak(path: Path, report: Report) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for place, row in rows_of(path, WEAK):
        video = row["filename"]
        if video in found:
            raise RlldError(f"{place}: video {video!r} stands there twice; give it as published")
        names = [name for name in split_names(row["event_labels"]) if name != SILENT]
        labels = tuple(
            class_at(name, CLASSES, place, path.name) for name in names if name not in DROPPED
        )
        if dropped := [name for name in names if name in DROPPED]:
            text = f"video {video!r} has {dropped[0]!r}, which is none of the 35 classes; left out"
            report(Problem(path, _line(place), "warning", text))
        if len(set(labels)) < len(labels):
            text = f"video {video!r} repeats a label ({row['event_labels']}); it counts once"
            report(Problem(path, _line(place), "note", text))
        found[video] = tuple(dict.fromkeys(labels))
    return found


def _dense(folder: Path, short: str, videos: dict[str, Video], report: Report) -> list[SetEvent]:
    events = []
    for track in TRACKS:
        path = folder / f"{short}_{track}.csv"
        for place, row in rows_of(path, DENSE):
            video, label, line = row["filename"], row["event_labels"], _line(place)
            onset, offset = (seconds_at(row[column], place, column) for column in DENSE[1:3])
            if label in DROPPED:
                text = f"{label!r} of {video!r} is none of the 35 classes; left out"
                report(Problem(path, line, "warning", text))
            elif video not in videos:
                text = f"video {video!r} is in no table of tags; its event is left out"
                report(Problem(path, line, "warning", text))
            else:
                class_at(label, CLASSES, place, path.name)
                events.append(SetEvent(video, label, track, onset, offset, place))
    return events


def _line(place: str) -> int:
    return int(place.rpartition(":")[2])


def write(folder: Path, given: PublishedSet) -> None:
    """Writes the same tables; videos whose tracks nobody told have their tags in both."""
    for short, split in FOLDERS.items():
        own = {video: given.videos[video] for video in given.of(split)}
        union = [(video, ",".join(known.tags)) for video, known in own.items()]
        write_rows(folder / short / TAGS[short], [WEAK, *union])
        for track, place in zip(TRACKS, ("heard", "seen"), strict=True):
            told = {
                video: known.tags if getattr(known, place) is None else getattr(known, place)
                for video, known in own.items()
            }
            rows = [(video, ",".join(labels) or SILENT) for video, labels in told.items()]
            write_rows(folder / short / f"{short}_{track}_weakly.csv", [WEAK, *rows])
            if short == "train":
                continue
            dense = [
                (event.video, number_text(event.onset), number_text(event.offset), event.label)
                for event in given.events
                if event.video in own and event.modality in (track, "audio_visual")
            ]
            write_rows(folder / short / f"{short}_{track}.csv", [DENSE, *dense])


def features(folder: Path) -> NpyFeatures:
    """Returns what reads the published features: a row a second, one file a video and stream."""
    return NpyFeatures(
        folder,
        {
            "audio": (Part(128, ("vggish", "audio-feat-vggish-align")),),
            "visual_2d": (Part(512, ("resnet18", "visual-feat-res18-align")),),
            "visual_3d": (Part(512, ("r2plus1d_18", "visual-feat-r2plus1d-align")),),
        },
    )
