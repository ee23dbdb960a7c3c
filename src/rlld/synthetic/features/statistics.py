"""What is known about a data set's labels in aggregate: frequencies and histograms, no video.

``python -m rlld.synthetic.features.statistics DIR OUT`` makes the file that the package ships from
the five annotation files of LLP.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.synthetic.features.masks import RELATIONS, MaskCounts, count, encode
from rlld.utils.config import from_dict, to_dict
from rlld.utils.plain import json_text, json_value

FILE_NAME = "llp_statistics.json"
STATES = ("both", "audio", "visual", "neither")
"""In which modality a labelled event is really perceived."""

ROLES = ("same", "audio", "visual", "audio_alone", "visual_alone")
"""Kinds of masks: of both modalities where they agree; of either where both are active but
differ; of either where the other is empty."""

COMPANY = 3
"""Label counts that are told apart for modality states: one, two, three or more."""

Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class LabelCounts:
    """Weak labels of some videos.

    Attributes:
        number: Videos by number of labels, from 0.
        alone: Videos of one label by class (C,).
        pairs: Videos of two labels by class pair (C, C), upper triangle.
        company: Videos of three and more labels by class pair (C, C), symmetric, with the number
            of such videos that have a class on the diagonal.
    """

    number: tuple[int, ...]
    alone: tuple[int, ...]
    pairs: Table
    company: Table


@dataclass(frozen=True)
class LabelStatistics:
    """A data set in aggregate.

    Attributes:
        source: Where the numbers come from.
        classes: Class names, C of them.
        segments: Segments per video, T.
        train: Weak labels of the training videos.
        evaluation: Weak labels of the validation and test videos.
        states: Weak labels of the densely annotated videos by class, number of labels in the
            video (one, two, more) and modality state (C, 3, 4).
        extra_number: Annotated videos by number of events that no weak label names, from 0.
        extra_states: Those events by class and modality state (C, 3), without ``neither``.
        relations: Events active in both modalities by class and relation of the two masks (C, 4).
        masks: Mask counts by role, one entry per class.
        pairs_in_time: Pairs of classes that are audible in the same video.
        shared_segments: Segments in which both classes of such a pair are audible.
    """

    source: str
    classes: tuple[str, ...]
    segments: int
    train: LabelCounts
    evaluation: LabelCounts
    states: tuple[Table, ...]
    extra_number: tuple[int, ...]
    extra_states: Table
    relations: Table
    masks: dict[str, tuple[MaskCounts, ...]]
    pairs_in_time: int
    shared_segments: int


@cache
def load_statistics() -> LabelStatistics:
    """Reads the statistics of LLP that the package ships."""
    text = files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8")
    return from_dict(LabelStatistics, json_value(text, FILE_NAME), FILE_NAME)


def restrict(statistics: LabelStatistics, classes: Sequence[str]) -> LabelStatistics:
    """Returns what the statistics say about some of their classes, in the order given."""
    return taken(statistics, [statistics.classes.index(name) for name in classes], classes)


def taken(
    statistics: LabelStatistics, index: Sequence[int], names: Sequence[str]
) -> LabelStatistics:
    """Returns statistics of other classes, each of which is like one that is known.

    Args:
        statistics: What is known.
        index: The class that each of the others is like; two that are like the same one never
            come together.
        names: Names of the others.
    """

    def rows(table: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(table[i] for i in index)

    def square(table: Table) -> Table:
        return tuple(
            tuple(
                table[one][two] if one != two or row == column else 0
                for column, two in enumerate(index)
            )
            for row, one in enumerate(index)
        )

    def labels(counts: LabelCounts) -> LabelCounts:
        return LabelCounts(
            counts.number, rows(counts.alone), square(counts.pairs), square(counts.company)
        )

    return replace(
        statistics,
        classes=tuple(names),
        train=labels(statistics.train),
        evaluation=labels(statistics.evaluation),
        states=rows(statistics.states),
        extra_states=rows(statistics.extra_states),
        relations=rows(statistics.relations),
        masks={role: rows(counts) for role, counts in statistics.masks.items()},
    )


def label_counts(weak: NDArray[np.uint8]) -> LabelCounts:
    """Counts weak labels (N, C)."""
    number = weak.sum(1)
    many = weak[number >= COMPANY].astype(int)
    two = weak[number == 2].astype(int)
    return LabelCounts(
        _tuple(np.bincount(number)),
        _tuple(weak[number == 1].sum(0)),
        _table(np.triu(two.T @ two, 1)),
        _table(many.T @ many),
    )


def statistics_from_annotations(
    classes: Sequence[str],
    train: NDArray[np.uint8],
    weak: NDArray[np.uint8],
    dense: NDArray[np.bool_],
    source: str = "LLP",
) -> LabelStatistics:
    """Counts annotations.

    Args:
        classes: Class names, C of them.
        train: Weak labels of training videos (N, C).
        weak: Weak labels of densely annotated videos (M, C).
        dense: Their events (M, T, 2, C).
        source: Where they come from.
    """
    masks = encode(dense.transpose(0, 2, 3, 1))
    audio, visual = masks[:, 0], masks[:, 1]
    state = np.select([(audio > 0) & (visual > 0), audio > 0, visual > 0], [0, 1, 2], 3)
    columns = range(len(classes))
    present = weak > 0
    company = np.minimum(present.sum(1), COMPANY) - 1
    extra = ~present & (state < 3)
    states = [
        _table(_cross(company[present[:, c]], state[present[:, c], c], (COMPANY, len(STATES))))
        for c in columns
    ]
    segments = dense.shape[1]
    roles = [_roles(audio[:, c], visual[:, c]) for c in columns]
    return LabelStatistics(
        source,
        tuple(classes),
        segments,
        label_counts(train),
        label_counts(weak),
        tuple(states),
        _tuple(np.bincount(extra.sum(1))),
        _table(np.stack([np.bincount(state[extra[:, c], c], minlength=3) for c in columns])),
        _table(np.stack([_relations(audio[:, c], visual[:, c]) for c in columns])),
        {role: tuple(count(of[role], segments) for of in roles) for role in ROLES},
        *shared_time(dense)[::-1],
    )


def shared_time(events: NDArray[np.bool_]) -> tuple[int, int]:
    """Says how much the audible classes of a video overlap.

    Args:
        events: (N, T, 2, C).

    Returns:
        The number of (segment, class pair) in which both classes are audible, and the number of
        (video, class pair) in which both are audible at some time.
    """
    audible = events[:, :, 0]
    at_once = audible.sum(-1, dtype=np.int64)
    in_all = audible.any(1).sum(-1, dtype=np.int64)
    return int((at_once * (at_once - 1)).sum() // 2), int((in_all * (in_all - 1)).sum() // 2)


def _cross(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    return np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)


def _relations(audio: NDArray[np.int64], visual: NDArray[np.int64]) -> NDArray[np.int64]:
    both = (audio > 0) & (visual > 0)
    audio, visual = audio[both], visual[both]
    common = audio & visual
    kinds = [audio == visual, common == audio, common == visual]
    return np.bincount(np.select(kinds, [0, 1, 2], 3), minlength=len(RELATIONS))


def _roles(audio: NDArray[np.int64], visual: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    both = (audio > 0) & (visual > 0)
    differ = both & (audio != visual)
    return {
        "same": audio[both & ~differ],
        "audio": audio[differ],
        "visual": visual[differ],
        "audio_alone": audio[(audio > 0) & ~both],
        "visual_alone": visual[(visual > 0) & ~both],
    }


def _tuple(values: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _table(values: NDArray[np.int64]) -> Table:
    return tuple(_tuple(row) for row in values)


def statistics_text(statistics: LabelStatistics) -> str:
    """Returns the statistics as JSON, one line per top-level field."""
    fields = to_dict(statistics)
    lines = (
        f'"{name}": {json_text(value, FILE_NAME, separators=(",", ":"))}'
        for name, value in fields.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(argv: Sequence[str]) -> None:
    """Makes the statistics file ``OUT`` from the annotation files in ``DIR``.

    Raises:
        RlldError: If the two arguments are not given or the files cannot be read.
    """
    from rlld.data.spec import LLP_FILES, LLP_SPEC
    from rlld.synthetic.features.copied import read_annotations

    if len(argv) != 2:
        raise RlldError("expected two arguments, DIR and OUT: the annotation files and the result")
    labels = read_annotations(Path(argv[0]), LLP_FILES, LLP_SPEC)
    annotated = (labels["validation"], labels["test"])
    statistics = statistics_from_annotations(
        LLP_SPEC.classes,
        labels["train"].weak,
        np.concatenate([split.weak for split in annotated]),
        np.concatenate([split.events for split in annotated]),
        "LLP (Tian et al., ECCV 2020), annotation files of YapengTian/AVVP-ECCV20",
    )
    Path(argv[1]).write_text(statistics_text(statistics), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RlldError as error:
        sys.exit(f"statistics: {error}")
