"""Targets of segments beside the revised labels of videos (section 4.3: RLLD on VALOR).

Labels are selected by probability, the top k whose sum stays within 0.5, which replaces VALOR's
label elaboration. The paper follows Seq_LE there, whose text gives no formula we could read; two
readings are offered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from rlld.data.similarities import load_scores
from rlld.data.split import Split
from rlld.denoisers.reinforced.options import SegmentOptions, TopKOptions
from rlld.types import MODALITIES, Batch, ModalityLabels

TOLERANCE = 1e-12


class SegmentTargets:
    """Adds segment targets to revised labels; without scores it leaves them as they are.

    Args:
        options: What selects classes.
    """

    def __init__(self, options: SegmentOptions) -> None:
        self.options = options
        self._chosen: Tensor | None = None

    def prepare(self, train: Split) -> None:
        """Selects classes for every training segment.

        Raises:
            RlldError: If the data set has no such scores.
        """
        options = self.options
        if options.scores is None or options.source == "policy":
            return
        wanted = dict.fromkeys(MODALITIES, len(train.spec.classes))
        scores = load_scores(train, options.scores, wanted)
        if options.select.reading == "restricted":
            # Similarities are no probabilities, which that reading compares.
            scores = {name: value.softmax(-1) for name, value in scores.items()}
        chosen = [
            select(scores[name], train.labels, options.select, train.mask) for name in MODALITIES
        ]
        self._chosen = torch.stack(chosen, 2)

    def added(
        self, labels: ModalityLabels, batch: Batch, keep: Callable[[], Tensor]
    ) -> ModalityLabels:
        """Returns revised labels with segment targets.

        Args:
            labels: Revised labels of training videos.
            batch: The videos.
            keep: Returns the policy's keep probabilities (B, 2, C).
        """
        if self.options.scores is None:
            return labels
        revised = torch.stack([labels.audio, labels.visual], 1)[:, None]
        if self._chosen is not None:
            return replace(labels, segment=batch.part(self._chosen) * revised)
        rule = replace(self.options.select, reading="restricted")
        chosen = torch.stack([select(part, batch.labels, rule) for part in keep().unbind(1)], 1)
        every = (chosen[:, None] * revised).repeat(1, batch.segments, 1, 1)
        if batch.mask is not None:
            every = every * batch.mask[..., None, None]
        return replace(labels, segment=every)


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


def select(
    scores: Tensor, labels: Tensor, options: TopKOptions, mask: Tensor | None = None
) -> Tensor:
    """Selects labels of videos from a teacher's scores.

    With reading ``all``, a video of which no label was selected in any segment gets its label of
    the largest score, in the segment where it has that score.

    Args:
        scores: Teacher's scores (B, C), or (B, T, C) to select per segment: probabilities for
            ``restricted``, similarities or logits for ``all``.
        labels: Weak labels (B, C), 0 or 1.
        options: The rule.
        mask: Which segments belong to their video (B, T), bool; all when None.

    Returns:
        Mask of the shape of ``scores``, bool; True only where the weak label is 1.
    """
    by_segment = scores if scores.dim() == 3 else scores.unsqueeze(1)
    weak = (labels > 0).unsqueeze(1).expand_as(by_segment)
    if mask is not None:
        weak = weak & mask[..., None]
    if options.reading == "restricted":
        chosen = _restricted(by_segment, weak, options)
    else:
        distribution = (by_segment.double() / options.temperature).softmax(-1)
        chosen = longest_prefix(distribution, options.cap, options.minimum, options.cross) & weak
        chosen = chosen | _fallback(by_segment, weak, chosen)
    return chosen.view_as(scores)


def _restricted(scores: Tensor, weak: Tensor, options: TopKOptions) -> Tensor:
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
