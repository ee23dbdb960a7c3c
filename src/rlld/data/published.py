"""Features in the published layout: finding and reading them.

The published layout has one ``.npy`` file per video in one folder per stream. Files are looked up
by the whole video id first, then by its first 11 characters, the YouTube id, as LLP's features are
named. Frames of a segment are averaged here once, which changes nothing for a network whose first
layer is linear: the mean of its outputs is its output for the mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import YOUTUBE_ID
from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.store import FeatureError
from rlld.errors import RlldError
from rlld.utils.foreign.arrays import open_array
from rlld.utils.foreign.damage import Told
from rlld.utils.names import inside

TOLD = Told("not a whole .npy file", "take it anew")


class Finder(Protocol):
    """Finds and reads the features of videos, wherever they lie."""

    def find(self, video: str) -> tuple[dict[str, Path], list[str]]:
        """Returns the files of a video by stream, and what is wrong with the others."""

    def rows(
        self, video: str, files: Mapping[str, Path]
    ) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
        """Returns the features of a video by stream, and what is wrong with the others."""


class Sources(Protocol):
    """Streams that lie in per-video files; a ``DataSpec`` says it of features."""

    @property
    def segments(self) -> int:
        """Segments per video, T."""

    @property
    def streams(self) -> dict[str, StreamSpec]:
        """The streams by name."""

    @property
    def any_length(self) -> bool:
        """Whether each video has a number of segments of its own."""


def stream_folders(folder: Path, spec: DataSpec) -> dict[str, Path]:
    """Returns where the published layout keeps the files of each stream.

    Raises:
        RlldError: If a data set does not say it, or names a place elsewhere.
    """
    return {
        name: inside(folder, stream.folder, f"streams.{name}.folder", links=True)
        for name, stream in spec.streams.items()
    }


class FeatureFinder:
    """Finds and reads per-video feature files.

    Args:
        folders: Folder of each stream.
        spec: The streams and segments.
        ids: Every video that will be asked for.

    Raises:
        RlldError: If a stream folder is missing.
    """

    def __init__(self, folders: Mapping[str, Path], spec: Sources, ids: Sequence[str]) -> None:
        self._spec = spec
        self._folders = folders
        self._names: dict[str, frozenset[str]] = {}
        for name, path in self._folders.items():
            if not path.is_dir():
                raise RlldError(
                    f"{path}: no such folder; the features of stream {name!r} are expected there"
                )
            self._names[name] = frozenset(entry.name for entry in path.iterdir())
        self._sharing = Counter(video[:YOUTUBE_ID] for video in ids)

    def find(self, video: str) -> tuple[dict[str, Path], list[str]]:
        """Returns the files of a video by stream, and what is wrong with the others."""
        found: dict[str, Path] = {}
        problems = []
        for stream, names in self._names.items():
            whole, short = f"{video}.npy", f"{video[:YOUTUBE_ID]}.npy"
            if whole in names:
                found[stream] = inside(self._folders[stream], whole, "video id", links=True)
            elif short not in names:
                problems.append(f"{stream}: no file '{whole}' or '{short}'")
            elif self._sharing[video[:YOUTUBE_ID]] > 1:
                problems.append(
                    f"{stream}: '{short}' may belong to several videos; name it '{whole}'"
                )
            else:
                found[stream] = inside(self._folders[stream], short, "video id", links=True)
        return found, problems

    def rows(
        self, video: str, files: Mapping[str, Path]
    ) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
        """Returns the features of a video by stream, and what is wrong with the others."""
        streams, problems = {}, []
        for stream, path in files.items():
            try:
                streams[stream] = self.read(stream, path)
            except FeatureError as error:
                problems.append(f"{stream}: {path.name}: {error}")
        return streams, problems

    def read(self, stream: str, path: Path) -> NDArray[np.float32]:
        """Reads one file and averages its frames.

        Returns:
            (T, D), float32; T is the video's own where each has its own.

        Raises:
            FeatureError: If the file is damaged or not of the expected shape.
        """
        spec = self._spec.streams[stream]
        value = load_rows(path)
        expected = (self._spec.segments * spec.frames, spec.dim)
        if self._spec.any_length and value.ndim == 2 and not len(value) % spec.frames:
            expected = (max(len(value), spec.frames), spec.dim)
        if value.shape != expected:
            raise FeatureError(f"shape {value.shape}, expected {self._wanted(spec)}")
        return _mean_frames(value, spec)

    def _wanted(self, stream: StreamSpec) -> str:
        if not self._spec.any_length:
            return str((self._spec.segments * stream.frames, stream.dim))
        return f"(rows, {stream.dim}), {stream.frames} rows for each segment"


def load_rows(path: Path) -> NDArray[Any]:
    """Reads an array of numbers.

    Raises:
        FeatureError: If the file is damaged or holds something else.
    """
    try:
        found = open_array(path, TOLD, mapped=True)
        if found.dtype.kind not in "fiu":
            raise FeatureError("not an array of numbers")
        return found.read()
    except RlldError as error:
        raise FeatureError(str(error).removeprefix(f"{path}: ")) from None


def _mean_frames(value: NDArray[Any], stream: StreamSpec) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large for float32 is refused where it is used
        frames = np.asarray(value, dtype=np.float32).reshape(-1, stream.frames, stream.dim)
    mean: NDArray[np.float32] = frames.mean(axis=1, dtype=np.float32)
    return mean
