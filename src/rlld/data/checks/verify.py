"""Verifying features: their checksums, their statistics, and whether these equal a reference's.

A reference is a JSON file with the statistics of features that are known to be right, and the
features of a few of their videos. What it can tell, ``rlld.data.checks.faults`` lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import YOUTUBE_ID
from rlld.data.checks.comparison import Compared, Likeness
from rlld.data.checks.faults import faults
from rlld.data.checks.statistics import Gatherer, StreamStatistics, chosen, statistics_from
from rlld.data.checks.stores import verify_store
from rlld.data.pack import MANIFEST
from rlld.data.spec import FILE_NAME, LLP_SPEC, StreamSpec, read_spec, weak_files
from rlld.data.store import Store, read_store, store_path
from rlld.errors import RlldError
from rlld.types import STREAMS
from rlld.utils.console import progress
from rlld.utils.files import sha256, write_text
from rlld.utils.foreign.arrays import open_array
from rlld.utils.foreign.damage import Told
from rlld.utils.names import inside
from rlld.utils.plain import json_text, parsed

TOLD = Told("not a whole .npy file", "extract it again")
FORMAT = 1
WHOLE_ID = re.compile(r".{11}_[\d.]+_[\d.]+")


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of features, as they stand in a reference file.

    Attributes:
        source: Where the features are.
        made_by: What made them, as their manifest says; empty when there is none.
        streams: Statistics by stream name.
    """

    source: str
    made_by: dict[str, Any]
    streams: dict[str, StreamStatistics]


@dataclass(frozen=True)
class StreamVerdict:
    """What a comparison of one stream says.

    Attributes:
        faults: Name and description of every fault; empty when the stream agrees.
        likeness: How alike videos in common are; None without any.
    """

    faults: tuple[tuple[str, str], ...]
    likeness: Likeness | None = None


@dataclass(frozen=True)
class Verification:
    """The outcome.

    Attributes:
        found: What the features are like.
        problems: What is damaged: checksums that differ, missing files, NaN.
        verdicts: Comparison with the reference by stream; empty without one.
        settings: Recorded settings that differ from those of the reference.
    """

    found: FeatureStatistics
    problems: tuple[str, ...]
    verdicts: dict[str, StreamVerdict] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether nothing is damaged and no stream differs."""
        return not self.problems and not any(v.faults for v in self.verdicts.values())


def verify(path: Path, reference: Path | None = None, write: Path | None = None) -> Verification:
    """Reads features once, in flat memory, and judges them.

    Args:
        path: A packed store, a data-set folder (all its splits together), or a folder of ``.npy``
            files in the published layout, with or without the ``manifest.json`` of
            ``rlld extract``.
        reference: A file that another call wrote.
        write: Where to write the statistics as a reference.

    Raises:
        RlldError: If there are no features, or the reference cannot be read, or what would be
            written is damaged.
    """
    wanted = read_reference(reference) if reference else None
    features = _open(path)
    problems = [] if not isinstance(features, _Stores) else features.damaged()
    streams: dict[str, StreamStatistics] = {}
    for name, stream in features.streams.items():
        samples = wanted.streams[name].samples if wanted and name in wanted.streams else {}
        gathered = _gather(features, name, stream, frozenset(samples), problems)
        if gathered is not None:
            streams[name] = gathered
    found = FeatureStatistics(str(path), features.made_by, streams)
    if write is not None:
        if problems:
            raise RlldError(
                f"{path}: is damaged ({problems[0]}; {len(problems)} problems in all) and makes no "
                "reference"
            )
        write_text(write, reference_text(found))
    if wanted is None:
        return Verification(found, tuple(problems))
    verdicts = {name: _verdict(name, found, wanted) for name in wanted.streams | streams}
    settings = tuple(_settings(found.made_by, wanted.made_by))
    return Verification(found, tuple(problems), verdicts, settings)


def read_reference(path: Path) -> FeatureStatistics:
    """Reads a reference.

    Raises:
        RlldError: If it is missing or no reference.
    """
    try:
        content = parsed(path.read_text(encoding="utf-8"))
        version, source = content["rlld_statistics"], content["source"]
        made_by, streams = dict(content["made_by"]), dict(content["streams"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RlldError(
            f"{path}: no reference of features ({error}); write one with 'rlld data verify "
            "FEATURES --write FILE.json'"
        ) from None
    if version != FORMAT:
        raise RlldError(f"{path}: format {version}, this rlld reads {FORMAT}; write it anew")
    return FeatureStatistics(
        str(source),
        made_by,
        {name: statistics_from(s, f"{path}: stream {name!r}") for name, s in streams.items()},
    )


def reference_text(statistics: FeatureStatistics) -> str:
    """Returns the text of a reference."""
    content = {
        "rlld_statistics": FORMAT,
        "source": statistics.source,
        "made_by": statistics.made_by,
        "streams": {name: stream.plain() for name, stream in statistics.streams.items()},
    }
    return json_text(content, statistics.source) + "\n"


def _verdict(name: str, found: FeatureStatistics, wanted: FeatureStatistics) -> StreamVerdict:
    if name not in found.streams:
        return StreamVerdict((("missing", "the reference has this stream, these features do not"),))
    if name not in wanted.streams:
        return StreamVerdict((("unknown", "the reference has no such stream"),))
    pair = Compared(found.streams[name], wanted.streams[name])
    likeness = pair.likeness if pair.ours.dim == pair.reference.dim else None
    return StreamVerdict(tuple(faults(pair)), likeness)


def _settings(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Yields settings that both manifests record and that differ."""
    mine, right = (dict(_flat(made.get("parameters", {}))) for made in (ours, theirs))
    for name in sorted(mine.keys() & right.keys()):
        if mine[name] != right[name]:
            yield f"{name}: {mine[name]} here, {right[name]} in the reference"


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


class _Features(Protocol):
    """Features to be read."""

    made_by: dict[str, Any]
    streams: dict[str, StreamSpec]

    def ids(self, stream: str) -> Sequence[str]:
        """Returns the videos of a stream."""

    def frames(self, stream: str) -> int | None:
        """Returns rows per segment of what is read; None for means."""

    def read(self, stream: str, video: str) -> NDArray[Any]:
        """Reads one video, (rows, D).

        Raises:
            RlldError: If it is damaged.
        """


def _gather(
    features: _Features,
    name: str,
    stream: StreamSpec,
    samples: frozenset[str],
    problems: list[str],
) -> StreamStatistics | None:
    """Gathers the statistics of a stream; what is damaged is left out and reported."""
    ids = features.ids(name)
    keep = samples | chosen(map(_key, ids))
    gatherer = Gatherer(stream.dim, features.frames(name), keep)
    with progress(f"reading {name}", len(ids)) as tick:
        for video in ids:
            try:
                rows = features.read(name, video)
                if not np.isfinite(rows).all():
                    raise RlldError(f"stream '{name}' of '{video}' holds NaN or infinity")
                gatherer.add(_key(video), rows)
            except RlldError as error:
                problems.append(str(error))
            tick()
    return gatherer.finish()


def _key(video: str) -> str:
    """Returns the YouTube id of an LLP video, so that both ways to name files meet."""
    return video[:YOUTUBE_ID] if WHOLE_ID.fullmatch(video) else video


def _open(path: Path) -> _Features:
    if path.is_file():
        return _Stores([read_store(path)], {})
    if not path.is_dir():
        raise RlldError(f"{path}: no such file or folder; give a store or a folder of features")
    if (path / FILE_NAME).is_file():
        stores = [store_path(path, split) for split in weak_files(read_spec(path))]
        return _Stores([read_store(store) for store in stores], _manifest(stores[0].parent))
    manifest = _manifest(path)
    if "clips" in manifest:
        return _Files(path, _recorded(manifest, path), manifest)
    known = LLP_SPEC.streams
    folders = known | {name: StreamSpec(1, name) for name in STREAMS if (path / name).is_dir()}
    streams = {name: s for name, s in folders.items() if _place(path, s).is_dir()}
    if not streams:
        raise RlldError(
            f"{path}: no features in it; give a packed store, a data-set folder, or a folder with "
            f"{', '.join(s.folder for s in known.values())} or {', '.join(STREAMS)}"
        )
    return _Files(path, streams, {})


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = dict(parsed(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise RlldError(f"{path}: no manifest of features ({error}); delete it") from None
    return content


def _recorded(manifest: Mapping[str, Any], folder: Path) -> dict[str, StreamSpec]:
    """Returns the streams that a manifest records."""
    try:
        return {
            name: StreamSpec(int(stream["dim"]), str(stream["folder"]), int(stream["frames"]))
            for name, stream in manifest["streams"].items()
            # Every clip has a checksum for every stream.
            if all(clip["sha256"][name] for clip in manifest["clips"].values())
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RlldError(
            f"{folder / MANIFEST}: fields 'streams' or 'clips' are wrong ({error!r}); extract the "
            "features again"
        ) from None


def _place(folder: Path, stream: StreamSpec) -> Path:
    return inside(folder, stream.folder, "stream folder", links=True)


class _Stores:
    """Packed stores of one data set."""

    def __init__(self, stores: Sequence[Store], manifest: Mapping[str, Any]) -> None:
        self._stores = stores
        self._place = {
            video: (store, row) for store in stores for row, video in enumerate(store.ids)
        }
        self.made_by = {key: value for key, value in manifest.items() if key != "streams"}
        self.streams = {
            name: StreamSpec(value.shape[-1]) for name, value in stores[0].streams.items()
        }
        for store in stores:
            dims = {name: StreamSpec(value.shape[-1]) for name, value in store.streams.items()}
            if dims != self.streams:
                raise RlldError(
                    f"{store.path}: has other streams or dimensions than {stores[0].path}; pack "
                    "the data set again"
                )

    def damaged(self) -> list[str]:
        return [f"{store.path}: {text}" for store in self._stores for text in verify_store(store)]

    def ids(self, stream: str) -> Sequence[str]:
        return list(self._place)

    def frames(self, stream: str) -> int | None:
        return None

    def read(self, stream: str, video: str) -> NDArray[Any]:
        store, row = self._place[video]
        rows: NDArray[Any] = store.video(row)[stream].float().numpy()
        return rows


class _Files:
    """A folder of ``.npy`` files, one per video and stream."""

    def __init__(
        self, folder: Path, streams: Mapping[str, StreamSpec], manifest: Mapping[str, Any]
    ) -> None:
        self._folder = folder
        self._clips: Mapping[str, Any] | None = manifest.get("clips")
        recorded = ("extractor", "version", "parameters", "segment_seconds")
        self.made_by = {key: manifest[key] for key in recorded if key in manifest}
        self._known = bool(manifest) or all(
            s in LLP_SPEC.streams.values() for s in streams.values()
        )
        self.streams = {name: self._measured(stream) for name, stream in streams.items()}

    def _measured(self, stream: StreamSpec) -> StreamSpec:
        """Takes the dimensions from the first file, unless a manifest says them."""
        if self._clips is not None:
            return stream
        for file in sorted(_place(self._folder, stream).glob("*.npy")):
            try:
                return StreamSpec(_load(file).shape[-1], stream.folder, stream.frames)
            except RlldError:
                continue  # reported when it is read
        return stream

    def ids(self, stream: str) -> Sequence[str]:
        if self._clips is not None:
            return sorted(self._clips)
        files = _place(self._folder, self.streams[stream]).glob("*.npy")
        return sorted(file.stem for file in files if not file.name.startswith("."))

    def frames(self, stream: str) -> int | None:
        return self.streams[stream].frames

    def read(self, stream: str, video: str) -> NDArray[Any]:
        spec = self.streams[stream]
        file = inside(_place(self._folder, spec), f"{video}.npy", "video id", links=True)
        if self._clips is not None:
            wanted = self._clips[video]["sha256"][stream]
            if not file.is_file():
                raise RlldError(
                    f"{file}: is missing, the manifest lists it; run 'rlld extract' again"
                )
            if sha256(file) != wanted:
                raise RlldError(
                    f"{file}: differs from its checksum in {MANIFEST}: changed or damaged; delete "
                    "it and run 'rlld extract' again"
                )
        rows = _load(file)
        if rows.ndim != 2 or rows.shape[1] != spec.dim or len(rows) % spec.frames:
            raise RlldError(
                f"{file}: shape {rows.shape}, expected rows of {spec.dim} values, {spec.frames} "
                "per segment"
            )
        return rows


def _load(file: Path) -> NDArray[Any]:
    found = open_array(file, TOLD)
    if found.dtype.kind not in "fiu" or not found.shape:
        raise RlldError(f"{file}: not an array of numbers")
    return found.read()
