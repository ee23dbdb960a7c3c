"""What a validation score says about the labels of a step: the signal that a policy is paid by.

Networks are trained on all labels up to a step. Then the same batch is tried with the labels that
several policies would leave, from the same weights and with the same dropout, and what the reward
videos say afterwards is compared with what they say after the step on all labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlld.bench.page import Block, Page
from rlld.data.dataset import load_data
from rlld.data.split import Split
from rlld.denoisers._given import Given
from rlld.denoisers.base import Denoiser, TaskStep
from rlld.denoisers.constant import presence
from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.counterfactual import validation_reward
from rlld.denoisers.reinforced.options import InterRewardOptions
from rlld.denoisers.reinforced.rewards import inter_reward
from rlld.errors import RlldError
from rlld.metrics.gates import Gate
from rlld.metrics.scores import Scorer
from rlld.recipes.recipe import Recipe, load_recipe
from rlld.training.predict import predict_split
from rlld.training.trainer import Trainer
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute
from rlld.utils.console import progress
from rlld.utils.sheets import sheet_text

RECIPE = "weak"
KEEP_ALL, TRUE, CONSTANT, TENTH, HALF = (
    "all labels",
    "true labels",
    "constant policy",
    "a tenth removed at random",
    "half removed at random",
)
MEASURES = {
    "segment_audio": "seg A",
    "event_visual": "ev V",
    "audio_likelihood": "a -BCE",
    "visual_likelihood": "v -BCE",
}
"""The paper's two rewards in percent, and 100 times the mean log-likelihood of each modality."""
EPISODE = {
    "schedule.round": "episode",
    "schedule.steps": 32,
    "schedule.carry": 0.25,
    "schedule.milestones": (),
    "selection.score": "last",
}
"""At the full learning rate: trials lie early in a run, and a fresh network has one episode."""


@dataclass(frozen=True)
class Spread:
    """A mean and a standard deviation (n - 1), which a single value has none of."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Measures some values."""
        found = torch.tensor(values, dtype=torch.float64)
        return cls(float(found.mean()), float(found.std()) if len(found) > 1 else None)


@dataclass(frozen=True)
class Effect:
    """What labels do to the reward.

    Attributes:
        when: After which training.
        labels: Whose labels.
        removed: Removed audio and visual labels per batch, its mean.
        measures: By name, the difference to a step on all labels; or, of an episode, the value.
    """

    when: str
    labels: str
    removed: tuple[float, float]
    measures: dict[str, Spread]


@dataclass(frozen=True)
class Signal:
    """The whole measurement.

    Attributes:
        steps: Differences after a single step, and step to step on all labels.
        episodes: Values after one episode from a fresh network.
        command: What made it.
        data: Data-set folder.
        inter: Mean inter-reward of the training videos, audio and visual, by whose labels.
        silence: Both rewards of a network that predicts nothing, in percent: a video without
            events counts as right then.
        batch: Videos of a step.
    """

    steps: tuple[Effect, ...]
    episodes: tuple[Effect, ...]
    command: str
    data: str
    inter: dict[str, tuple[float, float]]
    silence: tuple[float, float]
    batch: int


def signal(
    folder: Path,
    *,
    after: Sequence[int] = (100, 300),
    batches: int = 12,
    repeats: int = 5,
    command: str = "",
) -> Signal:
    """Measures what labels do to validation scores, after one step and after one episode.

    Args:
        folder: Data set with true training labels.
        after: Task steps on all labels before the trials.
        batches: Batches tried, one after the other.
        repeats: Fresh networks of each episode.
        command: What made it.

    Raises:
        RlldError: If the true labels of the training videos are not known, or nothing is asked.
    """
    if not after or min(*after, batches, repeats) < 1:
        raise RlldError("--after, --batches and --repeats must be 1 or more")
    data = load_data(folder, with_truth=True)
    train, reward = data.train, data.validation
    if train.truth is None:
        raise RlldError(
            f"{folder}: the true labels of the training videos are not known, only simulated and "
            "rendered sets know them; make one by 'rlld data simulate'"
        )
    recipe = load_recipe(RECIPE, EPISODE, data.spec.overrides)
    meter = Meter(reward, recipe.gate)
    policies = removals(train, reward)
    steps: list[Effect] = []
    for count in after:
        steps += _after_steps(recipe, data.train, policies, meter, count, batches)
    episodes = _after_an_episode(recipe, train, policies, meter, repeats)
    silence = Scorer(reward.require_dense())(torch.zeros_like(reward.require_dense()))
    nothing = float(silence["segment_audio"]), float(silence["event_visual"])
    inter = {name: _inter(train, labels) for name, labels in policies.items()}
    batch = min(recipe.schedule.batch_size, len(train))
    return Signal(tuple(steps), tuple(episodes), command, str(folder), inter, nothing, batch)


def removals(train: Split, reward: Split) -> dict[str, Tensor]:
    """Returns the labels that policies leave (N, 2, C), by name."""
    weak = train.labels.unsqueeze(1).expand(-1, 2, -1)
    chance = torch.rand(weak.shape, generator=torch.Generator().manual_seed(0))
    if train.truth is None:
        raise ValueError("the true labels are not known")
    kept = {
        KEEP_ALL: torch.ones_like(weak, dtype=torch.bool),
        TRUE: train.truth.any(1),
        CONSTANT: (presence(reward.labels, reward.require_dense()) >= 0.5).expand_as(weak),
        TENTH: chance >= 0.1,
        HALF: chance >= 0.5,
    }
    return {name: weak * keep.to(weak.dtype) for name, keep in kept.items()}


class Meter:
    """Says how well annotated videos are predicted.

    Args:
        videos: With dense annotation.
        gate: How probabilities become 0/1 predictions.
    """

    def __init__(self, videos: Split, gate: Gate) -> None:
        self.videos, self.gate = videos, gate
        self._scorer = Scorer(videos.require_dense())

    def __call__(self, prediction: Prediction) -> dict[str, float]:
        """Returns ``MEASURES`` of a prediction of the videos."""
        scores = self._scorer(self.gate.apply(prediction))
        audio, visual = validation_reward(prediction, self.videos.require_dense()).mean(1)
        values = (scores["segment_audio"], scores["event_visual"], audio, visual)
        return {name: float(value) for name, value in zip(MEASURES, values, strict=True)}


class _Probe(Denoiser):
    """Trains on all labels and, in its last steps, tries other labels first.

    Args:
        policies: Labels of the whole split (N, 2, C) by name, all of them first.
        meter: Measures every trial.
        start: Steps before the first trial.
    """

    _task: TaskStep

    def __init__(self, policies: Mapping[str, Tensor], meter: Meter, start: int) -> None:
        self.policies, self.meter, self.start = policies, meter, start
        self.steps = 0
        self.found: dict[str, list[dict[str, float]]] = {name: [] for name in policies}
        self.removed: dict[str, list[Tensor]] = {name: [] for name in policies}

    def before_step(self, task: TaskStep) -> None:
        """Takes the task network of this step."""
        self._task = task

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns all labels; tries the others before, once the training is long enough."""
        if self.steps >= self.start:
            self._try_others(batch)
        self.steps += 1
        return _targets(self.policies[KEEP_ALL][batch.index], batch.labels)

    def _try_others(self, batch: Batch) -> None:
        choices = [labels[batch.index] for labels in self.policies.values()]
        targets = [_targets(labels, batch.labels) for labels in choices]
        predictions = self._task.trials(batch, targets, self.meter.videos)
        for name, labels, prediction in zip(self.policies, choices, predictions, strict=True):
            self.found[name].append(self.meter(prediction))
            self.removed[name].append(batch.labels.sum() - labels.sum((0, 2)))


def _targets(revised: Tensor, weak: Tensor) -> ModalityLabels:
    return actions.targets(revised, weak, "union")


def _after_steps(
    recipe: Recipe,
    train: Split,
    policies: Mapping[str, Tensor],
    meter: Meter,
    count: int,
    batches: int,
) -> list[Effect]:
    tried = {name: labels for name, labels in policies.items() if name != HALF}
    probe = _Probe(tried, meter, count)
    longer = recipe.varied({"schedule.updates": count + batches})
    trainer = Trainer(longer, train, None, 0, Compute("cpu", threads=1), probe)
    with progress(f"{count} steps and {batches} trials", trainer.total_updates) as tick:
        for _ in trainer.steps():
            tick()
    when = f"one step, after {count}"
    base = probe.found[KEEP_ALL]
    moves = [_minus(later, sooner) for sooner, later in pairwise(base)]
    effects = []
    if moves:
        effects = [Effect(when, "all labels, step to step", (0.0, 0.0), _spreads(moves))]
    for name in tried:
        if name != KEEP_ALL:
            gaps = [_minus(a, b) for a, b in zip(probe.found[name], base, strict=True)]
            effects.append(Effect(when, name, _mean(probe.removed[name]), _spreads(gaps)))
    return effects


def _after_an_episode(
    recipe: Recipe,
    train: Split,
    policies: Mapping[str, Tensor],
    meter: Meter,
    repeats: int,
) -> list[Effect]:
    short = recipe.varied({"schedule.updates": recipe.schedule.steps})
    effects = []
    with progress("episodes from fresh networks", len(policies) * repeats) as tick:
        for name, labels in policies.items():
            found = []
            for seed in range(repeats):
                given = Given(_targets(labels, train.labels))
                compute = Compute("cpu", threads=1)
                trainer = Trainer(short, train, None, seed, compute, given)
                for _ in trainer.steps():
                    pass
                found.append(meter(predict_split(trainer.network, meter.videos)))
                tick()
            share = min(1.0, recipe.schedule.batch_size / len(train))
            gone = (train.labels.sum() - labels.sum((0, 2))) * share
            effects.append(Effect("one episode", name, _mean([gone]), _spreads(found)))
    return effects


def _inter(train: Split, revised: Tensor) -> tuple[float, float]:
    weak = train.labels.unsqueeze(1).expand_as(revised)
    audio, visual = inter_reward(weak, revised, InterRewardOptions()).mean(0).tolist()
    return audio, visual


def brakes() -> Block:
    """Returns the inter-reward (Eq. 9) by the number of labels and of removed ones."""
    rows = []
    readings = {
        "both sides 0.9 y + 0.05": InterRewardOptions(),
        "both sides 0.9 y + 0.1 / C": InterRewardOptions(spread="classes"),
        "revised labels clipped": InterRewardOptions(revised="clipped"),
    }
    cases = [(labels, gone) for labels in (1, 2, 3) for gone in range(labels)]
    for title, reading in readings.items():
        cells = []
        for labels, gone in cases:
            original = torch.zeros(25)
            original[:labels] = 1
            revised = original.clone()
            revised[:gone] = 0
            cells.append(f"{float(inter_reward(original, revised, reading)):.3f}")
        rows.append((title, *cells))
    heads = ("reading", *(f"{gone} of {labels}" for labels, gone in cases))
    title = "Inter-reward of a video by its labels that are removed, 25 classes"
    return Block(title, heads, tuple(rows))


def _blocks(found: Signal) -> list[Block]:
    """Returns the measurement as tables."""
    heads = ("labels", "a / v", *MEASURES.values())
    tables = []
    for when in dict.fromkeys(effect.when for effect in found.steps):
        rows = tuple(_row(effect, "+") for effect in found.steps if effect.when == when)
        tables.append(Block(f"Difference to a step on all labels: {when} (sd)", heads, rows))
    rows = tuple(_row(effect, "") for effect in found.episodes)
    tables.append(Block("One episode of 32 steps from a fresh network (sd)", heads, rows))
    rows = tuple(
        (name, f"{audio:.3f}", f"{visual:.3f}") for name, (audio, visual) in found.inter.items()
    )
    heads = ("labels", "audio", "visual")
    inter = Block("Mean inter-reward of the training videos", heads, rows)
    return [*tables, inter, brakes()]


def _report(found: Signal) -> dict[str, Any]:
    """Returns everything JSON-ready."""
    lines = [
        {
            "when": effect.when,
            "labels": effect.labels,
            "removed_per_batch": list(effect.removed),
            "measures": {
                name: {"mean": spread.mean, "sd": spread.sd}
                for name, spread in effect.measures.items()
            },
        }
        for effect in (*found.steps, *found.episodes)
    ]
    return {
        "command": found.command,
        "data": found.data,
        "inter_reward": {name: list(values) for name, values in found.inter.items()},
        "silence": dict(zip(("segment_audio", "event_visual"), found.silence, strict=True)),
        "effects": lines,
    }


def page(found: Signal) -> Page:
    """Returns the measurement as tables for the terminal and for files."""
    audio, visual = found.silence
    return Page(
        title="What a step's labels do to the reward",
        command=found.command,
        blocks=tuple(_blocks(found)),
        remarks=(
            f"a / v: removed audio and visual labels per batch of {found.batch} videos, in "
            "brackets standard deviations between batches or networks.",
            "seg A and ev V: the scores that reward the two branches, in percent (the paper pays a "
            "tenth of them); -BCE: 100 times the mean log-likelihood, video and segment level.",
            "step to step: how the same value moves between neighbouring steps on all labels.",
            f"Predicting nothing scores {audio:.1f} in seg A and {visual:.1f} in ev V: a video "
            "without events counts as right.",
        ),
        sheet=_sheet(found),
        report=_report(found),
    )


def _sheet(found: Signal) -> str:
    """Returns the effects and the inter-reward, a value a row."""
    rows: list[Sequence[str | float]] = [("when", "labels", "measure", "mean", "sd")]
    for effect in (*found.steps, *found.episodes):
        place = effect.when, effect.labels
        for modality, count in zip(MODALITIES, effect.removed, strict=True):
            rows.append((*place, f"removed_{modality}", count, ""))
        for name, spread in effect.measures.items():
            rows.append((*place, name, spread.mean, "" if spread.sd is None else spread.sd))
    for labels, rewards in found.inter.items():
        for modality, value in zip(MODALITIES, rewards, strict=True):
            rows.append(("", labels, f"inter_reward_{modality}", value, ""))
    return sheet_text(rows, ",")


def _row(effect: Effect, sign: str) -> tuple[str, ...]:
    cells = []
    for name, spread in effect.measures.items():
        # Differences of F-scores go to hundredths, those of likelihoods to thousandths.
        digits = 1 if not sign else 3 if name.endswith("likelihood") else 2
        deviation = "" if spread.sd is None else f" ({spread.sd:.{digits}f})"
        cells.append(f"{spread.mean:{sign}.{digits}f}{deviation}")
    return (effect.labels, "{:.0f} / {:.0f}".format(*effect.removed), *cells)


def _minus(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: one[name] - other[name] for name in one}


def _spreads(found: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    return {name: Spread.of([values[name] for values in found]) for name in MEASURES}


def _mean(counts: Sequence[Tensor]) -> tuple[float, float]:
    audio, visual = torch.stack(list(counts)).double().mean(0).tolist()
    return audio, visual
