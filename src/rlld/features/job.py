"""Extraction over many clips: worker processes, resumable, one bad clip does not stop the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlld.config import to_dict
from rlld.console import progress
from rlld.data.spec import FILE_NAME, DataSpec, read_spec, spec_text
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.base import ClipFeatures, Extractor, per_segment
from rlld.files import write_text, written_aside
from rlld.pool import Workers, each

if TYPE_CHECKING:
    from rlld.data.store import StoreWriter

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".flv")
AUDIO_SUFFIXES = (".wav", ".mp3", ".m4a", ".flac", ".ogg")
SUFFIXES = frozenset(VIDEO_SUFFIXES + AUDIO_SUFFIXES)
"""Files of a folder that count as clips."""

VIDEOS = "videos"
MANIFEST = "manifest.json"
FAILED = "failed.txt"
SHOWN = 10
SAVE_SECONDS = 2.0


@dataclass(frozen=True)
class Task:
    """A clip to extract.

    Attributes:
        video: Its id.
        path: The file.
        extractor: The extractors, as ``load_extractor`` takes them.
        segment_seconds: Length of a segment in seconds.
    """

    video: str
    path: Path
    extractor: str
    segment_seconds: float

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class JobReport:
    """What a job did.

    Attributes:
        clips: Clips that have features now.
        failed: What went wrong, by video id.
        notes: What the reader should know of clips that worked, by video id.
    """

    clips: int
    failed: dict[str, str]
    notes: dict[str, tuple[str, ...]]


def extract_task(task: Task) -> ClipFeatures:
    """Extracts one clip; what a worker process runs.

    Raises:
        RlldError: If the clip cannot be read.
    """
    try:
        return _extractor(task.extractor).extract(task.path, task.segment_seconds)
    except RlldError:
        raise
    except Exception as error:
        # A strange file must cost itself alone, not the hours spent on all others.
        raise RlldError(
            f"{task.path}: unexpected {type(error).__name__} ({error}); the file is damaged, or of "
            "a kind never seen"
        ) from error


@lru_cache(maxsize=2)
def _extractor(name: str) -> Extractor:
    return load_extractor(name)


def stamp_of(path: Path) -> str:
    """Changes when a file is replaced."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def find_clips(sources: Iterable[Path]) -> dict[str, Path]:
    """Returns clips by id (file name without ending) of folders and single files.

    Raises:
        RlldError: If a source is missing, a folder holds no clip, or two clips share an id.
    """
    found: dict[str, Path] = {}
    for source in sources:
        if source.is_dir():
            entries = [file for file in source.iterdir() if not file.name.startswith(".")]
            files = sorted(file for file in entries if file.suffix.lower() in SUFFIXES)
            if not files:
                raise RlldError(f"{source}: no clips in it (files such as .mp4 or .webm)")
        elif source.exists():
            files = [source]
        else:
            raise RlldError(f"{source}: no such file or folder")
        for file in files:
            other = found.setdefault(file.stem, file)
            if other != file:
                raise RlldError(
                    f"{file}: has the same id as {other}; rename one, ids are names without ending"
                )
    return found


def extract_files(
    clips: Mapping[str, Path],
    out: Path,
    extractor: str = "light",
    *,
    segment_seconds: float = 1.0,
    workers: Workers = 1,
    skip_failed: bool = False,
) -> JobReport:
    """Extracts clips into one ``.npy`` file (S, D) per clip and stream.

    The files lie in a folder per stream; ``manifest.json`` beside them says which extractor made
    them and what is known of every clip. A second call skips finished clips.

    Args:
        clips: Files by video id.
        out: Folder to be made or completed.
        extractor: Name of the extractor.
        segment_seconds: Length of a segment in seconds.
        workers: Number of processes, or ``"ray"``; the files are the same for any.
        skip_failed: List failed clips in the manifest instead of raising.

    Raises:
        RlldError: If ``out`` holds features of another extractor or segment length, or clips
            failed; the message lists them, and the others are finished.
    """
    _check_seconds(segment_seconds)
    maker = load_extractor(extractor)
    manifest = Manifest(out / MANIFEST, maker, segment_seconds)
    for stale in (
        file for folder in manifest.folders.values() for file in (out / folder).glob(".*.part")
    ):
        stale.unlink()
    tasks = [Task(video, path, extractor, segment_seconds) for video, path in clips.items()]
    waiting = [task for task in tasks if not manifest.has(task)]
    failed: dict[str, str] = {}
    try:
        for task, result in _extracted(waiting, workers, len(tasks)):
            if isinstance(result, RlldError):
                failed[task.video] = str(result)
                continue
            for name, value in result.streams.items():
                _write_array(out / manifest.folders[name] / f"{task.video}.npy", value)
            manifest.add(task, result)
    finally:
        manifest.save()
    _settle(out / FAILED, failed, skip_failed, "they have no features then")
    notes = {video: tuple(entry["notes"]) for video, entry in manifest.clips.items()}
    return JobReport(len(manifest.clips), failed, {video: n for video, n in notes.items() if n})


class Manifest:
    """``manifest.json``: what made the files of a folder, and what is known of every clip.

    Attributes:
        clips: Facts about every finished clip by video id.
        folders: Folder of each stream.
    """

    def __init__(self, path: Path, extractor: Extractor, segment_seconds: float) -> None:
        self.path = path
        streams = extractor.streams(segment_seconds)
        self.folders = {name: stream.folder for name, stream in streams.items()}
        self.frames = {name: stream.frames for name, stream in streams.items()}
        self.head: dict[str, Any] = {
            "extractor": extractor.name,
            "version": extractor.version,
            "segment_seconds": segment_seconds,
            "streams": to_dict(streams),
        }
        self.clips: dict[str, dict[str, Any]] = self._read() if path.exists() else {}
        self.saved = time.monotonic()

    def has(self, task: Task) -> bool:
        """Says whether a clip is finished and unchanged since."""
        entry = self.clips.get(task.video)
        if entry is None or not task.path.is_file() or entry["stamp"] != stamp_of(task.path):
            return False
        files = (self.path.parent / f / f"{task.video}.npy" for f in self.folders.values())
        return all(file.is_file() for file in files)

    def add(self, task: Task, features: ClipFeatures) -> None:
        """Remembers a finished clip; the file is brought up to date every other second."""
        info = features.info
        self.clips[task.video] = {
            "file": task.path.name,
            "stamp": stamp_of(task.path),
            "duration": round(info.duration, 3),
            "segments": self._segments(features),
            "has_audio": info.has_audio,
            "has_video": info.has_video,
            "notes": list(info.notes),
        }
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save()

    def _segments(self, features: ClipFeatures) -> int:
        name, rows = next(iter(features.streams.items()))
        return len(rows) // self.frames[name]

    def save(self) -> None:
        """Writes the file."""
        content = {**self.head, "clips": dict(sorted(self.clips.items()))}
        write_text(self.path, json.dumps(content, indent=1) + "\n")
        self.saved = time.monotonic()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            clips: dict[str, dict[str, Any]] = content.pop("clips")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise RlldError(f"{self.path}: no manifest of features ({error}); delete it") from None
        if content != self.head:
            raise RlldError(
                f"{self.path.parent}: holds features of {content.get('extractor')} "
                f"{content.get('version')} with segments of {content.get('segment_seconds')} s, "
                f"not of {self.head['extractor']} {self.head['version']} with "
                f"{self.head['segment_seconds']} s; give another folder"
            )
        return clips


def extract_dataset(
    folder: Path, extractor: str = "light", *, workers: Workers = 1, skip_failed: bool = False
) -> JobReport:
    """Extracts the clips of a data-set folder into its packed stores.

    The clips are ``videos/<id>.*``; their ids come from the annotation files, the segments from
    ``dataset.yaml``, whose streams are set to those of the extractor. Longer clips are cut after
    the last segment, shorter ones filled up with zeros, and both noted. A second call skips what
    is finished.

    Args:
        folder: The data-set folder.
        extractor: Name of the extractor.
        workers: Number of processes, or ``"ray"``; the stores are the same for any.
        skip_failed: Give failed clips features of zero and list them in ``failed.txt``, instead
            of raising.

    Raises:
        RlldError: If the folder is no data set, or clips are missing or failed; the message lists
            them, and a later call need not extract the others again.
    """
    from rlld.data.annotations import read_weak
    from rlld.data.dataset import ANNOTATIONS, weak_files

    old = read_spec(folder)
    maker = load_extractor(extractor)
    spec = replace(old, streams=maker.streams(old.segment_seconds), features=extractor)
    ids = {
        split: read_weak(folder / ANNOTATIONS / file, spec.taxonomy).ids
        for split, file in weak_files(spec).items()
    }
    files = _clip_files(folder / VIDEOS)
    failed: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    with ExitStack() as stack:
        writers = _open_writers(folder, spec, maker, ids, stack)
        _fill(writers, ids, files, spec, workers, failed, notes)
        _settle(folder / "features" / FAILED, failed, skip_failed, "their features are zero then")
        empty = {
            name: np.zeros((spec.segments, dim), np.float32) for name, dim in spec.dims.items()
        }
        for split, writer in writers.items():
            for video in failed.keys() & set(ids[split]):
                writer.add(video, empty)
            writer.finish(ids[split])
    write_text(folder / FILE_NAME, spec_text(spec))
    total = sum(map(len, ids.values()))
    return JobReport(total - len(failed), failed, notes)


def _open_writers(
    folder: Path,
    spec: DataSpec,
    extractor: Extractor,
    ids: Mapping[str, Sequence[str]],
    stack: ExitStack,
) -> dict[str, StoreWriter]:
    """Opens a writer for every split whose store is not finished."""
    from rlld.data.store import StoreWriter, read_store, store_path

    provenance = f"rlld extract: {extractor.name} {extractor.version}"
    writers = {}
    for split, videos in ids.items():
        path = store_path(folder, split)
        if path.is_file():
            store = read_store(path)
            if store.provenance == provenance and store.ids == tuple(videos):
                continue
        writer = StoreWriter(path, split, spec, provenance=provenance)
        writers[split] = stack.enter_context(writer)
    return writers


def _fill(
    writers: Mapping[str, StoreWriter],
    ids: Mapping[str, Sequence[str]],
    files: Mapping[str, Path],
    spec: DataSpec,
    workers: Workers,
    failed: dict[str, str],
    notes: dict[str, tuple[str, ...]],
) -> None:
    """Extracts what the writers lack."""
    splits = {video: split for split in writers for video in ids[split]}
    tasks = []
    for video, split in splits.items():
        path = files.get(video)
        if path is None:
            failed[video] = f"no clip {VIDEOS}/{video}.mp4"
        elif writers[split].done.get(video) != stamp_of(path):
            tasks.append(Task(video, path, spec.features, spec.segment_seconds))
    for task, result in _extracted(tasks, workers, len(splits)):
        if isinstance(result, RlldError):
            failed[task.video] = str(result)
            continue
        made = per_segment(result.streams, spec.streams)
        rows = {name: fitted(value, spec.segments) for name, value in made.items()}
        length = len(made["audio"])
        found = result.info.notes
        if length != spec.segments:
            found = (*found, f"{length} segments, the data set has {spec.segments}")
        if found:
            notes[task.video] = found
        writers[splits[task.video]].add(task.video, rows, stamp_of(task.path))


def fitted(rows: NDArray[np.float32], segments: int) -> NDArray[np.float32]:
    """Returns features (S, D) cut or filled with zeros to (segments, D)."""
    return np.pad(rows[:segments], ((0, max(0, segments - len(rows))), (0, 0)))


def _extracted(
    tasks: Sequence[Task], workers: Workers, total: int
) -> Iterator[tuple[Task, ClipFeatures | RlldError]]:
    if workers == "ray":  # whose nodes work in folders of their own
        tasks = [replace(task, path=task.path.absolute()) for task in tasks]
    with progress("extracting", total, total - len(tasks)) as tick:
        for task, result in each(extract_task, tasks, workers):
            yield task, result
            tick(1, task.video)


def _clip_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; the clips of the data set are expected there")
    return find_clips([folder])


def _check_seconds(segment_seconds: float) -> None:
    if not 0.1 <= segment_seconds <= 60:
        raise RlldError(f"segment-seconds: expected 0.1 to 60, found {segment_seconds}")


def _write_array(path: Path, value: NDArray[np.float32]) -> None:
    with written_aside(path) as aside, aside.open("wb") as file:
        np.save(file, value)


def _settle(listing: Path, failed: Mapping[str, str], skip: bool, otherwise: str) -> None:
    """Lists failed clips in a file, and refuses them unless they are to be skipped."""
    if not failed:
        listing.unlink(missing_ok=True)
        return
    lines = [f"{video}\t{reason}" for video, reason in sorted(failed.items())]
    write_text(listing, "\n".join(lines) + "\n")
    if skip:
        return
    shown = "; ".join(line.split("\t")[1] for line in lines[:SHOWN])
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise RlldError(
        f"{len(failed)} clips failed: {shown}{more} (all in {listing}); the others are kept: "
        f"correct these and run again, or go on without them with --skip-failed ({otherwise})"
    )
