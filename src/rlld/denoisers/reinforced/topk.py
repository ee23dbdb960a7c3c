"""Top-k selection of labels whose probabilities sum to at most 0.5 (section 4.3).

It replaces VALOR's label elaboration when RLLD drives VALOR. The paper follows Seq_LE there, whose
text gives no formula we could read; two readings are offered.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlld.denoisers.reinforced.options import TopK

__all__ = ["TopK", "longest_prefix", "select"]

TOLERANCE = 1e-12


def longest_prefix(
    distribution: Tensor, cap: float = 0.5, minimum: int = 1, cross: bool = False
) -> Tensor:
    """Selects the most probable classes as long as their sum stays within the cap.

    Args:
        distribution: (..., C), not negative; equal values go by class index.
        cap: Largest sum.
        minimum: Classes selected in any case.
        cross: Whether the class whose probability crosses the cap is selected too.

    Returns:
        Mask (..., C), bool.
    """
    ordered, order = distribution.double().sort(dim=-1, descending=True, stable=True)
    rank = torch.arange(ordered.shape[-1], device=ordered.device)
    sums = ordered.cumsum(-1) - (ordered if cross else 0)
    chosen = (sums <= cap + TOLERANCE) | (rank < minimum)
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
        chosen = longest_prefix(distribution, options.cap, options.minimum, options.cross) & weak
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
    shares = ordered.clamp(min=0)
    within = shares.cumsum(-1) - (shares if options.cross else 0) <= options.cap + TOLERANCE
    chosen = within | (rank < options.minimum)
    return torch.zeros_like(chosen).scatter(-1, order, chosen) & weak


def _fallback(scores: Tensor, weak: Tensor, chosen: Tensor) -> Tensor:
    best = scores.masked_fill(~weak, -torch.inf).flatten(1).argmax(1, keepdim=True)
    mask = torch.zeros_like(weak).flatten(1).scatter(1, best, True).view_as(weak)
    return mask & weak & ~chosen.flatten(1).any(1).view(-1, 1, 1)
