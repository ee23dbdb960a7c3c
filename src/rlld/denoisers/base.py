"""What every label denoiser is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rlld.data.split import Split
from rlld.networks.base import Network
from rlld.types import Batch, ModalityLabels, Prediction


class Fit(Protocol):
    """Trains a fresh task network of the recipe; validation has no part in it."""

    def __call__(
        self,
        labels: ModalityLabels,
        share: float = 1.0,
        videos: Tensor | None = None,
        unimodal: bool = False,
        settings: Mapping[str, Any] | None = None,
        start: Network | None = None,
        teachers: Split | None = None,
    ) -> Network:
        """Trains and returns the network of the last step, in evaluation mode.

        Args:
            labels: Labels of the whole training split, (N, C) and (N, T, 2, C), on the run's
                device.
            share: Length of the training as a share of the recipe's updates, in (0, 1].
            videos: Training videos to train on (n,), int64; all when None.
            unimodal: Whether to train ``Network.unimodal`` instead of the whole network.
            settings: Dotted settings of the recipe that differ in this training; those for which
                its components have no option are passed over.
            start: Network of that kind whose weights the training starts from.
            teachers: Annotated videos that teach in every step, as ``supervision`` of the recipe
                and ``settings`` say.
        """


class TaskStep(Protocol):
    """The task network before a step of the loop, and what a denoiser may try on it."""

    @property
    def network(self) -> Network:
        """The task network, in training mode; whoever changes it puts it back bit by bit."""

    def predict(self, split: Split) -> Prediction:
        """Predicts a split in evaluation mode, in the precision of the run, as float32."""

    def trials(
        self, batch: Batch, choices: Sequence[ModalityLabels], split: Split
    ) -> list[Prediction]:
        """Predicts a split after each of several steps that the loop could take from here.

        The steps differ by their labels alone (dropout included), and from the loop's step too.
        Weights, optimizer and random state are afterwards what they were.

        Args:
            batch: The videos of all steps.
            choices: Their labels, one for each step.
            split: What is predicted after each, as ``predict`` does.
        """


class Build(Protocol):
    """Builds a task network of the recipe."""

    def __call__(self, settings: Mapping[str, Any] | None = None) -> Network:
        """Builds it.

        Args:
            settings: Components and dotted settings that are other than the recipe's.
        """


@dataclass(frozen=True)
class Context:
    """What the training loop hands to a denoiser once, before the first step.

    Attributes:
        train: The training split; a denoiser without ``uses_truth`` never looks at
            ``train.truth``.
        reward: The part of the validation split that may reward or teach the denoiser.
        seed: Seed of the run; a denoiser draws from its own generator.
        device: Where the tensors live.
        fit: Trains a fresh task network, for denoisers that need one (exchange, estimator, state
            network).
        teachers: Those of ``reward`` that teach the task network directly and may teach others,
            densely annotated; None where none do.
    """

    train: Split
    reward: Split
    seed: int
    device: torch.device
    fit: Fit
    teachers: Split | None = None


class Denoiser(ABC):
    """A source of labels for training.

    Its module ``rlld.denoisers.NAME`` holds a frozen dataclass ``Config`` with the options and
    ``build(spec: DataSpec) -> Denoiser``.

    Attributes:
        replayable: Whether ``before_step``, ``revise``, ``after_step`` and ``feedback`` do the same
            operations in every step but the first, on tensors that they change in place, so that a
            GPU can record a step and replay it without Python. What differs from step to step is
            set in ``advance``.
        wants_feedback: Whether the loop validates on the reward videos after every step and
            calls ``feedback``.
        wants_prediction: Whether ``revise`` needs the network's prediction for the batch, made in
            training mode before the step.
        unimodal_prediction: Whether that prediction is ``Network.unimodal``.
        learns_from_validation: Whether it learns from the annotation of the reward videos, so
            that their scores measure nothing.
        needs_dense: Whether it cannot do without dense annotation of the reward videos.
        fresh_network_each_round: Whether the task network starts anew at each epoch or episode.
        uses_truth: Whether it looks at the true events of the training videos, which are loaded for
            it alone.
        networks_are_fixed: Whether ``networks`` stay as they are once the training has begun.
    """

    replayable: bool = False
    wants_feedback: bool = False
    learns_from_validation: bool = False
    needs_dense: bool = False
    uses_truth: bool = False
    networks_are_fixed: bool = False
    fresh_network_each_round: bool = False

    def attach(self, build_network: Build) -> None:
        """Is told how to build a task network of the recipe, before ``prepare`` or ``networks``."""

    def prepare(self, context: Context) -> None:
        """Prepares once, before the first step; keeps nothing of ``context.train.truth``."""

    def generators(self) -> list[torch.Generator]:
        """Returns what its steps draw from, besides torch's own generator."""
        return []

    def advance(self, videos: int) -> None:
        """Is told, also where the step itself is replayed, that one of so many videos follows."""

    def before_step(self, task: TaskStep) -> None:
        """Is told that a step begins; ``revise`` may try steps on the task network."""

    @abstractmethod
    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels that the task network is trained on in this step.

        Args:
            batch: The videos.
            prediction: The network's prediction for them, without gradient, where the denoiser
                asked for it by ``wants_prediction``; otherwise None.
        """

    wants_prediction: bool = False
    unimodal_prediction: bool = False

    def after_step(self) -> dict[str, Tensor]:
        """Is told that the task network took the step; returns figures for the log."""
        return {}

    def feedback(self, scores: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Takes the validation scores (percent) after the step and learns from them.

        Args:
            scores: The ten scores by name (``segment_audio`` ... ``event_event``).

        Returns:
            Figures for the log (reward, keep rate ...), as zero-dimensional tensors.
        """
        return {}

    def keep_probability(self, batch: Batch) -> Tensor | None:
        """Returns how probable it is that each label is kept (B, 2, C), None if undefined.

        Values where the weak label is 0 have no meaning.
        """
        return None

    def training_keep(self) -> Tensor | None:
        """Returns the keep probabilities (N, 2, C) that cleaned the training labels, in order.

        None where ``keep_probability`` gives the same.
        """
        return None

    def held_out(self) -> tuple[Sequence[str], Tensor] | None:
        """Returns ids of videos that taught it, and honest keep probabilities (n, 2, C) of them.

        Each is judged by a policy that did not see its annotation. None where there are none.
        """
        return None

    def notes(self) -> list[str]:
        """Returns what a reader of the run must know of its labels, a sentence each."""
        return []

    def end_of_round(self) -> dict[str, Tensor]:
        """Is told that an epoch or episode ended; returns figures for the log."""
        return {}

    def networks(self) -> dict[str, nn.Module]:
        """Returns the networks that judge labels, by name; empty where there are none.

        A run folder keeps their weights, and ``keep_probability`` works once they are restored.
        """
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that a resumed run needs: tensors, numbers, text, nested."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
