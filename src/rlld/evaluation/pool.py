"""What questions can be asked about: the tags of a data set, and what is known of them already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.answers import UNKNOWN, Answer, answered, chances, read_answers
from rlld.data.rates.supposed import supposed
from rlld.data.spec import ANNOTATIONS, DataSpec, annotation_file, read_spec
from rlld.errors import RlldError
from rlld.types import MODALITIES, VISUAL

if TYPE_CHECKING:
    from rlld.training.run_folder import Run

GUESS = 0.2
"""Share of a class's tags that is taken to be wrong where nobody says anything."""
LOOK = 3.0
"""Seconds that a question shows at least."""


@dataclass(frozen=True)
class Pool:
    """Tags that can be asked about.

    Attributes:
        spec: The data set.
        ids: Video ids, N of them.
        splits: The split of each.
        tags: What they are tagged with (N, C), bool.
        known: Whether an event is perceived (N, 2, C), int8: 1, 0, -1 where nobody knows.
        chances: Probability with which what is known was asked (N, 2, C), 0 where nobody drew.
        wrong: Probability that a tag is wrong in a track (N, 2, C), by who was not taught by it.
        believed: Whether a run says so; else it is the supposed rate of the class.
        moments: Where to look, start and end in seconds (N, C, 2).
    """

    spec: DataSpec
    ids: tuple[str, ...]
    splits: tuple[str, ...]
    tags: NDArray[np.bool_]
    known: NDArray[np.int8]
    chances: NDArray[np.float32]
    wrong: NDArray[np.float64]
    believed: bool
    moments: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def rows(self) -> dict[str, int]:
        """The number of each video, by its id."""
        return {video: number for number, video in enumerate(self.ids)}

    @cached_property
    def columns(self) -> dict[str, int]:
        """The number of each class, by its name."""
        return {label: number for number, label in enumerate(self.spec.classes)}

    def told(self, answers: Iterable[Answer]) -> Pool:
        """Returns the pool with more answers; of two to one question the later counts."""
        rows = list(answers)
        if not rows:
            return self
        more, drawn = answered(rows, self.ids, self.spec), chances(rows, self.ids, self.spec)
        fresh = more != UNKNOWN
        asked = np.zeros_like(self.chances) if drawn is None else drawn
        return replace(
            self,
            known=np.where(fresh, more, self.known),
            chances=np.where(fresh, asked, self.chances),
        )


def pool_of(folder: Path, run: Run | None = None, splits: Sequence[str] = ("train",)) -> Pool:
    """Reads what can be asked about a data set.

    Args:
        folder: The data-set folder; it needs no features without a run.
        run: A run on it; what its policy believes is put right by the answers.
        splits: ``train``, ``validation`` or both.

    Raises:
        RlldError: If a split or a file is missing or wrong, or the run is of another data set.
    """
    spec = read_spec(folder)
    parts = [_part(folder, spec, name) for name in splits]
    if run is not None:
        parts = [_believed(part, run, folder) for part in parts]
    return Pool(
        spec,
        tuple(name for part in parts for name in part.ids),
        tuple(name for part in parts for name in part.splits),
        np.concatenate([part.tags for part in parts]),
        np.concatenate([part.known for part in parts]),
        np.concatenate([part.chances for part in parts]),
        np.concatenate([part.wrong for part in parts]),
        all(part.believed for part in parts),
        np.concatenate([part.moments for part in parts]),
    )


def _part(folder: Path, spec: DataSpec, split: str) -> Pool:
    """Reads one split without looking at features."""
    files, place = spec.annotations, folder / ANNOTATIONS
    name = getattr(files, split)
    if not name:
        raise RlldError(f"{folder}: data set {spec.name!r} has no {split} split to ask about")
    weak = read_weak(annotation_file(place, name), spec.taxonomy)
    answers = (
        read_answers(annotation_file(place, files.answers), spec.taxonomy) if files.answers else []
    )
    known = answered(answers, weak.ids, spec)
    if split != "train" and files.audio and files.visual:
        maps = [
            rasterise(read_dense(annotation_file(place, file), spec.taxonomy), weak.ids, spec)
            for file in (files.audio, files.visual)
        ]
        known = np.where(known == UNKNOWN, _told(np.stack(maps, 2), spec), known)
    drawn = chances(answers, weak.ids, spec)
    asked = np.zeros(known.shape, np.float32) if drawn is None else drawn
    pool = label_pool(spec, split, weak.ids, weak.labels.astype(bool))
    return replace(pool, known=known, chances=asked)


def _told(maps: NDArray[np.bool_], spec: DataSpec) -> NDArray[np.int8]:
    """Returns what dense annotation (N, T, 2, C) says (N, 2, C), as ``Split.presence`` does."""
    told: NDArray[np.int8] = maps.astype(np.int8).max(1)
    if spec.modalities == "joint":
        told[told == 0] = UNKNOWN
    elif spec.modalities == "audio":
        told[:, VISUAL] = UNKNOWN
    return told


def label_pool(spec: DataSpec, split: str, ids: tuple[str, ...], tags: NDArray[np.bool_]) -> Pool:
    """Returns the pool of videos of which nothing is known but their tags.

    Args:
        spec: The data set.
        split: Its split.
        ids: Video ids, N of them.
        tags: What they are tagged with (N, C), bool.
    """
    shape = (len(ids), len(MODALITIES), len(spec.classes))
    return Pool(
        spec,
        ids,
        (split,) * len(ids),
        tags,
        np.full(shape, UNKNOWN, np.int8),
        np.zeros(shape, np.float32),
        np.broadcast_to(supposed_shares(spec), shape).astype(np.float64),
        False,
        np.broadcast_to([0.0, spec.duration], (*tags.shape, 2)).astype(np.float64),
    )


def supposed_shares(spec: DataSpec) -> NDArray[np.float64]:
    """Returns the rates that are supposed without looking (2, C)."""
    rates = supposed(spec)
    return np.array(
        [
            [rate.share if (rate := rates[name].get(label)) else GUESS for label in spec.classes]
            for name in MODALITIES
        ]
    )


def _believed(part: Pool, run: Run, folder: Path) -> Pool:
    """Adds what a run says of the tags of a split, and where in the video it says it."""
    from rlld.data.tracks import tracks_of
    from rlld.evaluation.labels import judge, judges_labels
    from rlld.evaluation.scoring import load_for
    from rlld.training.predict import predict_split
    from rlld.training.run_folder import load_held_out

    videos = load_for(run, part.splits[0] if part.splits else "train", folder).to(run.device)
    if videos.ids != part.ids:
        raise RlldError(f"{folder}: was changed while it was read; do it again")
    silent = ~tracks_of(videos.streams, videos.lengths).cpu().numpy()[..., None] & (
        part.known == UNKNOWN
    )
    part = replace(part, known=np.where(silent, 0, part.known).astype(np.int8))
    segments = predict_split(run.network, videos).segment.cpu().double().numpy()
    if not judges_labels(run):
        return replace(part, moments=_moments(part, segments, part.wrong, videos.lengths))
    keep = judge(run, videos).keep.detach().cpu().double().numpy()
    held_out = load_held_out(run)
    # What taught a policy is judged by those that it did not teach, or residuals would be none.
    for number, name in enumerate(part.ids):
        if name in held_out:
            keep[number] = held_out[name].double().numpy()
    wrong = 1 - keep
    if np.isnan(wrong[np.broadcast_to(part.tags[:, None], wrong.shape)]).any():
        raise RlldError("keep probabilities: not a number; the denoiser is broken, train again")
    moments = _moments(part, segments, wrong, videos.lengths)
    return replace(part, wrong=np.nan_to_num(wrong), believed=True, moments=moments)


def _moments(
    part: Pool, segments: NDArray[np.float64], wrong: NDArray[np.float64], lengths: object
) -> NDArray[np.float64]:
    """Returns where a doubted event is likeliest, for whoever looks there knows best.

    Args:
        part: The videos.
        segments: Probabilities (N, T, 2, C), 0 behind the end of a video.
        wrong: Probability that a tag is wrong in a track (N, 2, C).
        lengths: Segments of each video (N,); None where all have T.
    """
    doubt = wrong * (1 - wrong) + 1e-6
    strongest = (segments * doubt[:, None]).sum(2).argmax(1)
    step = part.spec.segment_seconds
    count = part.spec.segments if lengths is None else np.asarray(lengths)[:, None]
    ends = np.broadcast_to(np.asarray(count) * step, strongest.shape)
    wide = max(LOOK, step)
    start = np.clip((strongest + 0.5) * step - wide / 2, 0, np.maximum(ends - wide, 0))
    return np.stack([start, np.minimum(start + wide, ends)], -1)
