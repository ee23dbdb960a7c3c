"""What every objective is."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, get_type_hints

from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight
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


def require_term(config: Any, where: str) -> None:
    """Refuses options that give every term weight 0: the network would stay as it was drawn.

    Objectives without ``video_weight`` have terms that always count.

    Args:
        config: The options.
        where: What stands before the message.

    Raises:
        RlldError: If all weights are 0.
    """
    hints = get_type_hints(type(config), include_extras=True)
    values = {name: getattr(config, name) for name in hints}
    weights = [name for name, hint in hints.items() if hint == Weight]
    parts = [
        getattr(part, "weight", 0) for part in values.values() if dataclasses.is_dataclass(part)
    ]
    if "video_weight" in weights and not any((*(values[name] for name in weights), *parts)):
        raise RlldError(
            f"{where}: {', '.join(weights)} are all 0, so that nothing would be learnt; give one "
            "at least a weight"
        )
