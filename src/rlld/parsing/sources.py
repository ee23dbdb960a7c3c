"""Where features come from when something is parsed: a clip, a packed store, ``.npy`` files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError, nearest
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.parsing.result import Features, Source
from rlld.utils.console import progress
from rlld.utils.foreign.arrays import open_array
from rlld.utils.foreign.damage import Told
from rlld.utils.names import inside

if TYPE_CHECKING:
    from rlld.features.base import Extractor
    from rlld.media.live import LiveClip

TOLD = Told("not a readable .npy array", "extract it again")


def open_clip(
    path: Path, spec: DataSpec, name: str = "", tracks: TrackChoice = AS_PLAYED
) -> Source:
    """Opens a media file as the features that a run was trained on.

    Args:
        path: The file.
        spec: The data set of the run; names the extractor.
        name: Name of the result; the file name when empty.
        tracks: Which of several tracks are parsed.

    Raises:
        RlldError: If the file cannot be read, or no extractor makes such features, or one does that
            has changed since the training.
    """
    extractor = extractor_of(str(path), spec)
    return described(path, extractor, spec.segment_seconds, name, tracks)


def described(
    path: Path,
    extractor: Extractor,
    segment_seconds: float,
    name: str = "",
    tracks: TrackChoice = AS_PLAYED,
) -> Source:
    """Opens a media file as what an extractor makes of it.

    Args:
        path: The file.
        extractor: Makes the features.
        segment_seconds: Length of a segment in seconds.
        name: Name of the result; the file name when empty.
        tracks: Which of several tracks are parsed.

    Raises:
        RlldError: If the file cannot be read.
    """
    from rlld.features.base import per_segment
    from rlld.media.decode import Clip

    made = extractor.streams(segment_seconds)
    clip = Clip(path, tracks)

    def chunks() -> Iterator[Features]:
        total = clip.count(segment_seconds)
        with progress(f"parsing {path.name}", total) as tick:
            for rows in extractor.rows(clip, segment_seconds):
                shown = per_segment(rows, made)
                yield shown
                tick(len(shown["audio"]))

    def outcome() -> tuple[float, tuple[str, ...]]:
        info = clip.outcome()
        return info.duration, info.notes

    return Source(name or path.name, chunks(), outcome)


def open_live(clip: LiveClip, spec: DataSpec, soon: bool = False) -> Source:
    """Opens a source that goes on as the features that a run was trained on.

    Args:
        clip: The source.
        spec: The data set of the run; names the extractor.
        soon: Whether each segment is to be described as soon as it has passed, where the
            extractor need not see several at once.

    Raises:
        RlldError: If no extractor makes such features, or one does that has changed since the
            training.
    """
    return described_live(clip, extractor_of(clip.name, spec), spec.segment_seconds, soon)


def described_live(
    clip: LiveClip, extractor: Extractor, segment_seconds: float, soon: bool = False
) -> Source:
    """Opens a source that goes on as what an extractor makes of it.

    Args:
        clip: The source.
        extractor: Makes the features.
        segment_seconds: Length of a segment in seconds.
        soon: See ``open_live``.
    """
    from rlld.features.base import per_segment
    from rlld.media.views import CHUNK

    made = extractor.streams(segment_seconds)
    at_once = 1 if soon and extractor.alone else CHUNK
    chunks = (per_segment(rows, made) for rows in extractor.rows(clip, segment_seconds, at_once))
    return Source(clip.name, chunks, clip.outcome, at_once)


def extractor_of(path: str, spec: DataSpec) -> Extractor:
    """Returns the extractor that made the features of a data set.

    Args:
        path: What is to be described, for messages.
        spec: The data set.

    Raises:
        RlldError: If no extractor makes such features, or one does that has changed since.
    """
    from rlld.features import load_extractor
    from rlld.utils.registry import EXTRACTORS

    if not set(re.findall(r"\w+", spec.features)) & set(EXTRACTORS.names()):
        raise RlldError(
            f"{path}: the run was trained on {spec.features} features, which rlld cannot extract "
            "from a clip; give features instead: rlld parse RUN --features STORE --id ID"
        )
    extractor = load_extractor(spec.features)
    made = extractor.streams(spec.segment_seconds)
    for stream, wanted in spec.streams.items():
        if stream not in made or made[stream].dim != wanted.dim:
            found = made[stream].dim if stream in made else "no such stream"
            raise RlldError(
                f"{path}: extractor {spec.features!r} gives {found} for stream {stream!r}, the run "
                f"was trained on {wanted.dim} dimensions; train again on features of this version"
            )
    if spec.features_version not in ("", extractor.version):
        raise RlldError(
            f"{path}: the run was trained on {spec.features!r} features of version "
            f"{spec.features_version}, extracted here they would be {extractor.version}: weights "
            "or rlld have changed; bring back those that the data set was extracted with, or "
            "extract it and train again"
        )
    return extractor


def stored_features(path: Path, video: str, spec: DataSpec) -> Features:
    """Reads the features of one video.

    Args:
        path: A packed store, or a folder with ``STREAM FOLDER/ID.npy`` per stream in the published
            layout, (segments x frames, D) each; frames are averaged.
        video: Its id.
        spec: The data set of the run.

    Raises:
        RlldError: If the store or a file is missing or damaged, or has no such video.
    """
    if path.is_dir():
        return {
            name: _array(path, stream.folder or name, video, stream)
            for name, stream in spec.streams.items()
        }
    from rlld.data.store import read_store

    store = read_store(path)
    if video not in store.ids:
        raise RlldError(f"{path}: no video {video!r} in it{nearest(video, store.ids)}")
    row = store.ids.index(video)
    return {name: value.float().numpy() for name, value in store.video(row).items()}


def _array(features: Path, name: str, video: str, stream: StreamSpec) -> NDArray[np.floating[Any]]:
    folder = inside(features, name, "stream folder", links=True)
    # Published files carry the first 11 characters of the id, the id of the whole YouTube video.
    files = [
        inside(folder, f"{known}.npy", "video id", links=True) for known in (video, video[:11])
    ]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise RlldError(f"{files[0]}: no such feature file; check --features and --id")
    found = open_array(file, TOLD)
    rows = found.shape[0] if len(found.shape) == 2 else -1
    if rows < 0 or rows % stream.frames or not np.issubdtype(found.dtype, np.floating):
        raise RlldError(
            f"{file}: found {found.dtype} of shape {str(found.shape)[:80]}, expected "
            f"floating-point rows of {stream.dim} values, {stream.frames} per segment"
        )
    array = found.read()
    averaged: NDArray[np.floating[Any]] = array.reshape(-1, stream.frames, array.shape[1]).mean(1)
    return averaged
