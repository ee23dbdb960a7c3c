"""Targets of segments beside the revised labels of videos (section 4.3: RLLD on VALOR)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from rlld.data.similarities import load_scores
from rlld.data.split import Split
from rlld.denoisers.reinforced.options import Segments
from rlld.denoisers.reinforced.topk import select
from rlld.types import MODALITIES, Batch, ModalityLabels


class SegmentTargets:
    """Adds segment targets to revised labels; without scores it leaves them as they are.

    Args:
        options: What selects classes.
    """

    def __init__(self, options: Segments) -> None:
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
        chosen = [select(scores[name], train.labels, options.select) for name in MODALITIES]
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
            return replace(labels, segment=self._chosen[batch.index] * revised)
        rule = replace(self.options.select, reading="restricted")
        chosen = torch.stack([select(part, batch.labels, rule) for part in keep().unbind(1)], 1)
        segments = next(iter(batch.streams.values())).shape[1]
        return replace(labels, segment=(chosen[:, None] * revised).repeat(1, segments, 1, 1))
