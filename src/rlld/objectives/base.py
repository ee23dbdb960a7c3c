"""What every objective is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.registry import Buildable


class Objective(nn.Module, ABC):
    """A training loss.

    Its module ``rlld.objectives.NAME`` holds a frozen dataclass ``Config`` with the options. It is
    a module because some objectives learn parameters of their own, by the same optimizer.

    Attributes:
        replayable: Whether ``forward`` does the same operations in every call, so that a GPU can
            record a step and replay it without Python.
    """

    replayable: bool = True

    @abstractmethod
    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Computes the loss.

        Args:
            prediction: What the network says of the batch.
            labels: The targets that the denoiser gives.
            batch: The videos.

        Returns:
            Scalars by name: ``loss`` is minimised, the others are its parts, for the log.
        """

    def leading(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Computes what networks of its own learn from, which take their step first.

        Args:
            prediction: What the task network says of the batch; nothing is learnt through it.
            labels: The targets that the denoiser gives.
            batch: The videos.

        Returns:
            Losses by name, of its own parameters alone; their sum is minimised before ``forward``
            is asked. Empty where it has no such networks.
        """
        return {}

    def prepare(self, videos: int) -> None:
        """Is told, before its state is restored, how many training videos there are."""

    def start_round(self, number: int) -> None:
        """Is told which round the next steps belong to, 0-based; also after a resume.

        What changes from round to round is kept in buffers and changed in place, where a recorded
        step reads it.
        """


class Config(Buildable):
    """Base of the options of an objective."""

    @property
    def needs(self) -> frozenset[str]:
        """The extras of a prediction that the loss cannot do without, with these options."""
        return frozenset()

    def build(self, spec: DataSpec) -> Objective:
        """Builds the objective for a data set, of which most need to know nothing."""
        objective: Objective = self.made(self)
        return objective
