"""Loading a data-set folder: ``dataset.yaml``, ``annotations/`` and packed ``features/``."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rlld.data.annotations import marked, rasterise, read_dense, read_weak, united
from rlld.data.answers import answered, chances, read_answers
from rlld.data.lines import ids_in
from rlld.data.moved import features_of
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
from rlld.data.split import Split
from rlld.data.store import Store
from rlld.data.tracks import tracks_of
from rlld.errors import RlldError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rlld.data.answers import Answer

MANY = 10
"""Events of which one at least has to mark a segment; fewer may all be short."""


class DataSet:
    """A data set whose splits are loaded when first asked for.

    Attributes:
        folder: The data-set folder.
        spec: Its specification.

    Args:
        folder: The data-set folder.
        with_truth: Load the true events of training videos where they are known (simulations).

    Raises:
        RlldError: If ``dataset.yaml`` is missing or wrong.
    """

    def __init__(self, folder: Path, *, with_truth: bool = False) -> None:
        self.folder = folder
        self.spec = read_spec(folder).require_streams(folder / FILE_NAME)
        self._with_truth = with_truth

    @cached_property
    def train(self) -> Split:
        """The training split."""
        return self._load("train")

    @cached_property
    def validation(self) -> Split:
        """The validation split."""
        return self._load("validation")

    @cached_property
    def steering(self) -> Split:
        """The validation split, or one without videos where the data set has none."""
        if "validation" in weak_files(self.spec):
            return self.validation
        nobody = self.train.subset(torch.empty(0, dtype=torch.int64))
        return replace(nobody, name="validation", truth=None)

    @cached_property
    def test(self) -> Split:
        """The test split."""
        return self._load("test")

    def split(self, name: str) -> Split:
        """Returns a split by name.

        Raises:
            RlldError: If there is no split of that name, or its files are wrong.
        """
        _check_name(name)
        split: Split = getattr(self, name)
        return split

    def _load(self, name: str) -> Split:
        return _load_split(self.folder, self.spec, name, self._with_truth)


def load_data(folder: Path | str, *, with_truth: bool = False) -> DataSet:
    """Opens a data-set folder; see :class:`DataSet`."""
    return DataSet(Path(folder), with_truth=with_truth)


def load_split(folder: Path | str, name: str, *, with_truth: bool = False) -> Split:
    """Loads one split of a data-set folder.

    Features are memory-mapped: they enter memory when they are first used.

    Args:
        folder: The data-set folder.
        name: ``train``, ``validation`` or ``test``.
        with_truth: Load the true events of training videos where they are known (simulations).

    Returns:
        The split; videos stand in the order of its weak annotation file.

    Raises:
        RlldError: If a file is missing or wrong, or the store does not match the annotations.
    """
    _check_name(name)
    folder = Path(folder)
    spec = read_spec(folder).require_streams(folder / FILE_NAME)
    return _load_split(folder, spec, name, with_truth)


def _check_name(name: str) -> None:
    if name not in SPLITS:
        raise RlldError(f"unknown split {name!r}{nearest(name, SPLITS)}")


def _load_split(folder: Path, spec: DataSpec, name: str, with_truth: bool) -> Split:
    if name not in weak_files(spec):
        known = ", ".join(weak_files(spec))
        raise RlldError(f"{folder}: data set {spec.name!r} has no {name} split; it has {known}")
    annotations = folder / ANNOTATIONS
    weak = read_weak(annotation_file(annotations, weak_files(spec)[name]), spec.taxonomy)
    _require_apart(annotations, spec, name, weak.ids)
    files = dense_files(spec, name, with_truth=with_truth)
    store = features_of(folder, name, weak.ids)
    check_store(store, weak.ids, spec)
    ends = video_ends(store.ids, store.lengths, spec)
    maps = read_maps(annotations, files, weak.ids, spec, ends) if files else None
    dense, truth = (None, maps) if name == "train" else (maps, None)
    labels = torch.from_numpy(weak.labels.astype(np.float32))
    streams, lengths = _unpacked(store, spec)
    tracks = _tracks(streams, lengths)
    split = Split(
        name, spec, weak.ids, streams, labels, dense, truth, folder, lengths=lengths, tracks=tracks
    )
    if not spec.annotations.answers or name == "test":
        return split
    rows = read_answers(annotation_file(annotations, spec.annotations.answers), spec.taxonomy)
    return with_answers(split, rows)


def with_answers(split: Split, rows: Sequence[Answer]) -> Split:
    """Returns a split with answers in place of those that it has.

    Args:
        split: The split.
        rows: Answers; those on videos of other splits are passed over.
    """
    answers = torch.from_numpy(answered(rows, split.ids, split.spec))
    found = chances(rows, split.ids, split.spec)
    drawn = None if found is None else torch.from_numpy(found)
    return replace(split, answers=answers, chances=drawn)


def _require_apart(folder: Path, spec: DataSpec, name: str, ids: Sequence[str]) -> None:
    """Refuses test videos that train or steer, too: scores on them would be no measurement."""
    for other, file in weak_files(spec).items():
        if other == name or "test" not in (name, other):
            continue
        path = annotation_file(folder, file)
        both = sorted(ids_in(path).intersection(ids)) if path.is_file() else []
        if both:
            own = other if name == "test" else name
            raise RlldError(
                f"{path}: {len(both)} videos of the test split are in the {own} split too, first "
                f"{both[0]!r}; keep every video in one"
            )


def _tracks(streams: Mapping[str, Tensor], lengths: Tensor | None) -> Tensor | None:
    """Returns which tracks videos have (N, 2) as ``Split`` takes them."""
    found = tracks_of(streams, lengths)
    found = found | ~found.any(0)
    return None if bool(found.all()) else found


def _unpacked(store: Store, spec: DataSpec) -> tuple[dict[str, Tensor], Tensor | None]:
    """Returns features and lengths; videos that all have T segments need none."""
    if store.lengths is None or bool((store.lengths != spec.segments).any()):
        return store.streams, store.lengths
    shape = (len(store.ids), spec.segments)
    return {name: value.view(*shape, -1) for name, value in store.streams.items()}, None


def video_ends(
    ids: Sequence[str], lengths: Iterable[int] | None, spec: DataSpec
) -> float | dict[str, float]:
    """Returns the seconds beyond which no event may lie: one for all videos, or by id.

    A video of any length may end within its last segment, or a little behind it. Its events may
    end anywhere but where they would cover a segment that it does not have.

    Args:
        ids: Videos, N of them.
        lengths: Segments of each; None where all have T.
        spec: The data set.
    """
    if lengths is None:
        return spec.duration
    # Up to here the rule of half a segment adds none; the last digits are those of decimals.
    return {
        video: round((int(count) + 0.499) * spec.segment_seconds, 6)
        for video, count in zip(ids, lengths, strict=True)
    }


def read_maps(
    folder: Path,
    files: Sequence[str],
    ids: Sequence[str],
    spec: DataSpec,
    ends: float | Mapping[str, float],
) -> Tensor:
    """Reads two dense files as one map.

    Args:
        folder: Annotation folder.
        files: File name of the audible events, and of the visible events.
        ids: Videos, N of them.
        spec: The data set.
        ends: Seconds beyond which no event may lie; see ``video_ends``.

    Returns:
        (N, T, 2, C), bool.

    Raises:
        RlldError: If a file is missing or wrong.
    """
    maps = []
    for name in files:
        path = annotation_file(folder, name)
        rows = read_dense(path, spec.taxonomy, ends)
        if len(rows) >= MANY and not any(marked(event, spec) for event in united(rows)):
            raise RlldError(
                f"{path}: none of its {len(rows)} events covers a segment of "
                f"{spec.segment_seconds:g} s by half, so that nothing would be annotated; correct "
                f"their times (seconds), or segment_seconds in {FILE_NAME}"
            )
        maps.append(rasterise(rows, ids, spec))
    return torch.from_numpy(np.stack(maps, axis=2))


def check_store(store: Store, ids: Sequence[str], spec: DataSpec) -> None:
    """Refuses a store that is not of these videos or this specification.

    Raises:
        RlldError: If ids, streams or dimensions differ.
    """
    if store.ids != tuple(ids):
        raise RlldError(
            f"{store.path}: holds {len(store.ids)} videos that are not the {len(ids)} of the "
            "annotation file in their order; pack the features again"
        )
    if spec.any_length != (store.lengths is not None):
        kind = "any length" if store.lengths is not None else "one length"
        raise RlldError(
            f"{store.path}: holds videos of {kind}, dataset.yaml says any_length: "
            f"{str(spec.any_length).lower()}; correct dataset.yaml, or extract or pack again"
        )
    row = () if spec.any_length else (spec.segments,)
    expected = {name: (*row, dim) for name, dim in spec.dims.items()}
    found = {name: tuple(value.shape[1:]) for name, value in store.streams.items()}
    if expected != found:
        raise RlldError(
            f"{store.path}: holds streams {found}, dataset.yaml says {expected} (segments, "
            "dimensions); correct dataset.yaml or pack the features again"
        )
    longest = 0 if store.lengths is None or not len(ids) else int(store.lengths.max())
    if longest > spec.segments:
        raise RlldError(
            f"{store.path}: its longest video has {longest} segments, dataset.yaml says "
            f"{spec.segments}; set segments to {longest}, or extract or pack again"
        )
