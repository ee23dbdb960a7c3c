"""Figures of a step for the log; docs/methods/rlld.md explains each."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rlld.denoisers.reinforced.actions import Revision, entropy
from rlld.types import MODALITIES


def by_modality(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns ``NAME_audio`` and ``NAME_visual`` of values (2,), without their graph."""
    return {
        f"{name}_{modality}": value[index].detach()
        for name, value in values.items()
        for index, modality in enumerate(MODALITIES)
    }


def of_decision(labels: Tensor, logits: Tensor, revision: Revision) -> dict[str, Tensor]:
    """Returns what the policy thought and what its actions did, (2,) each.

    Args:
        labels: Weak labels (B, C).
        logits: Logits of keeping (B, 2, C).
        revision: What the actions did.
    """
    present = labels.sum().clamp(min=1)
    logits = logits.detach()
    return {
        "keep": (logits.sigmoid() * labels.unsqueeze(1)).sum((0, 2)) / present,
        "removed": 1 - revision.labels.sum((0, 2)) / present,
        "undone": revision.undone.to(logits.dtype).mean(0),
        "entropy": entropy(logits, labels).sum(0) / present,
    }
