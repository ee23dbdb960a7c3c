"""How well a denoiser finds the labels that are wrong for a modality.

A weak label is *noisy* in a modality when its event occurs in no segment of it, and *clean*
otherwise. Removing a noisy label is a hit. The area under the curve (AUC) is the probability that
a clean label has a higher keep probability than a noisy one, ties counting half; it needs no
threshold. Within a class it shows whether single videos are told apart: a policy that treats all
labels of a class alike has 50 by construction, however good its precision and recall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.types import MODALITIES

THRESHOLD = 0.5
"""Keep probability from which on a label is kept."""
LEAST = 20
"""Noisy and clean labels, of each at least so many, for the AUC of a class."""


@dataclass(frozen=True)
class Removal:
    """Removed labels of one modality, of all classes or of one.

    Attributes:
        labels: Weak labels in all.
        noisy: Weak labels whose event is absent from the modality; None where unknown.
        removed: Labels that were removed.
        hits: Removed labels that are noisy; None where unknown.
    """

    labels: int
    noisy: int | None
    removed: int
    hits: int | None

    @property
    def removed_share(self) -> float | None:
        """Share of the labels that were removed, in percent; None without labels."""
        return _percent(self.removed, self.labels)

    @property
    def noise_share(self) -> float | None:
        """Share of the labels that are noisy, in percent; None where unknown."""
        return _percent(self.noisy, self.labels)

    @property
    def precision(self) -> float | None:
        """Share of the removed labels that are noisy, in percent; None when none was removed."""
        return _percent(self.hits, self.removed)

    @property
    def recall(self) -> float | None:
        """Share of the noisy labels that were removed, in percent; None when none is noisy."""
        return _percent(self.hits, self.noisy)

    @property
    def f1(self) -> float | None:
        """2 hits / (removed + noisy), in percent; None when none was removed and none is noisy."""
        if self.noisy is None or self.hits is None:
            return None
        return _percent(2 * self.hits, self.removed + self.noisy)

    def as_dict(self) -> dict[str, Any]:
        """Returns counts and scores, JSON-ready."""
        return {
            "labels": self.labels,
            "noisy": self.noisy,
            "removed": self.removed,
            "removed_share": self.removed_share,
            "noise_share": self.noise_share,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(frozen=True)
class ClassReport:
    """One class in one modality.

    Attributes:
        removal: What was removed at the threshold.
        auc: Its AUC in percent, None with too few noisy or clean labels.
        mean_keep: Mean keep probability, None without labels.
    """

    removal: Removal
    auc: float | None
    mean_keep: float | None

    def as_dict(self) -> dict[str, Any]:
        """Returns everything JSON-ready."""
        return {**self.removal.as_dict(), "auc": self.auc, "mean_keep": self.mean_keep}


@dataclass(frozen=True)
class ModalityReport(ClassReport):
    """One modality: all classes together, and each.

    Attributes:
        classes: Each class by name, in the order of the taxonomy.
    """

    classes: dict[str, ClassReport]

    @property
    def class_aucs(self) -> list[float]:
        """AUC of each class that has enough labels."""
        return [value.auc for value in self.classes.values() if value.auc is not None]

    @property
    def within_class_auc(self) -> float | None:
        """Mean of the classes' AUC in percent, None where no class has enough labels."""
        found = self.class_aucs
        return sum(found) / len(found) if found else None

    def as_dict(self) -> dict[str, Any]:
        """Returns everything JSON-ready; ``auc_classes`` counts the classes of the mean."""
        return {
            **super().as_dict(),
            "within_class_auc": self.within_class_auc,
            "auc_classes": len(self.class_aucs),
            "classes": {name: value.as_dict() for name, value in self.classes.items()},
        }


@dataclass(frozen=True)
class DenoisingReport:
    """How a denoiser judged the weak labels of some videos.

    Attributes:
        audio: Labels as audible events.
        visual: Labels as visible events.
        known: Whether the true events are known; without, only what was removed is.
    """

    audio: ModalityReport
    visual: ModalityReport
    known: bool

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Returns both modalities by name, JSON-ready."""
        return {name: getattr(self, name).as_dict() for name in MODALITIES}


def removal(keep: Tensor, labels: Tensor, truth: Tensor) -> dict[str, Removal]:
    """Measures removed labels against true events.

    Args:
        keep: Whether each label is kept (N, 2, C), bool; values without a label do not count.
        labels: Weak labels (N, C), 0 or 1.
        truth: True events (N, T, 2, C), bool.

    Returns:
        The counts by modality name.

    Examples:
        One video with two tags, of which one is heard and the other seen. The denoiser removes the
        first from the visual track, rightly, and nothing else:

        >>> truth = torch.tensor([[[[True, False], [False, True]]]])  # (N, T, 2, C)
        >>> keep = torch.tensor([[[True, True], [False, True]]])  # (N, 2, C)
        >>> found = removal(keep, torch.tensor([[1, 1]]), truth)
        >>> found["visual"].precision, found["visual"].recall
        (100.0, 100.0)
        >>> found["audio"].precision, found["audio"].recall  # one was noisy, none was removed
        (None, 0.0)
    """
    present = labels.bool()
    noisy = ~truth.any(1)
    return {
        name: _removal(keep[:, m][present], noisy[:, m][present])
        for m, name in enumerate(MODALITIES)
    }


def denoising_report(
    keep: Tensor,
    labels: Tensor,
    truth: Tensor | None,
    classes: Sequence[str],
    *,
    least: int = LEAST,
    known: Tensor | None = None,
) -> DenoisingReport:
    """Measures keep probabilities by modality and class.

    Args:
        keep: Keep probabilities (N, 2, C) in [0, 1]; values without a label do not count.
        labels: Weak labels (N, C), 0 or 1.
        truth: True events (N, T, 2, C), bool; None where unknown.
        classes: Class names, C of them.
        least: A class has an AUC when at least so many of its labels are noisy and as many clean.
        known: Of which labels the truth is known (N, 2, C), bool; the others are not counted. All
            when None.

    Raises:
        RlldError: If the keep probability of a label is no number.
    """
    present = labels.bool().cpu()
    values = keep.detach().cpu().double()
    noisy = None if truth is None else ~truth.any(1).cpu()
    bad = (values.isnan() & present[:, None]).nonzero()
    if len(bad):
        video, modality, label = bad[0].tolist()
        raise RlldError(
            f"keep probabilities: not a number for video {video}, {MODALITIES[modality]} "
            f"{classes[label]}; the denoiser's weights are broken, train again"
        )

    def judged(m: int) -> ModalityReport:
        def part(chosen: Tensor, at: slice | int, least: int) -> ClassReport:
            truly = None if noisy is None else noisy[:, m, at][chosen]
            return _judge(values[:, m, at][chosen], truly, least)

        here = present if known is None else present & known[:, m].cpu()
        everything = part(here, slice(None), 1)
        by_class = {name: part(here[:, c], c, least) for c, name in enumerate(classes)}
        return ModalityReport(everything.removal, everything.auc, everything.mean_keep, by_class)

    return DenoisingReport(judged(0), judged(1), known=truth is not None)


def auc(scores: Tensor, positive: Tensor) -> float:
    """Returns how probable it is that a positive scores above a negative, in percent.

    The Mann-Whitney statistic over mean ranks, so that ties count half; exact in float64.

    Args:
        scores: Values (n,), no NaN.
        positive: Which are positive (n,), bool.

    Raises:
        ValueError: If there is no positive or no negative.

    Examples:
        Of the four pairs of a positive and a negative two are in order and one is a tie:

        >>> auc(torch.tensor([0.9, 0.4, 0.4, 0.6]), torch.tensor([True, True, False, False]))
        62.5
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        raise ValueError(f"AUC of {positives} positives and {negatives} negatives is undefined")
    _, group, sizes = torch.unique(scores, return_inverse=True, return_counts=True)
    sizes = sizes.double()
    mean_rank = sizes.cumsum(0) - (sizes - 1) / 2
    above = float(mean_rank[group][positive].sum()) - positives * (positives + 1) / 2
    return 100 * above / (positives * negatives)


def _judge(keep: Tensor, noisy: Tensor | None, least: int) -> ClassReport:
    """Measures the labels of one modality: keep probabilities (n,), which are noisy (n,)."""
    rank = None
    if noisy is not None and min(int(noisy.sum()), int((~noisy).sum())) >= max(least, 1):
        rank = auc(keep, ~noisy)
    mean = float(keep.mean()) if len(keep) else None
    return ClassReport(_removal(keep >= THRESHOLD, noisy), rank, mean)


def _removal(keep: Tensor, noisy: Tensor | None) -> Removal:
    removed = int((~keep).sum())
    if noisy is None:
        return Removal(len(keep), None, removed, None)
    return Removal(len(keep), int(noisy.sum()), removed, int((noisy & ~keep).sum()))


def _percent(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole
