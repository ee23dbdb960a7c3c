"""Top-k selection of labels whose probabilities sum to at most 0.5 (section 4.3).

It replaces VALOR's label elaboration when RLLD drives VALOR. The paper follows Seq_LE there, whose
text gives no formula we could read; two readings are offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlld.errors import RlldError

TOLERANCE = 1e-12


@dataclass(frozen=True)
class TopK:
    """Options of the selection.

    Attributes:
        reading: ``all`` selects from a distribution over all classes and intersects with the
            video's labels; ``restricted`` normalises over the video's labels first. With at most
            three labels per video, as in LLP, the latter always keeps exactly one.
        cap: Largest sum of the selected probabilities, in (0, 1].
        temperature: Of the softmax over the teacher's scores (``all`` only).
        minimum: Classes that are selected even if they exceed the cap.

    Raises:
        RlldError: If a value is out of range.
    """

    reading: Literal["all", "restricted"] = "all"
    cap: float = 0.5
    temperature: float = 1.0
    minimum: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.cap <= 1 or self.temperature <= 0 or self.minimum < 0:
            raise RlldError(
                "top-k selection: cap must lie in (0, 1], temperature be positive, minimum not "
                f"negative; found {self.cap}, {self.temperature}, {self.minimum}"
            )


def longest_prefix(distribution: Tensor, cap: float = 0.5, minimum: int = 1) -> Tensor:
    """Selects the most probable classes as long as their sum stays within the cap.

    Args:
        distribution: (..., C), not negative; equal values go by class index.
        cap: Largest sum.
        minimum: Classes selected in any case.

    Returns:
        Mask (..., C), bool.
    """
    ordered, order = distribution.double().sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(ordered.shape[-1], device=ordered.device)
    chosen = (ordered.cumsum(-1) <= cap + TOLERANCE) | (rank < minimum)
    return torch.zeros_like(chosen).scatter(-1, order, chosen)


def select(scores: Tensor, labels: Tensor, options: TopK) -> Tensor:
    """Selects labels of videos from a teacher's scores.

    With reading ``all``, a video of which no label was selected in any segment gets its label of
    the largest score, in the segment where it has that score.

    Args:
        scores: Teacher's scores (B, C), or (B, T, C) to select per segment: probabilities for
            ``restricted``, similarities or logits for ``all``.
        labels: Weak labels (B, C), 0 or 1.
        options: The rule.

    Returns:
        Mask of the shape of ``scores``, bool; True only where the weak label is 1.
    """
    by_segment = scores if scores.dim() == 3 else scores.unsqueeze(1)
    weak = (labels > 0).unsqueeze(1).expand_as(by_segment)
    if options.reading == "restricted":
        chosen = _restricted(by_segment, weak, options)
    else:
        distribution = (by_segment.double() / options.temperature).softmax(-1)
        chosen = longest_prefix(distribution, options.cap, options.minimum) & weak
        chosen = chosen | _fallback(by_segment, weak, chosen)
    return chosen.view_as(scores)


def _restricted(scores: Tensor, weak: Tensor, options: TopK) -> Tensor:
    own = scores.double() * weak
    total = own.sum(-1, keepdim=True)
    # A teacher that gives every label of the video 0 has no preference among them.
    own = torch.where(total > 0, own / total, weak / weak.sum(-1, keepdim=True).clamp(min=1))
    # Absent classes sort behind labels of probability 0 and add nothing to the sums.
    ordered, order = own.masked_fill(~weak, -1.0).sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(ordered.shape[-1], device=ordered.device)
    within = ordered.clamp(min=0).cumsum(-1) <= options.cap + TOLERANCE
    chosen = within | (rank < options.minimum)
    return torch.zeros_like(chosen).scatter(-1, order, chosen) & weak


def _fallback(scores: Tensor, weak: Tensor, chosen: Tensor) -> Tensor:
    best = scores.masked_fill(~weak, -torch.inf).flatten(1).argmax(1, keepdim=True)
    mask = torch.zeros_like(weak).flatten(1).scatter(1, best, True).view_as(weak)
    return mask & weak & ~chosen.flatten(1).any(1).view(-1, 1, 1)
