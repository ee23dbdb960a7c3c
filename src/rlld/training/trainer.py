"""The one training loop: a recipe on a data set, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.split import Split
from rlld.denoisers._given import Given
from rlld.denoisers.base import Context, Denoiser
from rlld.errors import RlldError
from rlld.metrics.scores import named_score
from rlld.metrics.tags import TAGS
from rlld.networks.base import Network, Unimodal
from rlld.recipes import RECOMMENDED
from rlld.recipes.recipe import Recipe
from rlld.training import cache
from rlld.training.checkpoint import random_state, restore_random_state
from rlld.training.monitor import FiniteWatch, NotFiniteError, Totals
from rlld.training.optimizer import build_optimizer
from rlld.training.order import draw_lessons, of_one_length, round_batches
from rlld.training.predict import predict_split
from rlld.training.speed.cuda_graphs import Captured
from rlld.training.step import Alone, NetworkStep, Part, lesson_of, take_step
from rlld.training.validation import KeptParts, Validation, partition, possible
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute, make_recordable, require_seed, set_rate
from rlld.utils.stopping import repeatable

Report = dict[str, Any]


class Trainer:
    """The state of a run in memory and what one step does to it.

    Every source of chance is a generator of the run, so that ``state_dict`` after any step is
    enough to go on bit by bit as if nothing had happened.

    Args:
        recipe: What to train.
        train: The training split.
        validation: The validation split; without dense annotation its tags select, without any
            video the last weights are kept. None trains for a denoiser: nothing is validated.
        seed: Seed of the run.
        compute: Device and precision.
        denoiser: Labels to train on instead of the recipe's denoiser.
        networks: Folder where networks that are trained for the denoiser are kept for other runs.
        teachers: Annotated videos that teach in every step where none validate.

    Attributes:
        network: The task network.
        denoiser: The source of labels.
        updates: Steps done.
        unimodal: Whether ``Network.unimodal`` is trained instead of the whole network.
        teachers: Annotated videos that teach the network in every step; None where none do.
        best: Kept round: ``score``, ``round``, ``scores`` and the ``weights`` of the network and
            the ``denoiser`` networks; empty before the first validation.
        parts: Kept parts of the network that have a score of their own.

    Raises:
        RlldError: If the validation split is the test split, or has no dense annotation where
            the recipe needs it.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: Split,
        validation: Split | None,
        seed: int,
        compute: Compute,
        denoiser: Denoiser | None = None,
        networks: Path | None = None,
        teachers: Split | None = None,
    ) -> None:
        require_seed(seed)
        self.recipe, self.seed, self.compute = recipe, seed, compute
        self._networks = networks
        self.rule = recipe.selection
        self.rule.require_known()
        self.device = compute.torch_device
        device, dtype = self.device, compute.dtype
        self.train = train.to(device, dtype)
        self.selection, self.reward = None, None
        if validation is not None:
            self.rule = rule = possible(recipe.selection, validation)
            reward, selection = partition(validation, rule.reward_share, seed, rule.annotated)
            self.selection = Validation(selection.to(device, dtype), rule)
            same = reward is selection
            self.reward = self.selection if same else Validation(reward.to(device, dtype))
        self.schedule, self.videos = recipe.schedule, len(train)
        self.updates, self.totals, self.best = 0, Totals(), Report()
        self.unimodal, self.fitted, self.teachers = False, 0, teachers
        self.watch = FiniteWatch()
        self._fresh_network(seed)
        self.parts = KeptParts(self.rule, self.network, recipe.network.name)
        self.denoiser = denoiser or recipe.build_denoiser(train.spec)
        self.denoiser.attach(partial(recipe.build_network, train.spec))
        self._require_dense()
        if self.reward is not None:
            split = self.reward.split
            self.teachers = split if recipe.supervision.weight and len(split) else None
            self.denoiser.prepare(Context(self.train, split, seed, device, self.fit, self.teachers))
        self._forget_recordings()

    @property
    def total_updates(self) -> int:
        """Steps of the whole run."""
        return self.schedule.total_updates(self.videos)

    @property
    def round(self) -> int:
        """The round of the next step, 0-based."""
        return self.updates // self.schedule.steps_per_round(self.videos)

    def fit(
        self,
        labels: ModalityLabels,
        share: float = 1.0,
        videos: Tensor | None = None,
        unimodal: bool = False,
        settings: Mapping[str, Any] | None = None,
        start: Network | None = None,
        teachers: Split | None = None,
    ) -> Network:
        """Trains a fresh network of the same recipe; see ``rlld.denoisers.base.Fit``."""
        before = random_state(self.device)
        train = self.train
        if videos is not None:
            train, labels = train.subset(videos), labels.at(videos)
        updates = max(1, round(share * self.total_updates))
        # Tracks are paired only where labels were made right for each of them.
        own = {"schedule.updates": updates, "schedule.mixing": 0.0, "schedule.ensemble": 1}
        recipe = self.recipe.varied({**(settings or {}), **own})
        inner = Trainer(recipe, train, None, self.seed, self.compute, Given(labels), None, teachers)
        inner.unimodal = unimodal
        weights = None if start is None else start.state_dict()
        if weights is not None:
            inner.network.load_state_dict(weights)
        if self._networks is None:
            inner.finish()
        else:
            key = cache.training_key(recipe, train, labels, self.seed, unimodal, weights, teachers)
            if not cache.take(self._networks, key, inner.network):
                inner.finish()
                cache.keep(self._networks, key, inner.network)
        restore_random_state(before, self.device)
        self.fitted += _count(inner.network)
        return inner.network.eval()

    @property
    def trained_parameters(self) -> int:
        """Parameters of task network, loss, the denoiser's policies and of all that was fitted."""
        learning = [self.network, self.objective, *self.denoiser.networks().values()]
        return self.fitted + sum(map(_count, learning))

    def finish(self) -> None:
        """Runs all steps that are left, for a denoiser that waits for the network."""
        for _ in repeatable("training a network", self.steps(), self.total_updates):
            pass

    def steps(self) -> Iterator[Report | None]:
        """Runs the steps that are left.

        Yields:
            After each step the report of its round if it was the round's last, otherwise None.
        """
        while self.updates < self.total_updates:
            number = self.round
            left = self.start(number)
            for position, inputs in enumerate(left, start=1):
                self._step(*inputs)
                yield self.end_round(number) if position == len(left) else None

    def start(self, number: int) -> list[tuple[Tensor, ...]]:
        """Starts a round, or what is left of it.

        Returns:
            The inputs of its steps, see ``part``.
        """
        done = self.updates - number * self.schedule.steps_per_round(self.videos)
        if done == 0:
            self._start_round(number)
        set_rate(self.optimizer, self.schedule.rate(number, self.videos))
        self.objective.start_round(number)
        return self._inputs(number, done)

    def note(self, names: tuple[str, ...], values: Tensor) -> None:
        """Counts a step and keeps its figures (F,)."""
        self.totals.add(names, values)
        self.watch.see(self.updates, names, values)
        self.updates += 1

    def restore_best(self) -> None:
        """Puts the selected weights into the network and the denoiser's networks."""
        self.network.load_state_dict({**self.best["weights"], **self.parts.weights()})
        if self.parts.kept:
            # Parts of several rounds were never judged together.
            self.best["scores"] = _numbers(self.scores(self.selection))
        modules = self.denoiser.networks()
        for name, weights in self.best["denoiser"].items():
            modules[name].load_state_dict(weights)

    def require_finite(self) -> None:
        """Waits for the device and looks at the steps since the last call.

        Raises:
            NotFiniteError: If a loss, a reward or a gradient was NaN or infinite.
        """
        broken = self.watch.first_broken()
        if broken is None:
            return
        number, place = divmod(broken.step, self.schedule.steps_per_round(self.videos))
        index = self._batches(number)[place]
        ids = ", ".join(self.train.ids[i] for i in index.tolist())
        raise NotFiniteError(
            f"update {broken.step + 1} (round {number}, step {place}): not finite in "
            f"{', '.join(broken.names)}; look at the features of its batch ('rlld data check'), or "
            f"lower schedule.learning_rate or denoiser.lr; its videos: {ids}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that changes during a run, tensors and plain values only."""
        return {
            "updates": self.updates,
            "network": self.network.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "denoiser": self.denoiser.state_dict(),
            "totals": self.totals.sums,
            "count": self.totals.count,
            "best": self.best,
            "parts": self.parts.kept,
            "fitted": self.fitted,
            "random": random_state(self.device),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])
        self.objective.load_state_dict(state["objective"])
        # Settings stay those of this device; the state may come from another one.
        groups = self.optimizer.state_dict()["param_groups"]
        moments = state["optimizer"]["state"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.denoiser.load_state_dict(state["denoiser"])
        self.totals = Totals(state["totals"], state["count"])
        self.best, self.parts.kept = state["best"], state["parts"]
        self.fitted = state["fitted"]
        restore_random_state(state["random"], self.device)
        self._forget_recordings()

    def _fresh_network(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = self.recipe.build_parser(self.train.spec).to(self.device)
        self.network.prepare(self.train.folder)
        objective = self.recipe.build_objective(self.train.spec)
        objective.prepare(self.videos)
        self.objective = objective.to(self.device)
        self.optimizer = build_optimizer(self.schedule, self.network, self.objective)
        make_recordable(self.optimizer)

    def _forget_recordings(self) -> None:
        """Records anew from here: what the recordings read and change was replaced."""
        parts = (self.denoiser, self.network, self.objective)
        graphs = self.compute.records and all(part.replayable for part in parts)
        graphs = graphs and of_one_length(self.train, self.selection, self.reward, self.teachers)
        drawn = self.denoiser.generators()
        title = f"training {self.recipe.name}"
        self._full_step = Captured(self._take, title, graphs, drawn)
        title = f"validating {self.recipe.name}"
        self._validated = Captured(self._selected_scores, title, graphs, (), self._full_step)

    def _batches(self, number: int) -> list[Tensor]:
        lengths = self.train.lengths
        return list(round_batches(self.schedule, self.videos, self.seed, number, lengths))

    def _inputs(self, number: int, done: int) -> list[tuple[Tensor, ...]]:
        """Returns the inputs of each step of a round: videos, and annotated ones that teach."""
        batches = self._batches(number)
        left = batches[done : done + self.total_updates - self.updates]
        drawn = [_on_device(left, self.device)]
        if self.teachers is not None:
            updates = range(self.updates, self.updates + len(left))
            count = self.recipe.supervision.batch_size
            lessons = draw_lessons(count, self.teachers, self.seed, updates)
            drawn.append(_on_device(lessons, self.device))
        return list(zip(*drawn, strict=True))

    def _start_round(self, number: int) -> None:
        if self.denoiser.fresh_network_each_round and number > 0:
            self._fresh_network(self.seed * 1_000_003 + number)
            self._forget_recordings()
        self.totals = Totals()

    def _step(self, index: Tensor, *annotated: Tensor) -> None:
        self.network.train()
        self.denoiser.advance(len(index))
        full = len(index) == min(self.schedule.batch_size, self.videos)
        values = (self._full_step if full else self._take)(index, *annotated)
        self.note(self._names, values)

    def part(self, index: Tensor, *annotated: Tensor) -> Part:
        """Returns what the run brings to a step.

        Args:
            index: The videos (B,).
            annotated: Those of ``teachers`` that teach in this step, if any (b,).
        """
        batch = self.train.batch(index)
        network = Unimodal(self.network) if self.unimodal else self.network
        lesson = None
        if annotated and self.teachers is not None:
            lesson = lesson_of(self.recipe.supervision, self.teachers, *annotated)
        task = NetworkStep(
            network, self.objective, self.optimizer, self.compute, lesson, self.schedule.mixing
        )
        return Part(self.denoiser, task, batch)

    def _take(self, index: Tensor, *annotated: Tensor) -> Tensor:
        """Takes a step without waiting for the device; a GPU may record and replay it.

        Returns:
            Its figures, float64; their names go to ``_names``.
        """
        network = Alone(self.network, lambda: self.scores(self.reward))
        self._names, (figures,) = take_step([self.part(index, *annotated)], network)
        return figures

    def scores(
        self, validation: Validation | None, network: Network | None = None
    ) -> dict[str, Tensor]:
        """Returns what a network, the run's own or another, scores on validation videos if any."""
        if validation is None:
            return {}
        with self.compute.autocast():
            prediction = predict_split(network or self.network, validation.split)
        return validation.scores(prediction, self.recipe.gate)

    def _selected_scores(self) -> Tensor:
        """Returns the scores that select; their names go to ``_score_names``."""
        scores = self.scores(self.selection)
        self._score_names = tuple(scores)
        return torch.stack([value.double() for value in scores.values()])

    def _selection_score(self, scores: dict[str, float]) -> float:
        name = self.rule.score
        if name == TAGS:
            return scores[TAGS]
        return 0.0 if name == "last" or not scores else named_score(scores, name)

    def _require_dense(self) -> None:
        """Refuses a recipe that dense annotation has to steer where there is none."""
        if self.reward is None or self.reward.split.dense is not None:
            return
        name = self.recipe.denoiser.name
        needs = [f"denoiser {name}"] * self.denoiser.needs_dense
        needs += ["supervision"] * (self.recipe.supervision.weight > 0 and self.rule.annotated != 0)
        if needs:
            raise RlldError(
                f"recipe {self.recipe.name}: {' and '.join(needs)} learns from dense annotation of "
                f"validation videos, and data set {self.train.spec.name!r} has none; train "
                f"{RECOMMENDED}, which can do without, or annotate some (docs/annotate.md)"
            )

    def end_round(self, number: int) -> Report:
        """Validates, keeps the weights if they are the best, and returns what is to be logged."""
        self.require_finite()
        figures = {**self.totals.means(), **_numbers(self.denoiser.end_of_round())}
        scores = {}
        if self.selection is not None and len(self.selection.split):
            values = self._validated().tolist()
            scores = dict(zip(self._score_names, values, strict=True))
        self.parts.see(self.network, number, scores)
        score = self._selection_score(scores)
        selected = self.rule.better(score, self.best.get("score"))
        if selected:
            # Networks that stay as they are need not be kept as they were in this round.
            fixed = self.denoiser.networks_are_fixed
            parts = () if fixed else self.denoiser.networks().items()
            self.best = {
                "score": score,
                "round": number,
                "updates": self.updates,
                "scores": scores,
                "weights": _copy(self.network.state_dict()),
                "denoiser": {name: _copy(module.state_dict()) for name, module in parts},
            }
        return {
            "round": number,
            "updates": self.updates,
            "learning_rate": self.schedule.rate(number, self.videos),
            **figures,
            "validation": scores,
            "selected": selected,
        }


def _count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters() if each.requires_grad)


def _on_device(drawn: list[Tensor], device: torch.device) -> tuple[Tensor, ...]:
    """Copies index tensors at once, so that no step waits for a copy."""
    return tuple(torch.split(torch.cat(drawn).to(device), [len(each) for each in drawn]))


def _numbers(figures: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
