"""The true labels of each modality: what perfect denoising would give, in simulations only."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.denoisers.base import Context, Denoiser
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config:
    """The true labels have no options."""

    def build(self, spec: DataSpec) -> TrueLabels:
        """Builds the label source; it needs to know nothing of the data set."""
        return TrueLabels()


class TrueLabels(Denoiser):
    """Gives each modality the tags that are true of it; the fused target stays the weak label."""

    replayable = True
    uses_truth = True

    def __init__(self) -> None:
        self._keep: Tensor | None = None

    def prepare(self, context: Context) -> None:
        """Looks up what is true of the training videos.

        Raises:
            RlldError: If that is not known.
        """
        truth = context.train.truth
        if truth is None:
            raise RlldError(
                f"data set {context.train.spec.name!r}: the true labels of its training videos "
                "are not known, only simulated and rendered sets know them; train another recipe"
            )
        self._keep = truth.any(1)

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the true labels; the prediction is not looked at."""
        if self._keep is None:
            raise RuntimeError("prepare comes before revise")
        keep = self._keep[batch.index].to(batch.labels.dtype)
        audio, visual = keep.unbind(1)
        return ModalityLabels(batch.labels * audio, batch.labels * visual, batch.labels)
