"""Settings that follow from the data, for recipes that say ``fit: true``.

A published schedule counts epochs: 25 of LLP's 10,000 videos are 1,975 updates, 25 of 300 clips are
75, after which a network has learned nothing. These rules say what a person should not have to
know: how wide the networks are, how many updates they take in batches of which size, and what the
annotated videos do where they are too few to choose weights by. They are pure functions of two
counts, so that a resumed run decides alike. docs/training.md tells how they were settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlld.data.lengths import LARGE, enough, schedule

WIDTHS = ((150, 128), (LARGE, 256))
"""Widths by the number of training videos that they are right below."""

PAIRED = 500
"""Training videos under which annotated ones teach in pairs, too, where they teach the network."""

SEVERAL, ENSEMBLE = 1500, 3
"""Training videos under which so many networks are averaged in recipes whose annotated videos teach
them: about one point more of Type, for trainings of minutes."""

LESSON = 32
"""Annotated videos that teach the network in a step, at most; more cost time and bring nothing."""

FEW_ANNOTATED = 100
"""Annotated videos under which scores on a part of them choose weights by chance."""


@dataclass(frozen=True)
class Sizes:
    """What is counted before a training.

    Attributes:
        videos: Training videos.
        annotated: Validation videos with dense annotation.
    """

    videos: int
    annotated: int


@dataclass(frozen=True)
class Decision:
    """Something that was decided by the data.

    Attributes:
        settings: Dotted recipe settings.
        because: Why, as the second half of a sentence.
    """

    settings: Mapping[str, Any]
    because: str


def decide(
    sizes: Sizes, *, teaches: bool = False, supervised: bool = False, cleans: bool = False
) -> list[Decision]:
    """Returns what the data decide; nothing where published settings are right as they are.

    Args:
        sizes: Counts of the data.
        teaches: Whether annotated videos are set apart to teach the recipe's denoiser.
        supervised: Whether they teach its network in any case.
        cleans: Whether its labels are cleaned, which needs no annotated video.
    """
    decisions = []
    if sizes.videos < LARGE:
        decisions = [_width(sizes), _length(sizes)]
        if sizes.annotated and supervised:
            decisions.append(_lessons(sizes))
        if supervised and cleans and sizes.videos < SEVERAL:
            decisions.append(_ensemble(sizes))
    if not sizes.annotated and cleans:
        decisions.append(Decision({"supervision.weight": 0.0}, "no annotated video teaches"))
    if 0 < sizes.annotated < FEW_ANNOTATED:
        decisions.append(_few(sizes, teaches))
        if supervised and sizes.videos < PAIRED:
            decisions.append(_pairs(sizes))
    return decisions


def longer(updates: int | None, videos: int | None) -> int:
    """Returns a number of updates that is worth a try after a run: twice as many, or enough.

    Args:
        updates: Those of the run, None where they are unknown.
        videos: Its training videos, None where they are unknown.
    """
    return max(enough(videos), 2 * (updates or 0))


def _width(sizes: Sizes) -> Decision:
    width = next(size for most, size in WIDTHS if sizes.videos < most)
    settings = {"network.hidden": width, "denoiser.hidden": width}
    return Decision(settings, f"wider networks learn {sizes.videos} videos by heart")


def _length(sizes: Sizes) -> Decision:
    because = f"published epochs are too short for {sizes.videos} videos"
    return Decision(schedule(sizes.videos), because)


def _lessons(sizes: Sizes) -> Decision:
    count = min(schedule(sizes.videos)["schedule.batch_size"], LESSON)
    because = "more annotated videos in a step cost time and bring nothing"
    return Decision({"supervision.batch_size": count}, because)


def _ensemble(sizes: Sizes) -> Decision:
    because = f"networks that {sizes.videos} videos taught are right more often together"
    return Decision({"schedule.ensemble": ENSEMBLE}, because)


def _few(sizes: Sizes, teaches: bool) -> Decision:
    count = sizes.annotated
    settings: dict[str, Any] = {"selection.score": "last", "selection.reward_share": 1.0}
    if not teaches:
        return Decision(settings, f"{count} annotated videos would choose weights by chance")
    settings["supervision.weight"] = 1.0
    return Decision(settings, f"all {count} annotated videos teach, too few to choose weights by")


def _pairs(sizes: Sizes) -> Decision:
    because = f"the sound of each of {sizes.annotated} annotated videos teaches with all pictures"
    return Decision({"supervision.mixing": 1.0}, because)
