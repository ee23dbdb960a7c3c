"""One step: what denoiser, task network and annotated videos do in it, and in what order.

The task network's part of it is taken by the loop, and tried by denoisers that reward through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.denoisers.base import Denoiser
from rlld.networks._ensemble import members_of
from rlld.networks.base import Network
from rlld.objectives._bce import clamped_bce
from rlld.objectives.base import Objective
from rlld.recipes.supervision import Supervision
from rlld.training.checkpoint import random_state, restore_random_state
from rlld.training.mixing import crossed
from rlld.training.monitor import gradient_norm
from rlld.training.predict import predict_split
from rlld.training.speed.ensemble import predict_stack, stacked_optimizer
from rlld.types import AUDIO, VISUAL, Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute

Seen = list[Prediction | None]
"""A prediction for each run, where there is one."""


@dataclass(frozen=True)
class Lesson:
    """The annotated videos of one step.

    Attributes:
        weight: Weight of their loss.
        batch: The videos.
        dense: Their events (b, T, 2, C), bool; T is that of the batch.
    """

    weight: float
    batch: Batch
    dense: Tensor

    def added(self, losses: dict[str, Tensor], prediction: Prediction) -> dict[str, Tensor]:
        """Returns the losses of a step with the weighted dense loss in ``loss``.

        Args:
            losses: What the objective returned.
            prediction: What the task network, in training mode, says of these videos.
        """
        found = dense_loss(prediction, self.dense)
        return {**losses, "loss": losses["loss"] + self.weight * found, "supervision": found}


@dataclass(frozen=True)
class NetworkStep:
    """What one step needs; see ``rlld.denoisers.base.TaskStep``.

    Attributes:
        network: The task network.
        objective: Its loss.
        optimizer: What moves both.
        compute: Device and precision.
        lesson: What annotated videos teach in this step.
        mixing: Share of the videos that get the pictures of another.
    """

    network: Network
    objective: Objective
    optimizer: torch.optim.Optimizer
    compute: Compute
    lesson: Lesson | None = None
    mixing: float = 0.0

    def take(
        self, batch: Batch, labels: ModalityLabels, prediction: Prediction | None = None
    ) -> dict[str, Tensor]:
        """Takes one step.

        Args:
            batch: The videos.
            labels: Their targets.
            prediction: What the network says of them, with gradient, if it was asked already;
                never of an ensemble, each of which learns from what it says itself.

        Returns:
            The losses, whose gradients stay with the parameters.
        """
        members = members_of(self.network)
        with torch.enable_grad():
            with self.compute.autocast():
                seen = (each(batch.streams, batch.mask) for each in members)
                found = [*seen] if prediction is None else [prediction]
                first = _mean([self.objective.leading(each, labels, batch) for each in found])
            if first:
                self._descend(torch.stack([*first.values()]).sum())
            with self.compute.autocast():
                losses = [*self._losses(members, found, labels, batch)]
            # The sum, so that each takes the step that it would take alone.
            self._descend(torch.stack([each["loss"] for each in losses]).sum())
        return {name: value.detach() for name, value in {**_mean(losses), **first}.items()}

    def _losses(
        self,
        members: Sequence[Network],
        found: Sequence[Prediction],
        labels: ModalityLabels,
        batch: Batch,
    ) -> Iterator[dict[str, Tensor]]:
        """Yields the losses of each network, all in the same step of the objective."""
        buffers = self.objective.buffers() if len(members) > 1 else ()
        counts = [(value, value.clone()) for value in buffers]
        for network, prediction in zip(members, found, strict=True):
            _put_back(counts)
            yield self._with_lesson(self.objective(prediction, labels, batch), network)

    def _descend(self, loss: Tensor) -> None:
        """Moves the parameters that a loss depends on; an optimizer passes over all others."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def predict(self, split: Split) -> Prediction:
        """Predicts a split in evaluation mode, as float32."""
        with self.compute.autocast():
            return predict_split(self.network, split)

    def trials(
        self, batch: Batch, choices: Sequence[ModalityLabels], split: Split
    ) -> list[Prediction]:
        """Predicts a split after each of several steps, all from here, and takes them back."""
        hooked = bool(self.optimizer._optimizer_step_pre_hooks)
        alike = batch.mask is None and split.lengths is None
        # Networks of the objective would have to learn from each of the labels, too.
        alike = alike and not list(self.objective.parameters())
        if self.compute.stacks and self.network.stackable and alike and not hooked:
            return self._stacked_trials(batch, choices, split)
        found = []
        for labels in choices:
            with self.trial(batch, labels):
                found.append(self.predict(split))
        return found

    def _stacked_trials(
        self, batch: Batch, choices: Sequence[ModalityLabels], split: Split
    ) -> list[Prediction]:
        """Takes all steps at once: one forward pass, for only the labels differ."""
        chance = random_state(self.compute.torch_device)
        buffers = [(value, value.clone()) for value in self.network.buffers()]
        counts = [(value, value.clone()) for value in self.objective.buffers()]
        named = dict(self.network.named_parameters())
        with torch.enable_grad():
            with self.compute.autocast():
                found = self.network(batch.streams)
                losses = []
                drawn = random_state(self.compute.torch_device)
                for labels in choices:
                    # All choices are tried as the same step, what the loss draws included.
                    restore_random_state(drawn, self.compute.torch_device)
                    losses.append(self.objective(found, labels, batch))
                    _put_back(counts)
                nothing = {"loss": losses[0]["loss"].new_zeros(())}
                taught = self._with_lesson(nothing, self.network)["loss"]
            total = torch.stack([each["loss"] + taught for each in losses])
            gradients = torch.autograd.grad(
                total,
                list(named.values()),
                torch.eye(len(choices), dtype=total.dtype, device=total.device),
                is_grads_batched=True,
                allow_unused=True,
            )
        state = {
            name: torch.stack([value.detach()] * len(choices))
            for name, value in self.network.state_dict(keep_vars=True).items()
        }
        for name, gradient in zip(named, gradients, strict=True):
            # A fused optimizer takes for granted that both lie in memory alike.
            state[name].grad = None if gradient is None else gradient.contiguous()
        places: dict[Tensor, Tensor] = {value: state[name] for name, value in named.items()}
        stacked_optimizer([self.optimizer] * len(choices), places).step()
        _put_back(buffers)
        restore_random_state(chance, self.compute.torch_device)
        with self.compute.autocast():
            return predict_stack(self.network, state, split)

    def _with_lesson(self, losses: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
        if self.lesson is None:
            return losses
        taught = self.lesson.batch
        return self.lesson.added(losses, network(taught.streams, taught.mask))

    @contextmanager
    def trial(self, batch: Batch, labels: ModalityLabels) -> Iterator[None]:
        """Takes a step within the context and takes it back at its end, bit by bit."""
        # The tensors of a state dict share the memory of the parameters and buffers.
        live = [*self.network.state_dict().values(), *self.objective.state_dict().values()]
        kept = [value.clone() for value in live]
        moments = {
            parameter: {name: value.clone() for name, value in entry.items()}
            for parameter, entry in self.optimizer.state.items()
        }
        chance = random_state(self.compute.torch_device)
        try:
            self.take(batch, labels)
            yield
        finally:
            for value, before in zip(live, kept, strict=True):
                value.copy_(before)
            self.optimizer.zero_grad(set_to_none=True)
            self.optimizer.state.clear()
            self.optimizer.state.update(moments)
            restore_random_state(chance, self.compute.torch_device)


def _mean(rows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the mean of the figures of networks."""
    if len(rows) == 1:
        return rows[0]
    return {name: torch.stack([each[name] for each in rows]).mean(0) for name in rows[0]}


class Part(NamedTuple):
    """What one run brings to a step.

    Attributes:
        denoiser: The source of its labels.
        task: The step of its task network.
        batch: Its videos.
    """

    denoiser: Denoiser
    task: NetworkStep
    batch: Batch


class Networks(Protocol):
    """The task networks of the runs that take a step: one by itself, or K as one stack."""

    def look(self, parts: Sequence[Part]) -> tuple[Seen, Seen]:
        """Returns what each denoiser asked to see, and the step's predictions that came along."""

    def take(
        self, parts: Sequence[Part], labels: Sequence[ModalityLabels], predictions: Seen
    ) -> list[dict[str, Tensor]]:
        """Takes the step; returns the losses of each run."""

    def rewards(self) -> list[dict[str, Tensor]]:
        """Returns the scores of each run on its reward videos."""

    def gradient_norms(self) -> Sequence[Tensor]:
        """Returns the norm of the gradient that each network took."""


@dataclass(frozen=True)
class Alone:
    """The task network of one run, by itself; see ``Networks``.

    Attributes:
        network: The task network.
        score: Scores it on the reward videos.
    """

    network: Network
    score: Callable[[], dict[str, Tensor]]

    def look(self, parts: Sequence[Part]) -> tuple[Seen, Seen]:
        """Returns what the denoiser asked to see, and the step's prediction if that came along."""
        ((denoiser, _, batch),) = parts
        if not denoiser.wants_prediction:
            return [None], [None]
        unimodal = denoiser.unimodal_prediction
        if unimodal and len(members_of(self.network)) == 1:
            seen, prediction = self.network.with_unimodal(batch.streams, batch.mask)
            return [seen], [prediction]
        with torch.no_grad():
            look = self.network.unimodal if unimodal else self.network
            return [look(batch.streams, batch.mask)], [None]

    def take(
        self, parts: Sequence[Part], labels: Sequence[ModalityLabels], predictions: Seen
    ) -> list[dict[str, Tensor]]:
        """Takes the step."""
        rows = zip(parts, labels, predictions, strict=True)
        return [part.task.take(part.batch, target, found) for part, target, found in rows]

    def rewards(self) -> list[dict[str, Tensor]]:
        """Returns the scores on the reward videos."""
        return [self.score()]

    def gradient_norms(self) -> Sequence[Tensor]:
        """Returns the norm of the gradient."""
        return [gradient_norm(self.network.parameters())]


def take_step(parts: Sequence[Part], networks: Networks) -> tuple[tuple[str, ...], list[Tensor]]:
    """Takes one step of runs of one recipe without waiting for the device.

    Args:
        parts: What each run brings; denoisers act one after the other.
        networks: Their task networks, which may act as one.

    Returns:
        Names of the figures, and the figures of each run (F,), float64.
    """
    denoisers = [part.denoiser for part in parts]
    for denoiser, task, _ in parts:
        denoiser.before_step(task)
    with parts[0].task.compute.autocast():
        seen, predictions = networks.look(parts)
        labels = [
            denoiser.revise(batch, own).of(batch.tracks)
            for (denoiser, _, batch), own in zip(parts, seen, strict=True)
        ]
    if any(part.task.mixing for part in parts):
        # What was asked before was said of the videos as they are.
        parts, labels, predictions = _mixed(parts, labels)
    figures = networks.take(parts, labels, predictions)
    for denoiser, own in zip(denoisers, figures, strict=True):
        own.update(denoiser.after_step())
    if denoisers[0].wants_feedback:
        for denoiser, own, scores in zip(denoisers, figures, networks.rewards(), strict=True):
            own.update(denoiser.feedback(scores))
    for own, norm in zip(figures, networks.gradient_norms(), strict=True):
        own["gradient"] = norm
    rows = [torch.stack([value.double() for value in own.values()]) for own in figures]
    return tuple(figures[0]), rows


def _mixed(
    parts: Sequence[Part], labels: Sequence[ModalityLabels]
) -> tuple[list[Part], list[ModalityLabels], Seen]:
    pairs = [
        crossed(part.batch, own, part.task.mixing) for part, own in zip(parts, labels, strict=True)
    ]
    mixed = [part._replace(batch=batch) for part, (batch, _) in zip(parts, pairs, strict=True)]
    return mixed, [own for _, own in pairs], [None] * len(parts)


def _put_back(kept: Sequence[tuple[Tensor, Tensor]]) -> None:
    for value, before in kept:
        # Through ``data``, because a loss that was computed already may need the buffer.
        value.data.copy_(before)


def lesson_of(supervision: Supervision, videos: Split, index: Tensor) -> Lesson:
    """Returns what annotated videos teach in a step.

    Args:
        supervision: How much they teach.
        videos: All annotated videos, on the network's device.
        index: Those of the step (b,), as ``draw_annotated`` drew them, on that device.
    """
    batch = videos.batch(index)
    dense = batch.part(videos.require_dense())
    if supervision.mixing:
        present = dense.any(1).to(batch.labels)
        labels = ModalityLabels(present[:, AUDIO], present[:, VISUAL], batch.labels, dense)
        batch, labels = crossed(batch, labels, supervision.mixing)
        dense = dense if labels.segment is None else labels.segment
    return Lesson(supervision.weight, batch, dense)


def dense_loss(prediction: Prediction, dense: Tensor) -> Tensor:
    """Cross-entropy of every segment of a video, and of each video-level probability.

    Args:
        prediction: Of B videos.
        dense: Their events (B, T, 2, C), bool; a video has what any of its segments has.

    Returns:
        The sum of four means, a scalar: segments, audio, visual and fused probabilities.
    """
    present = dense.any(1)
    return (
        _segment_loss(prediction, dense)
        + clamped_bce(prediction.audio, present[:, AUDIO])
        + clamped_bce(prediction.visual, present[:, VISUAL])
        + clamped_bce(prediction.video, present.any(1))
    )


def _segment_loss(prediction: Prediction, dense: Tensor) -> Tensor:
    mask = prediction.mask
    if mask is None:
        return clamped_bce(prediction.segment, dense)
    return clamped_bce(prediction.segment[mask], dense[mask])
