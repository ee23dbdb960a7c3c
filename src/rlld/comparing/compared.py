"""Runs side by side: scores with paired intervals, by class, and where they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlld.comparing.sides import Side
from rlld.data.split import Split
from rlld.metrics.averages import VARIANTS, summed
from rlld.metrics.classwise import ROWS
from rlld.metrics.counting import Counts
from rlld.metrics.paired import Difference, difference, resampled_videos
from rlld.metrics.scores import LEVELS, NAMES, Scorer, class_f, mean_f, ten_scores
from rlld.types import MODALITIES

WAYS = ("published", *VARIANTS)
"""Ways to average: the published one, then the variants."""
FEWEST = 5
"""Videos in which a class is there or found, from which on its difference says something."""


class Figure(NamedTuple):
    """A score of a side.

    Attributes:
        value: The score in percent; None where it is not defined.
        difference: How far it is above that of the first side; None for the first itself.
    """

    value: float | None
    difference: Difference | None = None


@dataclass(frozen=True)
class Apart:
    """Where a side decides otherwise than the first one; in each such place one of them is right.

    Attributes:
        cells: Segments in which they differ (N, 2, C), by video, modality and class.
        right: Those in which this side is right.
    """

    cells: Tensor
    right: Tensor


@dataclass(frozen=True)
class Judged:
    """A side and what it came to.

    Attributes:
        side: The side.
        scores: The ten scores, by way (``WAYS``) and name (``metrics.scores.NAMES``).
        classes: Segment-level F-scores by class and row (``metrics.classwise.ROWS``).
        columns: The eight values of each video (N, 8), as in ``metrics.scores.COLUMNS``.
        apart: Where it differs from the first side; None for the first.
    """

    side: Side
    scores: Mapping[str, Mapping[str, Figure]]
    classes: Mapping[str, Mapping[str, Figure]]
    columns: Tensor
    apart: Apart | None


@dataclass(frozen=True)
class Compared:
    """Runs, and predictions of others, judged on the same videos.

    Attributes:
        videos: The videos, without features.
        judged: The sides, in the order in which they were given; differences are to the first.
        command: What compared them.
    """

    videos: Split
    judged: Sequence[Judged]
    command: str

    @property
    def first(self) -> Judged:
        """The side that the others are compared with."""
        return self.judged[0]

    @property
    def others(self) -> Sequence[Judged]:
        """The other sides."""
        return self.judged[1:]

    def apart(self) -> list[int]:
        """Returns the videos on which sides disagree, those with most such segments first.

        What counts is the share of the segments of a video, modality and class where some side
        decides otherwise than the first.
        """
        cells = torch.zeros(len(self.videos))
        for each in self.others:
            if each.apart is not None:
                cells += each.apart.cells.sum((1, 2))
        lengths = self.videos.lengths
        share = cells / (self.videos.spec.segments if lengths is None else lengths.cpu())
        order = torch.argsort(-share, stable=True).tolist()
        return [number for number in order if cells[number]]


def judge(videos: Split, sides: Sequence[Side], command: str) -> Compared:
    """Judges sides on the same videos, and by the same resamples of them.

    Args:
        videos: Videos with dense annotation.
        sides: Two or more sides.
        command: What compared them.
    """
    truth = videos.require_dense().cpu()
    counted = [_Counted(side.maps, truth) for side in sides]
    everyone = torch.ones(1, len(videos), dtype=torch.float64)
    values = [each.figures(everyone) for each in counted]
    drawn: list[list[Tensor]] = [[] for _ in sides]
    for weights in resampled_videos(len(videos)):
        for parts, each in zip(drawn, counted, strict=True):
            parts.append(each.figures(torch.from_numpy(weights)))
    resampled = [torch.cat(parts) for parts in drawn]
    judged = []
    for number, (side, each) in enumerate(zip(sides, counted, strict=True)):
        figures = _figures(values[number][0].tolist())
        if number:
            apart = resampled[number] - resampled[0]
            figures = [
                Figure(value, difference(float(own - first), column.numpy()))
                for (value, _), own, first, column in zip(
                    figures, values[number][0], values[0][0], apart.T, strict=True
                )
            ]
        ten, by_class = figures[: len(WAYS) * len(NAMES)], figures[len(WAYS) * len(NAMES) :]
        # A sample of one video is always that one: its interval would have no width.
        enough = torch.minimum(each.seen, counted[0].seen) >= FEWEST
        by_class = [
            figure if sure else Figure(figure.value)
            for figure, sure in zip(by_class, enough.tolist(), strict=True)
        ]
        judged.append(
            Judged(
                side,
                _nested(WAYS, NAMES, ten),
                _nested(videos.spec.classes, ROWS, by_class),
                each.columns,
                _apart(side.maps, sides[0].maps, truth) if number else None,
            )
        )
    return Compared(videos, judged, command)


def _figures(values: Sequence[float]) -> list[Figure]:
    return [Figure(None if value != value else value) for value in values]  # NaN is not itself


def _nested(
    outer: Sequence[str], inner: Sequence[str], figures: Sequence[Figure]
) -> dict[str, dict[str, Figure]]:
    wide = len(inner)
    return {
        name: dict(zip(inner, figures[place * wide : (place + 1) * wide], strict=True))
        for place, name in enumerate(outer)
    }


def _apart(maps: Tensor, first: Tensor, truth: Tensor) -> Apart:
    differ = maps ^ first
    return Apart(differ.sum(1), (differ & (maps == truth)).sum(1))


class _Counted:
    """What a side is judged by, video by video, so that any sample of videos is judged by sums.

    Attributes:
        columns: The eight published values of each video (N, 8).
        seen: In how many videos a class is there or found (classes x 4).
    """

    def __init__(self, maps: Tensor, truth: Tensor) -> None:
        usual, exclusive = Scorer(truth), Scorer(truth, exclusive=True)
        self.columns = usual.per_video(maps)
        self._means = torch.cat((self.columns, exclusive.per_video(maps)), 1)
        counts = [usual.counts(maps, level) for level in LEVELS]
        self._counts = torch.stack([torch.stack(each) for each in counts]).double()
        of_class = class_f(counts[0])  # (4, N, C)
        known = torch.isfinite(of_class)
        self.seen = known.sum(1).T.flatten()
        self._classes = torch.stack((of_class.nan_to_num(0), known.double()))

    def figures(self, weights: Tensor) -> Tensor:
        """Returns the scores, by way and name, then those of the classes, of samples of videos.

        Args:
            weights: How often each video is in each sample (n, N), float64.

        Returns:
            Percentages (n, ways x 10 + classes x 4), NaN where one is not defined.
        """
        means = (weights @ self._means).T / weights.sum(1)  # (16, n)
        totals = torch.einsum("rn,lkmnc->lkmrc", weights, self._counts)
        of_class, known = torch.einsum("rn,ajnc->ajrc", weights, self._classes)
        ten = [ten_scores(means[:8]), ten_scores(means[8:])]  # then by class, and all together
        levels = [Counts(*level) for level in totals]
        for found in (levels, [summed(level, (2,)) for level in levels]):
            ten.append(ten_scores(torch.cat([mean_f(level) for level in found])))
        classes = 100 * (of_class / known).permute(1, 2, 0)  # NaN where a class is in no video
        return torch.cat((torch.cat(ten).T, classes.flatten(1)), 1)


def as_dict(compared: Compared) -> dict[str, Any]:
    """Returns a comparison JSON-ready, every video included."""
    videos = compared.videos
    return {
        "command": compared.command,
        "dataset": videos.spec.name,
        "split": videos.name,
        "videos": len(videos),
        "first": compared.first.side.name,
        "sides": [_side(each, videos) for each in compared.judged],
    }


def _side(judged: Judged, videos: Split) -> dict[str, Any]:
    side = judged.side
    return {
        "name": side.name,
        "source": side.source,
        **side.facts,
        "notes": list(side.notes),
        "scores": {way: _shown(row) for way, row in judged.scores.items()},
        "classes": {label: _shown(row) for label, row in judged.classes.items()},
        "disagreements": None if judged.apart is None else _disagreements(judged.apart, videos),
        "by_video": dict(zip(videos.ids, (100 * judged.columns).tolist(), strict=True)),
    }


def _shown(row: Mapping[str, Figure]) -> dict[str, Any]:
    return {
        name: {
            "value": figure.value,
            "difference": None if figure.difference is None else asdict(figure.difference),
        }
        for name, figure in row.items()
    }


def _disagreements(apart: Apart, videos: Split) -> dict[str, Any]:
    def told(axes: tuple[int, ...], names: Sequence[str]) -> dict[str, dict[str, int]]:
        cells, right = apart.cells.sum(axes).tolist(), apart.right.sum(axes).tolist()
        return {
            name: {"segments": count, "right": good}
            for name, count, good in zip(names, cells, right, strict=True)
        }

    return {
        "modalities": told((0, 2), MODALITIES),
        "classes": told((0, 1), videos.spec.classes),
        "videos": told((1, 2), videos.ids),
    }
