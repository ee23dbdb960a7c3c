"""Extraction into one ``.npy`` file per clip and stream, the layout of published features."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.pack import MANIFEST
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.base import ClipFeatures, Extractor, fitted
from rlld.features.job import FAILED, JobReport, Task, Where, check_seconds, extracted, settle
from rlld.media.files import stamp_of
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.utils.config import to_dict
from rlld.utils.files import appended, owned, sha256, unwritable, write_bytes, write_text
from rlld.utils.names import inside
from rlld.utils.plain import json_text, parsed

JOURNAL = "clips.jsonl"
RENAME = "rename the clip, whose name is that of the file"
FACTS = frozenset(
    ("file", "stamp", "duration", "segments", "has_audio", "has_video", "notes", "sha256")
)
"""What is known of a clip, see ``Manifest.add``."""


def extract_files(
    clips: Mapping[str, Path],
    out: Path,
    features: str = "light",
    *,
    segment_seconds: float = 1.0,
    segments: int | None = None,
    where: Where | None = None,
    skip_failed: bool = False,
    tracks: TrackChoice = AS_PLAYED,
) -> JobReport:
    """Extracts clips into one ``.npy`` file (S * frames, D) per clip and stream.

    The files lie in a folder per stream; ``manifest.json`` beside them says which extractors made
    them, with which parameters, and what is known of every clip. A second call skips finished
    clips.

    Args:
        clips: Files by video id.
        out: Folder to be made or completed.
        features: The extractors, as ``load_extractor`` takes them.
        segment_seconds: Length of a segment in seconds.
        segments: Number to which each clip is cut or filled up with zeros, as data sets want it;
            such clips are noted. Without it each clip has its own.
        where: Where to compute; the files are the same for any number of processes.
        skip_failed: List failed clips instead of raising.
        tracks: Which of several tracks of a clip are described; those of a player when not given.

    Raises:
        RlldError: If ``out`` holds features of another extractor, segment length or choice of
            tracks, another process is writing to it, or clips failed; the message lists them, and
            the others are finished.
    """
    check_seconds(segment_seconds)
    extractor = load_extractor(features)
    with owned(out):
        manifest = Manifest(out / MANIFEST, extractor, segment_seconds, segments, tracks)
        tasks = [
            Task(video, path, features, segment_seconds, tracks) for video, path in clips.items()
        ]
        failed = _extract(tasks, manifest, segments, where or Where())
        settle(out / FAILED, failed, skip_failed, "they have no features then")
    notes = {video: tuple(entry["notes"]) for video, entry in manifest.clips.items()}
    return JobReport(len(manifest.clips), failed, {video: n for video, n in notes.items() if n})


def _extract(
    tasks: Sequence[Task], manifest: Manifest, segments: int | None, where: Where
) -> dict[str, str]:
    """Extracts the clips that the manifest lacks, and returns what went wrong by video id."""
    waiting = []
    failed: dict[str, str] = {}
    for task in tasks:
        try:
            if not manifest.has(task):
                waiting.append(task)
        except RlldError as error:  # its name is none that files can bear, or it is gone
            failed[task.video] = str(error)
            manifest.forget(task)
    try:
        for task, result in extracted(waiting, where, len(tasks)):
            if isinstance(result, RlldError):
                failed[task.video] = str(result)
                manifest.forget(task)
                continue
            found, stamp = result
            made = found if segments is None else manifest.fit(found, segments)
            digests = {}
            for name, file in manifest.files(task.video).items():
                _write_array(file, made.streams[name])
                digests[name] = sha256(file)
            manifest.add(task, stamp, made, digests)
    finally:
        manifest.save()
    return failed


def made_by(
    extractor: Extractor, segment_seconds: float, tracks: TrackChoice = AS_PLAYED
) -> dict[str, Any]:
    """Returns what is recorded of the extractors of features, JSON-ready.

    A choice of tracks stands there when one was made.
    """
    return {
        "extractor": extractor.name,
        "version": extractor.version,
        "parameters": extractor.parameters(),
        "segment_seconds": segment_seconds,
        "streams": to_dict(extractor.streams(segment_seconds)),
        **({"tracks": tracks.chosen} if tracks.chosen else {}),
    }


class Manifest:
    """``manifest.json``: what made the files of a folder, and what is known of every clip.

    While a job runs, each finished clip is a line of ``clips.jsonl`` beside it, so that no clip
    costs more than those before it; a job that was killed is read from both.

    Attributes:
        clips: Facts about every finished clip by video id.
        folders: Folder of each stream.
    """

    def __init__(
        self,
        path: Path,
        extractor: Extractor,
        segment_seconds: float,
        segments: int | None = None,
        tracks: TrackChoice = AS_PLAYED,
    ) -> None:
        self.path = path
        self._streams = extractor.streams(segment_seconds)
        self.folders = {name: stream.folder for name, stream in self._streams.items()}
        self.head = made_by(extractor, segment_seconds, tracks)
        if segments is not None:
            self.head["segments"] = segments
        self._journal = path.with_name(JOURNAL)
        self.clips: dict[str, dict[str, Any]] = self._read() if path.exists() else {}
        # Without the head of a manifest nobody knows what made the features of a journal.
        if path.exists() and self._journal.exists():
            self.clips |= _journal_of(self._journal)
        self.save()

    def files(self, video: str) -> dict[str, Path]:
        """Returns where the features of a clip lie, by stream.

        Raises:
            RlldError: If its id is no name of a file.
        """
        return {
            name: inside(
                self.path.parent, f"{folder}/{video}.npy", "features of a clip", advice=RENAME
            )
            for name, folder in self.folders.items()
        }

    def has(self, task: Task) -> bool:
        """Says whether a clip is finished and unchanged since; RlldError if it can never be."""
        files = self.files(task.video).values()
        entry = self.clips.get(task.video)
        if entry is None or entry["stamp"] != stamp_of(task.path):
            return False
        return all(file.is_file() for file in files)

    def fit(self, features: ClipFeatures, segments: int) -> ClipFeatures:
        """Cuts features or fills them up with zeros, and notes it."""
        streams = {
            name: fitted(value, segments * self._streams[name].frames)
            for name, value in features.streams.items()
        }
        name, rows = next(iter(features.streams.items()))
        found = len(rows) // self._streams[name].frames
        info = features.info
        if found != segments:
            note = f"{found} segments instead of {segments}"
            info = replace(info, notes=(*info.notes, note))
        return ClipFeatures(info, streams)

    def add(
        self, task: Task, stamp: str, features: ClipFeatures, digests: Mapping[str, str]
    ) -> None:
        """Remembers a finished clip.

        Raises:
            RlldError: If it cannot be written.
        """
        info = features.info
        name, rows = next(iter(features.streams.items()))
        facts = self.clips[task.video] = {
            "file": task.path.name,
            "stamp": stamp,
            "duration": round(info.duration, 3),
            "segments": len(rows) // self._streams[name].frames,
            "has_audio": info.has_audio,
            "has_video": info.has_video,
            "notes": list(info.notes),
            "sha256": dict(digests),
        }
        try:
            with appended(self._journal) as file:
                file.write((json_text([task.video, facts], str(self._journal)) + "\n").encode())
        except OSError as error:
            raise unwritable(self._journal, error) from None

    def forget(self, task: Task) -> None:
        """Removes what was made of an earlier file of this name."""
        if self.clips.pop(task.video, None) is not None:
            for file in self.files(task.video).values():
                file.unlink(missing_ok=True)

    def save(self) -> None:
        """Writes the file, and empties the journal."""
        content = {**self.head, "clips": dict(sorted(self.clips.items()))}
        write_text(self.path, json_text(content, str(self.path), indent=1) + "\n")
        self._journal.unlink(missing_ok=True)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = parsed(self.path.read_text(encoding="utf-8"))
            clips: dict[str, dict[str, Any]] = content.pop("clips")
            if not all(_is_entry(video, facts) for video, facts in clips.items()):
                raise ValueError("field 'clips' is wrong")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RlldError(
                f"{self.path}: no manifest of features ({error}); delete it, and all clips are "
                "extracted again"
            ) from None
        if content != json.loads(json.dumps(self.head)):
            raise RlldError(
                f"{self.path.parent}: holds features of {content.get('extractor')} "
                f"{content.get('version')} with segments of {content.get('segment_seconds')} s"
                f"{_of_tracks(content)}, not of {self.head['extractor']} {self.head['version']} "
                f"with {self.head['segment_seconds']} s{_of_tracks(self.head)}; give another folder"
            )
        return clips


def _of_tracks(head: Mapping[str, Any]) -> str:
    chosen = head.get("tracks")
    return f" of {', '.join(f'{k} track {n}' for k, n in chosen.items())}" if chosen else ""


def _journal_of(path: Path) -> dict[str, dict[str, Any]]:
    """Reads a journal up to the first line that is damaged; its last one may be cut off."""
    clips: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            video, facts = parsed(line)
        except (ValueError, TypeError):
            break
        if not _is_entry(video, facts):
            break
        clips[video] = facts
    return clips


def _is_entry(video: Any, facts: Any) -> bool:
    return isinstance(video, str) and isinstance(facts, dict) and facts.keys() == FACTS


def _write_array(path: Path, value: NDArray[np.float32]) -> None:
    content = BytesIO()
    np.save(content, value)
    write_bytes(path, content.getbuffer())
