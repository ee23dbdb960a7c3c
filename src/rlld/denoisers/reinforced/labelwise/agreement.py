"""Whether rates of wrong tags that come from elsewhere fit the data, judged without annotation.

A tag that is often wrong for a track is hard to predict from it. So classes whose rate is said to
be high should be among the hard ones; where they are not, the rates are those of another world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 20
"""A class with fewer tagged or untagged videos is left alone."""
EXPECTED = 0.6
"""Rank correlation over classes where the rates fit and the tags can be predicted precisely:
0.56 and 0.59 on simulated tags with LLP's noise, 0.05 and 0.15 with other noise."""
FEW = 4
"""Fewer classes tell nothing."""


@dataclass(frozen=True)
class Agreement:
    """How well rates fit what is hard to predict.

    Attributes:
        correlation: Rank correlation over the classes of rate and hardness.
        classes: How many classes there were to judge by.
        odds: Logarithm of how much likelier that is where the rates fit than where they do not.
    """

    correlation: float
    classes: int
    odds: float

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the rates."""
        return self.odds >= 0

    def __str__(self) -> str:
        return f"rank correlation {self.correlation:.2f} over {self.classes} classes"


def areas(evidence: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns how well the tags of each class are predicted.

    Args:
        evidence: Logits in one modality (N, C), out of fold.
        labels: Weak labels (N, C).

    Returns:
        AUC of tagged against untagged videos (C,), and where there are enough of both (C,), bool.
    """
    tagged = labels.bool()
    ranks = evidence.argsort(0).argsort(0).double() + 1
    positives = tagged.sum(0).double()
    negatives = len(labels) - positives
    total = (ranks * tagged).sum(0)
    area = (total - positives * (positives + 1) / 2) / (positives * negatives).clamp(min=1)
    return area, (positives >= LEAST) & (negatives >= LEAST)


def agreement(rates: Tensor, evidence: Tensor, labels: Tensor) -> Agreement:
    """Compares rates with how hard the tags are to predict.

    Where areas are known too roughly to order the classes, or there are few classes, nothing can
    speak against the rates.

    Args:
        rates: Shares of wrong tags in one modality (C,).
        evidence: Logits in it (N, C), out of fold.
        labels: Weak labels (N, C).
    """
    area, known = areas(evidence, labels)
    area, shares = area[known], rates[known].double()
    count = len(area)
    if count < FEW or not float(shares.std()) or not float(area.std()):
        return Agreement(0.0, count, 0.0)
    correlation = float(torch.corrcoef(torch.stack([_ranks(shares), _ranks(-area)]))[0, 1])
    noise = _variance(area, labels[:, known]).mean() / area.var()
    expected = math.atanh(EXPECTED * math.sqrt(max(0.0, 1 - float(noise))))
    found = math.atanh(max(-0.99, min(0.99, correlation)))
    return Agreement(correlation, count, (count - 3) * expected * (found - expected / 2))


def _ranks(values: Tensor) -> Tensor:
    """Returns ranks (n,), the mean one for equal values."""
    below = (values[None] < values[:, None]).sum(1)
    same = (values[None] == values[:, None]).sum(1)
    return below + (same - 1) / 2.0


def _variance(area: Tensor, labels: Tensor) -> Tensor:
    """Returns the sampling variance of areas (C,) by Hanley and McNeil (1982)."""
    positives = labels.sum(0).double()
    negatives = len(labels) - positives
    twice_right, twice_wrong = area / (2 - area), 2 * area.square() / (1 + area)
    own = (positives - 1) * (twice_right - area.square())
    other = (negatives - 1) * (twice_wrong - area.square())
    return (area * (1 - area) + own + other) / (positives * negatives)
