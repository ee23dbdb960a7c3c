"""Labels that are given once for the whole training split."""

from __future__ import annotations

from rlld.denoisers.base import Denoiser
from rlld.types import Batch, ModalityLabels, Prediction


class Given(Denoiser):
    """Hands out fixed labels: what a network is retrained on after its labels were cleaned.

    Args:
        labels: Labels of the whole training split, (N, C) and (N, T, 2, C).
    """

    replayable = True

    def __init__(self, labels: ModalityLabels) -> None:
        self.labels = labels

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels of the batch's videos."""
        return self.labels.at(batch.index, batch.segments)
