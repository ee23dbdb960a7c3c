"""Several seeds of one recipe at once: their task networks are the rows of one stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.training.order import of_one_length
from rlld.training.speed.cuda_graphs import Captured
from rlld.training.speed.ensemble import (
    Way,
    predict_stack,
    stack_rows,
    stacked_call,
    stacked_optimizer,
)
from rlld.training.step import Lesson, Part, Seen, take_step
from rlld.training.trainer import Report, Trainer
from rlld.types import Batch, ModalityLabels
from rlld.utils.compute import set_rate


class Lockstep:
    """Takes each step of several runs together.

    The networks, their optimizers and the validation that rewards are computed as one stack;
    denoisers act one after the other. Without dropout every run is what it would be alone, within
    rounding; with it the runs draw other masks from the same distribution.

    Args:
        trainers: Runs of one recipe on one data set that differ in their seeds.

    Raises:
        RlldError: If the recipe cannot be trained that way.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        self.trainers = list(trainers)
        self.first = self.trainers[0]
        for trainer in self.trainers:
            _require_stackable(trainer)
        self._join()

    def steps(self) -> Iterator[list[Report] | None]:
        """Runs the steps that are left.

        Yields:
            After each step the reports of its round, one for each run, if it was the last of the
            round, otherwise None.
        """
        first = self.first
        while first.updates < first.total_updates:
            number = first.round
            rows = zip(*(trainer.start(number) for trainer in self.trainers), strict=True)
            set_rate(self.optimizer, first.schedule.rate(number, first.videos))
            steps = list(rows)
            for position, inputs in enumerate(steps, start=1):
                self._step(*map(torch.stack, zip(*inputs, strict=True)))
                last = position == len(steps)
                yield [each.end_round(number) for each in self.trainers] if last else None

    def require_finite(self) -> None:
        """Looks at the steps of every run since the last call; see ``Trainer``."""
        for trainer in self.trainers:
            trainer.require_finite()

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that changes; what the runs share is kept once by ``torch.save``."""
        for number, trainer in enumerate(self.trainers):
            for name, parameter in trainer.network.named_parameters():
                moments = self.optimizer.state.get(self.stack[name])
                if moments:
                    trainer.optimizer.state[parameter] = {
                        key: value if key == "step" else value[number]
                        for key, value in moments.items()
                    }
        return {"runs": [trainer.state_dict() for trainer in self.trainers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        for trainer, own in zip(self.trainers, state["runs"], strict=True):
            trainer.load_state_dict(own)
        self._join()

    def _join(self) -> None:
        first = self.first
        self.stack = stack_rows([trainer.network for trainer in self.trainers])
        places: dict[Tensor, Tensor] = {
            parameter: self.stack[name] for name, parameter in first.network.named_parameters()
        }
        optimizers = [trainer.optimizer for trainer in self.trainers]
        self.optimizer = stacked_optimizer(optimizers, places)
        drawn = [each for trainer in self.trainers for each in trainer.denoiser.generators()]
        title = f"training {len(self.trainers)} seeds of {first.recipe.name}"
        self._full_step = Captured(self._take, title, first.compute.records, drawn)
        self._names: tuple[str, ...] = ()

    def _step(self, index: Tensor, *annotated: Tensor) -> None:
        for trainer in self.trainers:
            trainer.network.train()
            trainer.denoiser.advance(index.shape[1])
        full = index.shape[1] == min(self.first.schedule.batch_size, self.first.videos)
        values = (self._full_step if full else self._take)(index, *annotated)
        for trainer, row in zip(self.trainers, values.unbind(), strict=True):
            trainer.note(self._names, row)

    def _take(self, index: Tensor, *annotated: Tensor) -> Tensor:
        """Takes one step of every run; see ``Trainer``.

        Args:
            index: The videos of each run (K, B).
            annotated: Validation videos that teach in this step, if any (K, b).

        Returns:
            Figures (K, F), float64; their names go to ``_names``.
        """
        rows = zip(self.trainers, *(index, *annotated), strict=True)
        self._names, figures = take_step([run.part(*row) for run, *row in rows], self)
        return torch.stack(figures)

    def look(self, parts: Sequence[Part]) -> tuple[Seen, Seen]:
        """Returns what each denoiser asked to see, and each network's prediction."""
        streams = _stacked_streams([part.batch for part in parts])
        denoiser = self.first.denoiser
        with torch.enable_grad():
            if denoiser.wants_prediction and denoiser.unimodal_prediction:
                both = stacked_call(self.first.network, self.stack, streams, "with_unimodal")
                return [each[0] for each in both], [each[1] for each in both]
            seen: Seen = [None] * len(parts)
            if denoiser.wants_prediction:
                with torch.no_grad():
                    looked = stacked_call(self.first.network, self.stack, streams)
                seen = [each[0] for each in looked]
            way: Way = "unimodal" if self.first.unimodal else "forward"
            found = stacked_call(self.first.network, self.stack, streams, way)
            return seen, [each[0] for each in found]

    def take(
        self, parts: Sequence[Part], labels: Sequence[ModalityLabels], predictions: Seen
    ) -> list[dict[str, Tensor]]:
        """Takes the step of all networks at once."""
        with torch.enable_grad():
            with self.first.compute.autocast():
                losses = [
                    part.task.objective(prediction, target, part.batch)
                    for part, prediction, target in zip(parts, predictions, labels, strict=True)
                    if prediction is not None
                ]
                losses = self._with_lessons(losses, [part.task.lesson for part in parts])
            self.optimizer.zero_grad(set_to_none=True)
            torch.stack([each["loss"] for each in losses]).sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return [{name: value.detach() for name, value in each.items()} for each in losses]

    def _with_lessons(
        self, losses: list[dict[str, Tensor]], taught: Sequence[Lesson | None]
    ) -> list[dict[str, Tensor]]:
        lessons = [lesson for lesson in taught if lesson is not None]
        if not lessons:
            return losses
        streams = _stacked_streams([lesson.batch for lesson in lessons])
        found = stacked_call(self.first.network, self.stack, streams)
        return [
            lesson.added(own, each[0])
            for lesson, own, each in zip(lessons, losses, found, strict=True)
        ]

    def rewards(self) -> list[dict[str, Tensor]]:
        """Returns the scores of each run on its reward videos."""
        rewards = [run.reward for run in self.trainers if run.reward is not None]
        compute, gate = self.first.compute, self.first.recipe.gate
        if any(reward.split.ids != rewards[0].split.ids for reward in rewards):
            return [run.scores(run.reward) for run in self.trainers]
        with compute.autocast():
            found = predict_stack(self.first.network, self.stack, rewards[0].split)
        return [rewards[0].scores(prediction, gate) for prediction in found]

    def gradient_norms(self) -> Sequence[Tensor]:
        """Returns the norm of the gradient of each network."""
        gradients = [value.grad for value in self.stack.values() if value.grad is not None]
        norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
        total: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        return total.unbind()


def _stacked_streams(batches: list[Batch]) -> dict[str, Tensor]:
    return {
        name: torch.stack([batch.streams[name] for batch in batches]) for name in batches[0].streams
    }


def _require_stackable(trainer: Trainer) -> None:
    denoiser, recipe = trainer.denoiser, trainer.recipe
    parts = {
        # First, for an ensemble is a network that cannot be stacked either.
        "schedule.ensemble": recipe.schedule.ensemble == 1,
        f"denoiser {recipe.denoiser.name}": denoiser.replayable,
        f"network {recipe.network.name}": trainer.network.replayable and trainer.network.stackable,
        f"objective {recipe.objective.name}": trainer.objective.replayable
        and not list(trainer.objective.parameters()),
        "a fresh network in each round": not denoiser.fresh_network_each_round,
        "schedule.clip_norm": recipe.schedule.clip_norm is None,
        "schedule.mixing": not recipe.schedule.mixing,
        "videos of any length": of_one_length(trainer.train, trainer.selection, trainer.reward),
    }
    for part, fits in parts.items():
        if not fits:
            raise RlldError(
                f"recipe {recipe.name}: several seeds cannot be trained at once with {part}; train "
                "one seed after the other"
            )
