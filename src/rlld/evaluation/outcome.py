"""What a run came to: scores beside baselines, what speaks against them, wrong tags, what helps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from rlld.data.dataset import DataSet
from rlld.evaluation.labels import Suspect, judge, judges_labels, suspects, verdicts
from rlld.evaluation.learning import falling_note, rounds_of
from rlld.evaluation.scoring import Evaluation, evaluate_on, selecting
from rlld.metrics.scores import (
    EXCLUSIVE,
    MOMENT,
    MOMENT_NAMES,
    NAMES,
    named_score,
    ten_scores,
)
from rlld.metrics.tags import TAGS
from rlld.training.compared import WEAK, weak_scores
from rlld.training.run_folder import Run

FEW = 30
"""Videos that select; fewer choose among weights by chance."""
DRAWS = 1000
FOUND = 8
"""Wrong tags that are named."""
MORE = 10
WORTH = {0: 63.3, 10: 64.1, 25: 63.8, 50: 64.5, 100: 62.1, 200: 65.9, 400: 67.3, 649: 66.4}
"""Segment-level Type of the label-wise learner by annotated videos: docs/results/annotations.md."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        evaluation: Its scores on the videos that selected its weights; None where no video with
            dense annotation did.
        notes: What a reader of the scores must know.
        suspects: Tags that were found wrong, the most certain first.
        wrong: How many were, counting each track.
        tags: How many there are, counting each track.
        weak: The ten scores of the same task network on the bare tags, on the videos of
            ``evaluation``; empty where the run trained none.
    """

    evaluation: Evaluation | None
    notes: tuple[str, ...]
    suspects: tuple[Suspect, ...] = ()
    wrong: int = 0
    tags: int = 0
    weak: Mapping[str, float] = field(default_factory=dict)

    def rows(self, title: str) -> dict[str, Mapping[str, float]]:
        """Returns the ten scores of the run, under a title, and of all that it stands beside."""
        if self.evaluation is None:
            return {}
        own, *others = self.evaluation.rows(title).items()
        return dict([own, *([(WEAK, self.weak)] if self.weak else []), *others])


def outcome(run: Run, data: DataSet) -> Outcome:
    """Looks at a run that has just ended.

    Args:
        run: The run.
        data: The data set that it was trained on.
    """
    scores, evaluation = run.facts["validation"], None
    if scores and TAGS not in scores:
        evaluation = evaluate_on(run, selecting(run, data.validation))
    weak = weak_scores(run.facts, len(evaluation.columns)) if evaluation else {}
    said = (
        chance_note(run, evaluation),
        falling_note(rounds_of(run), *map(run.facts.get, ("training_videos", "selected_updates"))),
    )
    notes = [*run.facts["notes"], *(note for note in said if note), *worth_notes(run)]
    if not judges_labels(run):
        return Outcome(evaluation, tuple(notes), weak=weak)
    train = data.train.to(run.device)
    rows = verdicts(train, judge(run, train).keep)
    wrong = sum(row.decision == "remove" for row in rows)
    found = tuple(suspects(rows, min(FOUND, wrong)))
    return Outcome(evaluation, tuple(notes), found, wrong, len(rows), weak)


def chance_note(run: Run, evaluation: Evaluation | None) -> str | None:
    """Says how much of the selection is chance where few videos select.

    Args:
        run: The run.
        evaluation: Its scores on these videos.
    """
    name = run.recipe.selection.score
    if evaluation is None or name == "last" or len(evaluation.columns) >= FEW:
        return None
    low, high = interval(evaluation, name)
    count = len(evaluation.columns)
    return (
        f"{count} annotated {'video' if count == 1 else 'videos'} chose the weights by {name}, "
        f"which is {_score(_columns(evaluation), name):.1f} there and between "
        f"{low:.1f} and {high:.1f} on other draws of such videos (95 %, bootstrap): rounds and "
        "recipes that differ by less were chosen by chance"
    )


def interval(evaluation: Evaluation, name: str) -> tuple[float, float]:
    """Returns the 95 % interval of a score over resamples of the videos, in percent.

    Args:
        evaluation: The scores.
        name: A score, as in ``named_score``.
    """
    columns, count = _columns(evaluation), len(evaluation.columns)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(count, (DRAWS, count), generator=generator)
    values = [_score({key: own[index] for key, own in columns.items()}, name) for index in drawn]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _columns(evaluation: Evaluation) -> dict[str, torch.Tensor]:
    """Returns the values of each video (N, n) by what stands before the names of their scores."""
    found = {"": evaluation.columns, EXCLUSIVE: evaluation.alone, MOMENT: evaluation.moments}
    return {key: columns.cpu() for key, columns in found.items() if len(columns)}


def _score(columns: Mapping[str, torch.Tensor], name: str) -> float:
    """Returns a score of videos, as in ``named_score``, from their values."""
    values: dict[str, float] = {}
    for key, own in columns.items():
        mean = own.double().mean(0)
        if key == MOMENT:
            values |= dict(zip(MOMENT_NAMES, (100 * mean).tolist(), strict=True))
        else:
            ten = zip(NAMES, ten_scores(mean).tolist(), strict=True)
            values |= {f"{key}{each}": value for each, value in ten}
    return named_score(values, name)


def worth_notes(run: Run) -> list[str]:
    """Says what ten more annotated videos brought elsewhere: a run alone cannot tell.

    The networks whose evidence its policies read have seen the annotation by the end of a run, so
    that judging with fewer annotated videos would look better than it is.
    """
    taught = run.facts.get("teaching_videos")
    if getattr(run.recipe.denoiser.config, "credit", None) != "labelwise" or taught is None:
        return []
    more = taught + MORE
    if more > max(WORTH):
        return []
    # Each of them is a mean of two runs, and differs from the next by chance: the trend counts.
    trend = np.polyfit(np.log1p(list(WORTH)), list(WORTH.values()), 1)[0]
    gain = float(trend * math.log((1 + more) / (1 + taught)))
    return [
        f"what {MORE} more annotated videos would bring, this run cannot tell; on simulated data, "
        f"from {taught} on, they brought about {gain:.1f} points of segment Type "
        "(docs/results/annotations.md); rlld suggest names videos"
    ]
