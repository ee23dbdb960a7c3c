"""How well a denoiser finds the labels that are wrong for a modality."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rlld.types import MODALITIES


@dataclass(frozen=True)
class Removal:
    """Noise detection of one modality; a removed label whose event is truly absent is a hit.

    Attributes:
        labels: Weak labels in all.
        noisy: Weak labels whose event is absent from the modality.
        removed: Labels that were removed.
        hits: Removed labels that are noisy.
    """

    labels: int
    noisy: int
    removed: int
    hits: int

    @property
    def precision(self) -> float:
        """Share of the removed labels that are noisy, in percent; 0 when none was removed."""
        return 100 * self.hits / self.removed if self.removed else 0.0

    @property
    def recall(self) -> float:
        """Share of the noisy labels that were removed, in percent; 0 when none is noisy."""
        return 100 * self.hits / self.noisy if self.noisy else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent."""
        total = self.removed + self.noisy
        return 200 * self.hits / total if total else 0.0

    def as_dict(self) -> dict[str, float]:
        """Returns counts and scores, JSON-ready."""
        return {
            "labels": self.labels,
            "noisy": self.noisy,
            "removed": self.removed,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


def removal(keep: Tensor, labels: Tensor, truth: Tensor) -> dict[str, Removal]:
    """Measures removed labels against true events.

    Args:
        keep: Whether each label is kept (N, 2, C), bool; values without a label do not count.
        labels: Weak labels (N, C), 0 or 1.
        truth: True events (N, T, 2, C), bool.

    Returns:
        The counts by modality name.
    """
    present = labels.bool()[:, None]
    noisy = present & ~truth.any(1)
    removed = present & ~keep
    return {
        name: Removal(
            int(present.sum()),
            int(noisy[:, m].sum()),
            int(removed[:, m].sum()),
            int((removed & noisy)[:, m].sum()),
        )
        for m, name in enumerate(MODALITIES)
    }
