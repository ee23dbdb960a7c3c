"""Extraction into packed stores, one per split of a data-set folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rlld.data.annotations import read_splits
from rlld.data.pack import MANIFEST
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    PUBLISHED,
    VIDEOS,
    DataSpec,
    StreamSpec,
    read_spec,
    spec_text,
)
from rlld.data.store import StoreWriter, forget_work, read_store, store_path
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.base import Extractor, fitted, per_segment
from rlld.features.job import FAILED, JobReport, Task, Where, extracted, settle
from rlld.features.reuse import fits, held_features, is_changed, read_stamps, write_stamps
from rlld.features.to_files import made_by
from rlld.media.files import clip_of, clips_of_videos, stamp_of
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.types import STREAMS
from rlld.utils.files import held, owned, write_text
from rlld.utils.plain import json_text

LIGHT = "light"
"""Features of data sets that had none of clips before."""
LONGER, SHORTER = "longer", "shorter"
MEND = f"'any_length: true' into {FILE_NAME} and extract again"


@dataclass(frozen=True)
class Wanted:
    """Features that stores are filled with; see ``rlld.data.store.Rows``.

    Attributes:
        features: The extractors, as ``load_extractor`` takes them.
        segments: Segments per video, T.
        segment_seconds: Length of a segment in seconds.
        streams: Streams of the extractors.
        provenance: What makes them, as stores record it.
        tracks: Which of several tracks of a clip are described.
        any_length: Whether each video has as many segments as it lasts.
    """

    features: str
    segments: int
    segment_seconds: float
    streams: dict[str, StreamSpec]
    provenance: str
    tracks: TrackChoice = AS_PLAYED
    any_length: bool = False

    @classmethod
    def of(
        cls,
        extractor: Extractor,
        features: str,
        spec: DataSpec,
        tracks: TrackChoice = AS_PLAYED,
    ) -> Wanted:
        """Returns what an extractor makes of the videos of a data set."""
        seconds = spec.segment_seconds
        provenance = f"rlld extract: {extractor.name} {extractor.version}"
        if tracks.chosen:
            provenance += f" of {tracks}"
        streams = extractor.streams(seconds)
        return cls(features, spec.segments, seconds, streams, provenance, tracks, spec.any_length)

    @property
    def dims(self) -> dict[str, int]:
        """Dimensions by stream name."""
        return {name: stream.dim for name, stream in self.streams.items()}


def extract_dataset(
    folder: Path,
    features: str | None = None,
    *,
    videos: Path | None = None,
    where: Where | None = None,
    skip_failed: bool = False,
    tracks: TrackChoice = AS_PLAYED,
    alone: bool = False,
) -> JobReport:
    """Extracts the clips of a data-set folder into its packed stores.

    The clips are ``videos/<id>.*``, or bear the YouTube id of an LLP video; the ids come from the
    annotation files, the segments from ``dataset.yaml``, whose streams are set to those of the
    extractors. Longer clips are cut after the last segment, shorter ones filled up with zeros, and
    both noted; with ``any_length`` each clip keeps what it has, and ``segments`` is set to those of
    the longest. A second call extracts only clips that are new or were replaced, whatever splits
    they are in now.

    Args:
        folder: The data-set folder.
        features: The extractors, as ``load_extractor`` takes them; those of before when not given,
            ``light`` where it has none of clips.
        videos: Folder of the clips, that of the data set when not given.
        where: Where to compute; the stores are the same for any number of processes.
        skip_failed: Give failed clips features of zero and list them in ``failed.txt``, instead
            of raising.
        tracks: Which of several tracks of a clip are described; those of a player when not given.
        alone: Whether the caller holds ``dataset.yaml``, so that nobody else writes it meanwhile.

    Raises:
        RlldError: If the folder is no data set, or another process writes it, or clips are missing
            or failed; the message lists them, and a later call need not extract the others again.
    """
    read_spec(folder)  # refuses what is none, for which the lock would make a folder
    with nullcontext() if alone else held(folder / FILE_NAME):
        return _extracted(folder, features, videos or folder / VIDEOS, where, skip_failed, tracks)


def _extracted(
    folder: Path,
    features: str | None,
    videos: Path,
    where: Where | None,
    skip_failed: bool,
    tracks: TrackChoice,
) -> JobReport:
    old = read_spec(folder)
    features = features or (LIGHT if old.features == PUBLISHED else old.features)
    extractor = extractor_of_dataset(features)
    wanted = Wanted.of(extractor, features, old, tracks)
    spec = replace(
        old, streams=wanted.streams, features=features, features_version=extractor.version
    )
    clips = clips_of_videos(videos)
    made = made_by(extractor, spec.segment_seconds, tracks)

    def describe(longest: int) -> None:
        path = folder / "features" / MANIFEST
        write_text(path, json_text(made, str(path), indent=1) + "\n")
        text = spec_text(replace(spec, segments=longest) if spec.any_length else spec)
        write_text(folder / FILE_NAME, text)

    return fill_stores(
        folder,
        wanted,
        lambda split: store_path(folder, split),
        clips,
        where,
        skip_failed,
        describe=describe,
    )


def extractor_of_dataset(features: str) -> Extractor:
    """Loads extractors that describe both tracks, as a data set needs them.

    Args:
        features: The extractors, as ``load_extractor`` takes them.

    Raises:
        RlldError: If they cannot be loaded, or leave a track out.
    """
    extractor = load_extractor(features)
    lacking = [name for name in STREAMS[:2] if name not in extractor.streams(1.0)]
    if lacking:
        raise RlldError(
            f"features {features!r} give a data set no stream {lacking[0]!r}; add an extractor "
            "that describes it"
        )
    return extractor


def fill_stores(
    folder: Path,
    wanted: Wanted,
    place: Callable[[str], Path],
    clips: Mapping[str, Path],
    where: Where | None = None,
    skip_failed: bool = False,
    describe: Callable[[int], None] = lambda longest: None,
) -> JobReport:
    """Fills a store per split of a data-set folder with features of its clips.

    Args:
        folder: The data-set folder.
        wanted: The features.
        place: Returns where the store of a split is to lie.
        clips: Files by id.
        where: Where to compute.
        skip_failed: Give failed clips features of zero instead of raising.
        describe: Writes down what the stores hold, told how many segments the longest video has;
            called when all features are there, and no store holds others any more.

    Raises:
        RlldError: If clips are missing or failed; those that worked are kept for a later call.
    """
    spec = read_spec(folder)
    ids = {split: weak.ids for split, weak in read_splits(folder / ANNOTATIONS, spec).items()}
    failed: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    misfits: Counter[str] = Counter()
    with ExitStack() as stack:
        stack.enter_context(owned(folder))
        shelf = place("train").parent
        stamps = read_stamps(shelf)
        writers = _open_writers(wanted, place, ids, clips, stamps, stack)
        made = _fill(writers, ids, clips, wanted, where or Where(), failed, notes, misfits)
        listing = place("train").with_name(FAILED)
        settle(listing, failed, skip_failed, "their features are zero then")
        rows = 1 if wanted.any_length else wanted.segments
        empty = {name: np.zeros((rows, dim), np.float32) for name, dim in wanted.dims.items()}
        for split in writers:  # a kill leaves too few stores, never stores of two extractors
            place(split).unlink(missing_ok=True)
        for split, writer in writers.items():
            for video in failed.keys() & set(ids[split]):
                writer.add(video, empty)
        for writer in writers.values():
            stamps |= writer.done
        write_stamps(shelf, {video: stamps[video] for video in stamps.keys() & _all(ids)})
        describe(max(_longest(place(split), writers.get(split), ids[split]) for split in ids))
        for split, writer in writers.items():
            writer.finish(ids[split])
    total = sum(map(len, ids.values()))
    return JobReport(total - len(failed), failed, notes, _lost(misfits, wanted), made)


def _all(ids: Mapping[str, Sequence[str]]) -> set[str]:
    return {video for videos in ids.values() for video in videos}


def _longest(store: Path, writer: StoreWriter | None, ids: Sequence[str]) -> int:
    """Returns the most segments of a video of a split, 1 where all have as many."""
    if writer is not None:
        lengths = writer.lengths or {}
        return max((lengths.get(video, 1) for video in ids), default=1)
    found = read_store(store).lengths
    return 1 if found is None or not len(found) else int(found.max())


def _lost(misfits: Mapping[str, int], wanted: Wanted) -> tuple[str, ...]:
    """Says what of clips is not in the features, or is silence."""
    length = f"{wanted.segments * wanted.segment_seconds:g} s"
    said = {
        LONGER: f"clips are longer than {length}: what comes after was left out",
        SHORTER: f"clips are shorter than {length}: filled up with silence",
    }
    lines = [f"{count} {said[kind]}" for kind, count in misfits.items()]
    return tuple(f"{line}; to keep clips as long as they are, write {MEND}" for line in lines)


def _open_writers(
    wanted: Wanted,
    place: Callable[[str], Path],
    ids: Mapping[str, Sequence[str]],
    clips: Mapping[str, Path],
    stamps: Mapping[str, str],
    stack: ExitStack,
) -> dict[str, StoreWriter]:
    """Opens a writer for every split whose store is not finished, with what other stores hold."""
    writers = {}
    for split, videos in ids.items():
        path = place(split)
        if path.is_file():
            store = read_store(path)
            same = store.ids == tuple(videos) and fits(store, wanted, wanted.provenance)
            if same and not is_changed(videos, clips, stamps):
                forget_work(path)
                continue
        writer = StoreWriter(path, split, wanted, provenance=wanted.provenance)
        writers[split] = stack.enter_context(writer)
        lacking = [video for video in videos if video not in writer.done]
        for kept in held_features(place, wanted, wanted.provenance, clips, stamps, lacking):
            writer.add(*kept)
    return writers


def _fill(
    writers: Mapping[str, StoreWriter],
    ids: Mapping[str, Sequence[str]],
    clips: Mapping[str, Path],
    wanted: Wanted,
    where: Where,
    failed: dict[str, str],
    notes: dict[str, tuple[str, ...]],
    misfits: Counter[str],
) -> int:
    """Extracts what the writers lack; returns how many clips it did."""
    splits = {video: split for split in writers for video in ids[split]}
    tasks = []
    for video, split in splits.items():
        path = clip_of(clips, video)
        if path is None:
            failed[video] = f"no clip {VIDEOS}/{video}.mp4"
            continue
        try:
            done = writers[split].done.get(video) == stamp_of(path)
        except RlldError as error:
            failed[video] = str(error)
            continue
        if not done:
            tasks.append(Task(video, path, wanted.features, wanted.segment_seconds, wanted.tracks))
    for task, result in extracted(tasks, where, len(splits)):
        if isinstance(result, RlldError):
            failed[task.video] = str(result)
            continue
        clip, stamp = result
        made = per_segment(clip.streams, wanted.streams)
        length = len(next(iter(made.values())))
        if not wanted.any_length and length != wanted.segments:
            misfits[LONGER if length > wanted.segments else SHORTER] += 1
            made = {name: fitted(value, wanted.segments) for name, value in made.items()}
        if clip.info.notes:
            notes[task.video] = clip.info.notes
        writers[splits[task.video]].add(task.video, made, stamp)
    return sum(task.video not in failed for task in tasks)
