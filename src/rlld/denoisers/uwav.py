"""UWAV's soft segment labels (Lai et al., CVPR 2025): how far a score is from a threshold.

Annotated validation videos choose one threshold per class and modality. What a score says beyond it
is kept as a probability instead of being cut to yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.similarities import class_scores
from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers._pseudo import PseudoLabels
from rlld.denoisers.base import Context
from rlld.denoisers.valor import elaborate
from rlld.errors import RlldError
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.config import require_positive


@dataclass(frozen=True)
class Config:
    """Options of UWAV's labels.

    Attributes:
        scores: The set of scores to read, one prompt per class. The published ones are logits of a
            network that was trained on another data set; VALOR's of CLIP and CLAP serve too.
        soft: Whether labels are probabilities; otherwise they are 0 or 1.
        temperature: Divides the distance of a score from its threshold before the sigmoid: 2 in
            the published code, 1 in the paper.
    """

    scores: str = "classes"
    soft: bool = True
    temperature: float = 2.0

    def __post_init__(self) -> None:
        require_positive("denoiser uwav: ", self, "temperature")

    def build(self, spec: DataSpec) -> UwavLabels:
        """Builds the label source, which knows its thresholds once it was prepared."""
        return UwavLabels(self, spec)


class UwavLabels(PseudoLabels):
    """Labels of the video, in every segment as probable as its score lets them be.

    Attributes:
        config: Its options.
        thresholds: By modality and class (2, C); minus infinity where every tagged segment is
            best called positive. None before ``prepare``.
    """

    learns_from_validation = needs_dense = True

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(len(spec.classes))
        self.config = config
        self.thresholds: Tensor | None = None
        self._logits: Tensor | None = None
        self._events: Tensor | None = None

    def prepare(self, context: Context) -> None:
        """Chooses the thresholds on the reward videos, and finds the labels of the training ones.

        Raises:
            RlldError: If the reward videos are those of the test split, or scores are missing.
        """
        reward, train = context.reward, context.train
        if reward.name == "test":
            raise RlldError(
                "denoiser uwav: thresholds must not be chosen on the test split, whose scores "
                "would be chosen with them; use the validation split"
            )
        self.thresholds = best_thresholds(
            self._scores(reward), reward.labels, reward.require_dense(), reward.mask
        )
        super().prepare(context)
        self._logits = self._scores(train)
        hard = within(elaborate(self._logits, train.labels, self.thresholds), train.mask)
        segments = hard[:, :, 0, 0].numel() if train.mask is None else train.mask.sum()
        self._events = hard.sum((0, 1, 3)) / segments

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels of the batch's segments; the prediction is not looked at.

        Extras hold ``events`` (2,): labels that a training segment has, on average.
        """
        if self._logits is None or self._events is None:
            raise RuntimeError("prepare comes before revise")
        segment = self._labels(batch.part(self._logits), batch.labels, batch.mask)
        audio, visual = segment.amax(1).unbind(1)
        extras = {"events": self._events}
        return ModalityLabels(audio, visual, batch.labels, segment, extras)

    def segment_labels(self, split: Split) -> Tensor:
        """Returns the labels of all segments of a split (N, T, 2, C), in [0, 1]."""
        return self._labels(self._scores(split), split.labels, split.mask)

    def _labels(self, logits: Tensor, tags: Tensor, mask: Tensor | None) -> Tensor:
        if self.thresholds is None:
            raise RuntimeError("prepare comes before segment_labels")
        if self.config.soft:
            return soften(logits, tags, self.thresholds, self.config.temperature, mask)
        return within(elaborate(logits, tags, self.thresholds), mask)

    def _scores(self, split: Split) -> Tensor:
        """Returns the scores of all segments of a split (N, T, 2, C)."""
        return class_scores(split, self.config.scores)


def best_thresholds(
    logits: Tensor, tags: Tensor, dense: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Chooses the thresholds whose segment labels have the largest F1.

    Args:
        logits: Scores of annotated segments (N, T, 2, C).
        tags: Weak labels (N, C); segments without the tag are never positive.
        dense: What holds (N, T, 2, C), bool.
        mask: Which segments belong to their video (N, T), bool; all when None.

    Returns:
        (2, C), each in the middle of two neighbouring scores; of equally good ones the lowest,
        minus infinity where that lies below all scores or where no event is annotated.
    """
    counted = tags.bool()[:, None].expand(*logits.shape[:2], -1)
    if mask is not None:
        counted = counted & mask[..., None]
    found = logits.new_full((2, logits.shape[-1]), -torch.inf)
    for modality in range(len(MODALITIES)):
        for number in range(logits.shape[-1]):
            rows = counted[..., number]
            place = ..., modality, number
            found[modality, number] = _best(logits[place][rows], dense[place][rows])
    return found


def _best(logits: Tensor, truth: Tensor) -> Tensor:
    """Returns the best threshold of some scores (n,) of known truth (n,), bool."""
    lowest = logits.new_full((1,), -torch.inf)
    if not truth.any():
        return lowest[0]
    ordered, order = logits.sort(stable=True)
    # What is called positive are the scores of a rank and those behind it.
    hits = truth[order].double().flip(0).cumsum(0).flip(0)
    called = torch.arange(len(ordered), 0, -1, device=logits.device)
    rank = (2 * hits / (called + hits[0])).argmax()
    below = torch.cat([lowest, ordered[:-1]])
    return (ordered[rank] + below[rank]) / 2


def soften(
    logits: Tensor,
    tags: Tensor,
    thresholds: Tensor,
    temperature: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Makes soft labels of scores (``HybridAttentionNet.calculate_segment_loss``).

    A threshold of minus infinity is 1 below the smallest score of its class and modality in these
    videos, whatever their tags, as in the published code: of a batch that is a number of its own.

    Args:
        logits: Scores (B, T, 2, C).
        tags: Weak labels (B, C).
        thresholds: (2, C).
        temperature: Divides the distance from the threshold.
        mask: Which segments belong to their video (B, T), bool; all when None.

    Returns:
        (B, T, 2, C): in (0, 1) where the video is tagged, one half at the threshold; else 0.
    """
    inside = logits
    if mask is not None:
        inside = logits.masked_fill(~mask[..., None, None], torch.inf)
    limits = torch.where(thresholds.isinf(), inside.amin((0, 1)) - 1, thresholds)
    soft = ((logits - limits) / temperature).sigmoid()
    return within(soft.to(tags.dtype) * tags[:, None, None], mask)


def within(labels: Tensor, mask: Tensor | None) -> Tensor:
    """Returns labels (B, T, 2, C) that are 0 behind the end of each video."""
    return labels if mask is None else labels * mask[..., None, None]
