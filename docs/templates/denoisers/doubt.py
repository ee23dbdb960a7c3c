"""Removes the labels that the network doubts by itself: a template for a denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.denoisers.base import Denoiser
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config:
    """Options of the denoiser.

    Attributes:
        threshold: A label goes from a modality whose probability is below it, in [0, 1].
    """

    threshold: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise RlldError(f"denoiser doubt: threshold must lie in [0, 1], found {self.threshold}")

    def build(self, spec: DataSpec) -> Doubt:
        """Builds the label source."""
        return Doubt(self)


class Doubt(Denoiser):
    """Removes labels batch by batch; a label stays in the modality that believes it more.

    Attributes:
        config: Its options.
    """

    wants_prediction = True
    unimodal_prediction = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self._removed = torch.zeros(())

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels that are left; the fused target is never changed."""
        if prediction is None:
            raise RuntimeError("doubt judges by the network's prediction")
        found = torch.stack([prediction.audio, prediction.visual])
        kept = (found >= self.config.threshold) | (found >= found.flip(0))
        audio, visual = batch.labels * kept
        self._removed = self._removed.to(audio.device) + (batch.labels * ~kept).sum()
        return ModalityLabels(audio, visual, batch.labels)

    def end_of_round(self) -> dict[str, Tensor]:
        """Returns how many labels were removed in the round."""
        removed, self._removed = self._removed, torch.zeros_like(self._removed)
        return {"removed": removed}

    def state_dict(self) -> dict[str, Any]:
        """Returns the count of the round, which a resumed run goes on with."""
        return {"removed": self._removed.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self._removed = state["removed"].clone()
