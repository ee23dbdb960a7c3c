"""Published features: found and read, each data set's in its own layout, as rows of a second.

Tracks of a video differ by a few rows almost everywhere, since programs round differently. They are
cut to the shortest; where they differ by more, they are not of the same video or not of the same
clock, and are refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.data.published import load_rows
from rlld.data.sets.base import PublishedSet
from rlld.data.spec import StreamSpec
from rlld.data.store import FeatureError
from rlld.errors import RlldError
from rlld.utils.names import inside

SLACK = 3
"""Seconds by which tracks of a video may differ in length."""
Array = NDArray[np.float32]


class SetFeatures(ABC):
    """Finds and reads the published features of a data set; see ``rlld.data.pack.Finder``."""

    @property
    @abstractmethod
    def streams(self) -> dict[str, StreamSpec]:
        """The streams, by name."""

    def meet(self, given: PublishedSet) -> None:
        """Learns which videos there are, where files do not name them.

        Raises:
            RlldError: If the files are of another version of the data set.
        """

    @abstractmethod
    def find(self, video: str) -> tuple[dict[str, Path], list[str]]:
        """Returns the files of a video by stream, and what is missing."""

    @abstractmethod
    def tracks(self, video: str, files: Mapping[str, Path]) -> dict[str, Array]:
        """Returns the features of a video, each (S, D), a row a second, of lengths of their own.

        Raises:
            FeatureError: If a file is damaged or has another shape.
        """

    @abstractmethod
    def names(self) -> set[str]:
        """Returns the videos that there are files of."""

    def rows(self, video: str, files: Mapping[str, Path]) -> tuple[dict[str, Array], list[str]]:
        """Returns the features of a video, all of one length, and what is wrong with them."""
        try:
            tracks = self.tracks(video, files)
        except FeatureError as error:
            return {}, [str(error)]
        lengths = {name: len(value) for name, value in tracks.items()}
        shortest = min(lengths.values())
        if max(lengths.values()) - shortest > SLACK or not shortest:
            return {}, [f"its tracks disagree in length: {_told(lengths)}; take them anew"]
        return {name: value[:shortest] for name, value in tracks.items()}, []

    def length(self, video: str, files: Mapping[str, Path]) -> tuple[int, str]:
        """Returns the seconds of a video and what to note of them; 0 where they cannot be told."""
        try:
            lengths = {name: len(value) for name, value in self.tracks(video, files).items()}
        except FeatureError:
            return 0, ""  # packing tells it
        if len(set(lengths.values())) == 1:
            return lengths.popitem()[1], ""
        shortest = min(lengths.values())
        return shortest, f"its tracks differ in length: {_told(lengths)}; cut to {shortest} s"


def _told(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count} s" for name, count in lengths.items())


@dataclass(frozen=True)
class Part:
    """Files that make a stream, or a part of one.

    Attributes:
        dim: Dimensions of a row.
        folders: Names that the folder of the files may have; "" for the folder itself.
        suffix: What stands between the id and ``.npy``.
        hop: Seconds from one row to the next.
    """

    dim: int
    folders: tuple[str, ...] = ("",)
    suffix: str = ""
    hop: float = 1.0


Layout = Mapping[str, tuple[Part, ...]]
"""The parts of each stream; several stand side by side in one row."""


class NpyFeatures(SetFeatures):
    """Features in one ``.npy`` file per video and part.

    Args:
        folder: Where they are.
        layout: What there is.

    Raises:
        RlldError: If a folder is missing.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._layout = layout
        self._parts = {
            f"{stream}{number or ''}": (_place(folder, part.folders), part)
            for stream, parts in layout.items()
            for number, part in enumerate(parts)
        }
        listed = {
            place: frozenset(entry.name for entry in place.iterdir())
            for place, _ in self._parts.values()
        }
        self._names = {key: listed[place] for key, (place, _) in self._parts.items()}

    @property
    def streams(self) -> dict[str, StreamSpec]:
        """The streams, by name."""
        return {
            name: StreamSpec(sum(part.dim for part in parts), parts[0].folders[0])
            for name, parts in self._layout.items()
        }

    def find(self, video: str) -> tuple[dict[str, Path], list[str]]:
        """Returns the files of a video by part, and what is missing."""
        found, problems = {}, []
        for key, (place, part) in self._parts.items():
            name = f"{video}{part.suffix}.npy"
            if name in self._names[key]:
                found[key] = inside(place, name, "video id", links=True)
            else:
                problems.append(f"{key}: no file '{name}'")
        return found, problems

    def tracks(self, video: str, files: Mapping[str, Path]) -> dict[str, Array]:
        """Returns the features of a video, a row a second."""
        made = {}
        for stream, parts in self._layout.items():
            values = []
            for number, part in enumerate(parts):
                path = files[f"{stream}{number or ''}"]
                value = load_rows(path)
                if value.ndim != 2 or value.shape[1] != part.dim:
                    raise FeatureError(
                        f"{stream}: {path.name}: shape {value.shape}, expected (rows, {part.dim})"
                    )
                values.append(np.asarray(value, np.float32))
            made[stream] = by_second(_beside(values, parts[0].hop), parts[0].hop)
        return made

    def names(self) -> set[str]:
        """Returns the videos that there are files of."""
        return {
            name.removesuffix(f"{part.suffix}.npy")
            for key, (_, part) in self._parts.items()
            for name in self._names[key]
            if name.endswith(f"{part.suffix}.npy")
        }


def _place(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise RlldError(
        f"{folder / names[0]}: no such folder; the published features are expected there"
        + (f" (or in {', '.join(names[1:])})" if len(names) > 1 else "")
    )


def _beside(values: Sequence[Array], hop: float) -> Array:
    """Joins parts side by side, cut to the shortest."""
    counts = [len(value) for value in values]
    if (max(counts) - min(counts)) * hop > SLACK:
        raise FeatureError(f"its parts disagree in length ({counts} rows); take them anew")
    joined: Array = np.concatenate([value[: min(counts)] for value in values], axis=1)
    return joined


def by_second(rows: Array, hop: float) -> Array:
    """Averages rows over whole seconds; a row belongs to the second that its middle lies in.

    Args:
        rows: Features (R, D), one every ``hop`` seconds.
        hop: Seconds from one row to the next, at most 1.

    Returns:
        (S, D) for the S seconds in which a middle lies.

    Examples:
        >>> by_second(np.array([[1.0], [3.0], [5.0], [8.0]], np.float32), 0.4).tolist()
        [[2.0], [6.5]]
    """
    if hop == 1 or not len(rows):
        return rows
    second = np.floor((np.arange(len(rows)) + 0.5) * hop).astype(int)
    starts = np.flatnonzero(np.diff(second, prepend=-1))
    sums = np.add.reduceat(rows.astype(np.float64), starts, axis=0)
    counts = np.diff(starts, append=len(rows))
    mean: Array = (sums / counts[:, None]).astype(np.float32)
    return mean
