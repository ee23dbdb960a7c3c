"""Figures 6 to 11: validation scores over the episodes, mean and deviation of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.bench.jobs import Terms, plan
from rlld.bench.runs import Failure, run_all
from rlld.bench.studies.denoisers import SELECTION, Settings
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.report.figures import Curve, training_curves
from rlld.training.run_folder import read_rounds
from rlld.utils.files import write_text
from rlld.utils.sheets import sheet_text

Values = NDArray[np.float64]

FIGURES = {
    6: "segment_audio",
    7: "segment_visual",
    8: "segment_event",
    9: "event_event",
    10: "event_audio",
    11: "event_visual",
}
"""The score of each figure of the paper."""
KEPT = {"keep_audio": "audio labels", "keep_visual": "visual labels"}
"""What a policy logs of itself: its mean keep probability of the labels of an episode."""
SMOOTHING = 0.1
"""Weight of the running mean against the new episode, as TensorBoard counts it."""

PAPER, DEFAULT = "rlld", "rlld-labelwise"
EPISODES = {"schedule.round": "episode", "schedule.steps": 32, "schedule.carry": 0.25}
# Learning rates that fall over the run would starve the fresh networks of late episodes.
FRESH = {**EPISODES, "denoiser.mode": "one_epoch", "schedule.milestones": ()}
PROTOCOLS: dict[str, Mapping[str, Any]] = {
    "one network through the run": EPISODES,
    "a fresh network each episode": FRESH,
}
"""Own settings by panel; fresh networks are section 4.5's protocol."""
LEARNERS = (PAPER, DEFAULT)
"""Recipes by line of a panel."""


@dataclass(frozen=True)
class Recorded:
    """What the runs of one line logged.

    Attributes:
        protocol: A key of ``PROTOCOLS``.
        learner: Its recipe.
        measures: Values (runs, episodes) by name: the ten validation scores, and ``KEPT`` where
            there is a policy that moves.
    """

    protocol: str
    learner: str
    measures: dict[str, Values]


def record(settings: Settings, episodes: int) -> tuple[list[Recorded], Terms]:
    """Trains every line with every seed and reads what it logged.

    Args:
        settings: Data, seeds and places; its ``updates`` is not looked at.
        episodes: Length of each run.

    Returns:
        The lines, and what all runs have in common.

    Raises:
        RlldError: If a run failed.
    """
    if episodes < 1:
        raise RlldError(f"--episodes must be 1 or more, found {episodes}")
    steps = load_recipe(PAPER, EPISODES).schedule.steps
    terms = Terms(episodes * steps, SELECTION)
    lines = {
        f"{learner}, {protocol}": (protocol, learner)
        for protocol in PROTOCOLS
        for learner in LEARNERS
    }
    methods = {line: (learner, PROTOCOLS[protocol]) for line, (protocol, learner) in lines.items()}
    jobs = plan(methods, settings.data, range(settings.seeds), terms, settings.device)
    logs: dict[str, list[list[dict[str, Any]]]] = {}
    for outcome in run_all(jobs, settings.runs, settings.workers, settings.log):
        if isinstance(outcome, Failure):
            raise RlldError(f"{outcome.reason}; the same command tries again")
        logs.setdefault(outcome.job.method, []).append(read_rounds(settings.runs / outcome.job.key))
    return [Recorded(*lines[line], _measures(runs)) for line, runs in logs.items()], terms


def draw(recorded: Sequence[Recorded], measure: str, stem: Path, title: str) -> list[Path]:
    """Draws one score of every line that has it, and writes the numbers beside the picture.

    Args:
        recorded: The lines.
        measure: A key of ``Recorded.measures``.
        stem: Path of the files without suffix.
        title: Title of the figure.

    Returns:
        PNG, SVG and CSV.
    """
    panels: dict[str, dict[str, Curve]] = {}
    for each in recorded:
        if measure in each.measures:
            smooth = smoothed(each.measures[measure])
            mean, sd = smooth.mean(0), deviation(smooth)
            episodes = range(1, smooth.shape[1] + 1)
            curve = Curve(episodes, list(mean), list(mean - sd), list(mean + sd))
            panels.setdefault(each.protocol, {})[each.learner] = curve
    label = "mean keep probability" if measure in KEPT else "F-score on validation (%)"
    paths = training_curves(stem, panels, "episode", label, title)
    paths.append(stem.with_name(f"{stem.name}.csv"))
    write_text(paths[-1], _csv(recorded, measure))
    return paths


def smoothed(values: Values) -> Values:
    """Returns the exponential running mean of each row, which starts at its first value."""
    result = values.copy()
    for at in range(1, values.shape[1]):
        result[:, at] = SMOOTHING * result[:, at - 1] + (1 - SMOOTHING) * values[:, at]
    return result


def deviation(values: Values) -> Values:
    """Returns the standard deviation between rows (n - 1), 0 of a single one."""
    return values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])


def _measures(runs: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Values]:
    names = list(runs[0][0]["validation"])
    found = {
        name: np.array([[episode["validation"][name] for episode in run] for run in runs])
        for name in names
    }
    for name in KEPT:
        if name in runs[0][0]:
            found[name] = np.array([[episode[name] for episode in run] for run in runs])
    return found


def _csv(recorded: Sequence[Recorded], measure: str) -> str:
    rows: list[list[str | float]] = [
        ["protocol", "learner", "episode", "runs", "smoothed_mean", "smoothed_sd", "mean", "sd"]
    ]
    for each in recorded:
        if measure not in each.measures:
            continue
        values = each.measures[measure]
        smooth = smoothed(values)
        columns = (smooth.mean(0), deviation(smooth), values.mean(0), deviation(values))
        for number, row in enumerate(zip(*columns, strict=True), start=1):
            cells: list[str | float] = [float(value) for value in row]
            if len(values) == 1:  # which has no deviation, not one of 0
                cells[1::2] = "", ""
            rows.append([each.protocol, each.learner, number, len(values), *cells])
    return sheet_text(rows, ",")
