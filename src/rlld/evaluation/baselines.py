"""What a parser has to beat: the bare tags, and finding nothing at all.

A video in which nothing is found and nothing occurs in some sense scores 1 there, as published, so
that a parser that finds nothing scores 25 to 31 on usual data: a number alone says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.lengths import enough
from rlld.data.spec import LANES
from rlld.data.split import Split
from rlld.metrics.averages import every_score
from rlld.metrics.scores import COLUMNS, LEVELS, Scores, per_video, scores
from rlld.recipes import RECOMMENDED

BARE_TAGS, NOTHING = "bare tags", "nothing"
PHRASES = {BARE_TAGS: "the bare tags", NOTHING: "finding nothing"}
LANE: dict[tuple[str, ...], str] = {
    LANES: "Type",
    ("audio",): "audio score",
    ("audio_visual",): "audio-visual score",
}
"""What the mean over the lanes is called that a data set knows events in."""


@dataclass(frozen=True)
class Gain:
    """How far a parser's score lies above a baseline's on the same videos.

    Attributes:
        baseline: ``bare tags`` or ``nothing``.
        level: ``segment`` or ``event``.
        score: The parser's score, in percent.
        other: The baseline's.
        error: Standard error of their difference over the videos.
        what: The score: Type, or that of the lane that the data set knows events in.
    """

    baseline: str
    level: str
    score: float
    other: float
    error: float
    what: str = LANE[LANES]

    @property
    def clear(self) -> bool:
        """Whether the parser is better by more than one standard error."""
        return self.score - self.other > self.error

    def __str__(self) -> str:
        against = f"{self.other:.1f} of {PHRASES[self.baseline]}"
        return (
            f"{self.level} {self.what} {self.score:.1f} against {against}, "
            f"standard error {self.error:.1f}"
        )


def bare_tags(split: Split) -> Scores:
    """Scores the weak labels themselves, in all segments of both modalities.

    Args:
        split: Videos with dense annotation.
    """
    return scores(baseline_maps(split)[BARE_TAGS], split.require_dense())


def tags_in_every_way(split: Split) -> dict[str, float]:
    """Scores the weak labels as ``bare_tags`` does, with all variants of the scores besides.

    Args:
        split: Videos with dense annotation.
    """
    return every_score(baseline_maps(split)[BARE_TAGS], split.require_dense())


def nothing(split: Split) -> Scores:
    """Scores a parser that finds nothing.

    Args:
        split: Videos with dense annotation.
    """
    return scores(baseline_maps(split)[NOTHING], split.require_dense())


def baseline_maps(split: Split) -> dict[str, Tensor]:
    """Returns what each baseline predicts (N, T, 2, C), bool, by its name."""
    truth = split.require_dense()
    tags = split.labels.bool()[:, None, None].expand_as(truth)
    if split.mask is not None:  # behind its end there is no video to tag
        tags = tags & split.mask[..., None, None]
    return {BARE_TAGS: tags, NOTHING: torch.zeros_like(truth)}


def columns_of(level: str, lanes: Sequence[str] = LANES) -> list[int]:
    """Returns the columns of a video whose mean is its score over lanes, Type over all three.

    Args:
        level: ``segment`` or ``event``.
        lanes: Of ``LANES``.
    """
    return [COLUMNS.index(f"{level}_{lane}") for lane in lanes]


def gains(own: Tensor, split: Split) -> list[Gain]:
    """Compares a parser with the baselines, video by video.

    Args:
        own: The eight values of each video (N, 8) of what it predicts, as in ``COLUMNS``.
        split: The videos, with dense annotation.
    """
    truth, lanes = split.require_dense(), split.spec.lanes
    found = []
    for name, maps in baseline_maps(split).items():
        other = per_video(maps, truth)
        for level in LEVELS:
            columns = columns_of(level, lanes)
            ours, theirs = (100 * each[:, columns].mean(1) for each in (own, other))
            spread = float((ours - theirs).std()) if len(split) > 1 else 0.0
            error = spread / len(split) ** 0.5
            means = float(ours.mean()), float(theirs.mean())
            found.append(Gain(name, level, *means, error, LANE[lanes]))
    return found


def warned(
    found: list[Gain], recipe: str, updates: int | None = None, videos: int | None = None
) -> list[str]:
    """Says aloud where a run is no better than a baseline, and what helps.

    Args:
        found: The comparison.
        recipe: Name of the run's recipe.
        updates: Task-network updates of the run, None where they are unknown.
        videos: Its training videos, None where they are unknown.
    """
    poor = [gain for gain in found if not gain.clear]
    if not poor:
        return []
    names = " or ".join(dict.fromkeys(PHRASES[gain.baseline] for gain in poor))
    told = "; ".join(map(str, poor))
    *first, last = _what_helps(recipe, updates, videos)
    return [
        f"beyond chance no better than {names} ({told}). What helps, in this order: "
        f"{', '.join(first)}, and {last}"
    ]


def _what_helps(recipe: str, updates: int | None, videos: int | None) -> list[str]:
    """Returns what makes a run better, what brings most first.

    More updates than the data ask for are not among it: on real clips they did worse.
    """
    helps = []
    if updates is not None and updates < enough(videos):
        more = f"(rlld train ... --schedule.updates {enough(videos)}, it had {updates})"
        helps.append(f"more updates {more}")
    if recipe != RECOMMENDED:
        helps.append(f"the recommended recipe (rlld train {RECOMMENDED} ...)")
    helps.append("more annotated videos (rlld suggest RUN names them)")
    return [*helps, "features that fit the clips (rlld data check DATA)"]
