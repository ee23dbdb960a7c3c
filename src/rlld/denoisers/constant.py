"""The constant policy: one decision per class and modality, read off annotated videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.denoisers.base import Context, Denoiser
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config:
    """Options of the constant policy.

    Attributes:
        threshold: A class is kept in a modality where at least this share of the annotated
            videos that are tagged with it have the event there; in [0, 1].
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise RlldError(
                f"denoiser constant: threshold must lie in [0, 1], found {self.threshold}"
            )

    def build(self, spec: DataSpec) -> Constant:
        """Builds the policy, which keeps everything until it was prepared."""
        return Constant(self, len(spec.classes))


class Table(nn.Module):
    """Keep probabilities by modality and class; a module so that a run folder holds them.

    Attributes:
        keep: (2, C).
    """

    keep: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("keep", torch.ones(2, classes))


class Constant(Denoiser):
    """Removes a class from a modality where it is mostly not perceived.

    It looks at no video: what a policy that does look at them gains has to be measured against
    it, for it knows the same annotation.

    Attributes:
        config: Its options.
        table: How often each tag is true of each modality.
    """

    replayable = True
    learns_from_validation = needs_dense = True

    def __init__(self, config: Config, classes: int) -> None:
        self.config = config
        self.table = Table(classes)

    def prepare(self, context: Context) -> None:
        """Counts on the reward videos; a class that is tagged in none of them is left alone."""
        found = presence(context.reward.labels, context.reward.require_dense())
        self.table.keep.copy_(found)
        self.table.to(context.device)

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels of the kept classes; the prediction is not looked at."""
        audio, visual = (self.table.keep >= self.config.threshold).to(batch.labels.dtype)
        return ModalityLabels(batch.labels * audio, batch.labels * visual, batch.labels)

    def keep_probability(self, batch: Batch) -> Tensor:
        """Returns how often the tags are true (B, 2, C), the same row for every video."""
        return self.table.keep.expand(len(batch.labels), -1, -1)

    def networks(self) -> dict[str, nn.Module]:
        """Returns the table."""
        return {"table": self.table}

    def state_dict(self) -> dict[str, Any]:
        """Returns the table."""
        return {"keep": self.table.keep.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the table."""
        self.table.keep.copy_(state["keep"])


def presence(labels: Tensor, dense: Tensor) -> Tensor:
    """Returns P(event present in a modality | weak label) by modality and class.

    Args:
        labels: Weak labels (N, C), 0 or 1.
        dense: Dense annotation (N, T, 2, C), bool.

    Returns:
        Shares (2, C), float32; 1 for a class that no video is tagged with.
    """
    tagged = labels.bool()
    true = (dense.any(1) & tagged[:, None]).sum(0)
    count = tagged.sum(0)
    return torch.where(count > 0, true / count.clamp(min=1), 1.0)
