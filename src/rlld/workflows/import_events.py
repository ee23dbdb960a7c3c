"""Events from other programs back into the annotation of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlld.data.annotations import DenseRow, read_dense, read_weak, union, write_rows
from rlld.data.imported import class_of, read_imported, write_imported
from rlld.data.moved import features_of
from rlld.data.own import Known, short, write_own
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    SPLITS,
    DataSpec,
    annotation_file,
    dense_files,
    read_spec,
    weak_files,
)
from rlld.data.tags.events import Marked
from rlld.errors import RlldError, listed, nearest
from rlld.export.files import event_files, read_events
from rlld.media.listing import LISTING, Listed, VideoNames, read_listing, write_listing
from rlld.parsing.result import Event
from rlld.types import MODALITIES
from rlld.utils.files import held as locked
from rlld.utils.files import owned


@dataclass(frozen=True)
class Imported:
    """What was imported.

    Attributes:
        events: Audible and visible events that the videos have now.
        videos: These videos.
        moved: Those that served for training and are for validation now.
        notes: What was changed about the events, and what the reader should know.
    """

    events: int
    videos: tuple[str, ...]
    moved: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Held:
    """What a data set holds.

    Attributes:
        folder: Its folder.
        spec: It.
        listing: Its clips, none where 'rlld data new' did not make it.
        tags: Tags of every video, by split.
        dense: Events of the watched videos.
        ends: Seconds of every video.
    """

    folder: Path
    spec: DataSpec
    listing: dict[str, Listed]
    tags: dict[str, dict[str, tuple[str, ...]]]
    dense: tuple[Marked, ...]
    ends: dict[str, float]

    @property
    def splits(self) -> dict[str, str]:
        """The split of every video."""
        return {video: split for split, videos in self.tags.items() for video in videos}


_Found = tuple[str, Sequence[Event], str]
"""A video, events of it, and the place where they stand, for messages."""


def import_events(
    folder: Path, files: Sequence[Path], form: str | None = None, fps: float | None = None
) -> Imported:
    """Replaces the events of videos by those that files hold.

    A video that a file names is taken as watched: what is not marked does not occur. In a data set
    of ``rlld data new`` it serves for validation from now on, unless for testing already; in
    others only validation and test videos have events.

    Args:
        folder: The data-set folder.
        files: The files, or folders of them; their events of a video add up.
        form: Their format; told by suffix and content when not given.
        fps: Frames per second of timelines whose files do not say it.

    Raises:
        RlldError: If a file is wrong, names no video, a class that is unknown or a time behind the
            end of its clip. Nothing is written then.
    """

    def read(held: _Held) -> Iterator[_Found]:
        for file in event_files(files, form):
            for name, events in read_events(file, form, fps).items():
                yield _video(name, file, held), events, f"{file}: {name}"

    return _replaced(folder, read)


def replace_events(folder: Path, events: Mapping[str, Sequence[Event]]) -> Imported:
    """Replaces the events of videos, as ``import_events`` does.

    Args:
        folder: The data-set folder.
        events: Events by video id.

    Raises:
        RlldError: If a video or a class is unknown. Nothing is written then.
    """

    def read(held: _Held) -> Iterator[_Found]:
        known = held.splits
        for video, own in events.items():
            if video not in known:
                raise RlldError(f"{folder}: has no video {video!r}{nearest(video, known)}")
            yield video, own, video

    return _replaced(folder, read)


def _replaced(folder: Path, read: Callable[[_Held], Iterable[_Found]]) -> Imported:
    """Replaces the events of videos by what is read for them, all of it before any is written."""
    read_spec(folder)  # refuses what is none, for which the locks would make a folder
    with locked(folder / FILE_NAME), owned(folder):  # as 'data new', and as what adds answers
        held = _held(folder)
        notes: list[str] = []
        found: dict[str, list[Marked]] = {}
        for video, events, place in read(held):
            marks = found.setdefault(video, [])
            for event in events:
                marks += _marks(event, video, place, held, notes)
        events_of = {video: _merged(marks, notes) for video, marks in sorted(found.items())}
        moved = _write(held, events_of)
    everything = [event for events in events_of.values() for event in events]
    notes += short(everything, held.spec)
    notes += _untagged(everything, held)
    return Imported(len(everything), tuple(events_of), moved, tuple(notes))


def _held(folder: Path) -> _Held:
    spec, at = read_spec(folder), folder / ANNOTATIONS
    tags = {}
    for split, file in weak_files(spec).items():
        weak = read_weak(annotation_file(at, file), spec.taxonomy)
        tags[split] = {
            video: tuple(spec.classes[c] for c in row.nonzero()[0])
            for video, row in zip(weak.ids, weak.labels, strict=True)
        }
    # What was killed after it had given a video to another split goes on where it was.
    others = {video for split, videos in tags.items() if split != "train" for video in videos}
    if "train" in tags:
        tags["train"] = {video: own for video, own in tags["train"].items() if video not in others}
    files = dense_files(spec, SPLITS[1])
    dense = [
        Marked(row.id, row.label, modality, row.onset, row.offset, f"{at / file}:{row.line}")
        for modality, file in zip(MODALITIES, files, strict=bool(files))
        for row in read_dense(annotation_file(at, file), spec.taxonomy)
    ]
    listing = read_listing(folder)
    named = {video for videos in tags.values() for video in videos} | {row.video for row in dense}
    if listing and (strange := named - listing.keys()):
        raise RlldError(
            f"{folder / LISTING}: lists no clip of {listed(sorted(strange))}, which the annotation "
            "names; run 'rlld data new' again, or remove it there; nothing was imported"
        )
    ends = {video: known.seconds for video, known in listing.items()}
    return _Held(folder, spec, listing, tags, tuple(dense), ends or _ends(folder, spec, tags))


def _ends(
    folder: Path, spec: DataSpec, tags: Mapping[str, Mapping[str, object]]
) -> dict[str, float]:
    """Returns how long videos are whose clips nobody measured: as long as their segments."""
    ends = {video: spec.duration for videos in tags.values() for video in videos}
    for split, videos in tags.items() if spec.any_length else ():
        store = features_of(folder, split, tuple(videos))
        if store.lengths is not None:
            counts = store.lengths.tolist()
            for video, count in zip(store.ids, counts, strict=True):
                ends[video] = count * spec.segment_seconds
    return ends


def _video(name: str, file: Path, held: _Held) -> str:
    """Returns the video that a name in a file means."""
    splits = held.splits
    found = VideoNames(splits, held.listing).find(name, file.stem)
    if len(found) == 1:
        return found[0]
    what = f"may be {listed(found)}" if found else "is none of them"
    raise RlldError(
        f"{file}: {held.folder} knows its clips by ids and file names, and {name!r} {what}; rename "
        f"it; nothing was imported{'' if found else nearest(name, splits)}"
    )


def _marks(event: Event, video: str, place: str, held: _Held, notes: list[str]) -> Iterable[Marked]:
    """Returns an event as the annotation of a video has it, audible, visible or both."""
    label = class_of(event.label, held.spec.classes, place)
    end, spec = held.ends[video], held.spec
    told = f"{place}: {event.label} from {event.start:g} to {event.end:g} s"
    if event.start >= end:
        raise RlldError(
            f"{told} lies behind the end of the clip, which lasts {end:g} s; correct it, or import "
            "it for the clip that it belongs to; nothing was imported"
        )
    if not spec.any_length and event.start >= spec.duration:
        notes.append(f"{told} is left out: videos of this data set end at {spec.duration:g} s")
        return []
    if event.end > end + spec.segment_seconds:
        notes.append(f"{told} is cut at the end of the clip, {end:g} s")
    both = MODALITIES if event.modality == "audio_visual" else (event.modality,)
    stop = min(event.end, end)
    return [Marked(video, label, modality, event.start, stop, place) for modality in both]


def _merged(marks: Sequence[Marked], notes: list[str]) -> tuple[Marked, ...]:
    """Makes one event of those of a class that overlap or touch."""
    lanes: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    for mark in marks:
        lanes[mark.modality, mark.video, mark.label].append((mark.onset, mark.offset))
    merged = []
    for (modality, video, label), spans in lanes.items():
        kept = union(spans)
        if len(kept) < len(set(spans)):
            notes.append(
                f"{video}: {len(set(spans))} events of {modality} {label} overlap or touch, and "
                f"are {len(kept)} now"
            )
        merged += [Marked(video, label, modality, *span, "") for span in kept]
    return tuple(sorted(merged))


def _write(held: _Held, events: Mapping[str, tuple[Marked, ...]]) -> tuple[str, ...]:
    """Writes the annotation; returns the videos that changed their split."""
    kept = [event for event in held.dense if event.video not in events]
    dense = (*kept, *(event for marks in events.values() for event in marks))
    moved = tuple(video for video in events if held.splits[video] == "train")
    if held.listing:
        _write_own(held, events, dense, moved)
        return moved
    files = dense_files(held.spec, SPLITS[1])
    if moved or not files:
        which = "it has no validation or test videos"
        if moved:
            which = f"of training are {listed(moved)}"
        raise RlldError(
            f"{held.folder}: only validation and test videos of this data set have events, and "
            f"{which}; correct training videos in 'rlld studio', which keeps them as answers, or "
            "make a data set of your clips with 'rlld data new', where any clip can be watched; "
            "nothing was imported"
        )
    for modality, file in zip(MODALITIES, files, strict=True):
        rows = [
            DenseRow(event.video, event.onset, event.offset, event.label, 0)
            for event in dense
            if event.modality == modality
        ]
        write_rows(annotation_file(held.folder / ANNOTATIONS, file), rows)
    return ()


def _write_own(
    held: _Held,
    events: Mapping[str, tuple[Marked, ...]],
    dense: tuple[Marked, ...],
    moved: tuple[str, ...],
) -> None:
    tags = {video: words for videos in held.tags.values() for video, words in videos.items()}
    splits = {
        split: tuple(video for video in held.tags.get(split, ()) if video not in moved)
        for split in SPLITS
    }
    splits["validation"] = tuple(sorted({*splits["validation"], *moved}))
    if not splits["train"]:
        raise RlldError(
            f"{held.folder}: all of its clips would have events, so that none is left to train on; "
            "keep some for it, or add clips that have tags alone; nothing was imported"
        )
    watched = frozenset((*splits["validation"], *splits["test"]))
    home = {video: split for split, videos in splits.items() for video in videos}
    listing = {
        video: known._replace(split=home.get(video, known.split))
        for video, known in held.listing.items()
    }
    lengths = {video: known.seconds for video, known in listing.items()}
    known = Known(tags, dense, watched)
    used = {split: videos for split, videos in splits.items() if videos}

    def listed() -> None:
        write_imported(held.folder, {**read_imported(held.folder), **events})
        write_listing(held.folder, listing)

    write_own(held.folder, held.spec, used, known, lengths, listed)


def _untagged(events: Iterable[Marked], held: _Held) -> list[str]:
    tags = {video: words for videos in held.tags.values() for video, words in videos.items()}
    lacking = sorted({event.video for event in events if event.label not in tags[event.video]})
    if not lacking:
        return []
    return [
        f"{len(lacking):,} clips have events of classes that their tags lack, which stay as they "
        f"are: {listed(lacking[:5])}"
    ]
