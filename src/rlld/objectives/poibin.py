"""poiBin (re-implementation): the number of positive segments is a Poisson-binomial count.

After Rachavarapu and Rajagopalan (ICCV 2023), of whose method no code is known; only its idea could
be read. What stands here is ours wherever the idea leaves a choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.objectives import mil
from rlld.objectives._bce import EPSILON
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight

LONGEST = 256
"""Segments of the longest video of any length: the exact recursion takes their square."""
POSITIVE = 0.5
"""A target above this is a label."""


@dataclass(frozen=True)
class Config(mil.Config):
    """Options of the count loss, besides those of HAN's loss, to which it is added.

    Attributes:
        weight: Weight of the count loss.
        form: ``joint`` counts the segments of both modalities together, for that is all that a
            video's label says; ``split`` counts those of each modality by labels of its own.
        estimate: How the least count of a labelled video is re-estimated: by the ``mean`` count
            given that it is positive, rounded down, by its ``mode``, or not at all (``fixed``).
        count: Least count to begin with, and for good if ``fixed``; 1 is the usual "some segment
            is positive".
        growth: How much the least count of a label may grow at a time.
        warm_up: Rounds before the first re-estimation.
        soft: Whether to learn from the posterior probabilities of the segments instead of the
            probability of the count; the gradient is the same.
    """

    weight: Weight = 1.0
    form: Literal["joint", "split"] = "joint"
    estimate: Literal["mean", "mode", "fixed"] = "mean"
    count: int = 1
    growth: int = 1
    warm_up: int = 5
    soft: bool = False

    def __post_init__(self) -> None:
        for name, least in (("weight", 0), ("count", 1), ("growth", 1), ("warm_up", 0)):
            if getattr(self, name) < least:
                raise RlldError(
                    f"objective poibin: {name} must be at least {least}, found "
                    f"{getattr(self, name)}"
                )

    def build(self, spec: DataSpec) -> PoissonBinomial:
        """Builds the objective for the classes of a data set.

        Raises:
            RlldError: If its videos are of any length, and some are too long to be counted.
        """
        if spec.any_length and spec.segments > LONGEST:
            raise RlldError(
                f"objective poibin: the longest video of data set {spec.name!r} has "
                f"{spec.segments} segments, expected at most {LONGEST}, for the memory of an exact "
                "count grows with their square; choose another objective, or longer segments"
            )
        return PoissonBinomial(self, len(spec.classes))


class PoissonBinomial(mil.MILObjective):
    """HAN's loss, and how improbable the least counts of positive segments are.

    A step re-estimates the least counts of the batch's videos by its own prediction (E-step), then
    takes its loss with them (M-step); every training video is seen once an epoch.

    Attributes:
        config: The options.
        counts: Least count of every training video (N, groups, C), int64; one group of cells if
            ``joint``, audio and visual if ``split``.
    """

    config: Config
    counts: Tensor
    round: Tensor

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config)
        self.classes = classes
        self.register_buffer("counts", self._initial(0))
        self.register_buffer("round", torch.zeros((), dtype=torch.int64))

    def prepare(self, videos: int) -> None:
        """Gives every training video its first least counts."""
        self.counts = self._initial(videos)

    def start_round(self, number: int) -> None:
        """Sets whether the warm-up is over."""
        self.round.fill_(number)

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns HAN's losses, ``count`` and ``least_count``, its mean over the labels."""
        losses = super().forward(prediction, labels, batch)
        probability, positive = self._cells(prediction, labels)
        inside = self._inside(prediction)
        least = self._least(probability.detach(), positive, batch.index, inside)
        terms = count_losses(probability, positive, least, soft=self.config.soft, inside=inside)
        count = terms.sum(1).mean().to(losses["loss"].dtype)
        known = (least * positive).sum() / positive.sum().clamp(min=1)
        loss = losses["loss"] + self.config.weight * count
        return {**losses, "loss": loss, "count": count, "least_count": known}

    def _initial(self, videos: int) -> Tensor:
        groups = 1 if self.config.form == "joint" else 2
        return torch.full((videos, groups, self.classes), self.config.count, dtype=torch.int64)

    def _cells(self, prediction: Prediction, labels: ModalityLabels) -> tuple[Tensor, Tensor]:
        """Returns the probabilities (B, groups, C, cells) and the labels (B, groups, C)."""
        segment = prediction.segment.permute(0, 2, 3, 1)
        if self.config.form == "split":
            return segment, torch.stack([labels.audio, labels.visual], 1) > POSITIVE
        joint = segment.permute(0, 2, 1, 3).flatten(2).unsqueeze(1)
        return joint, labels.video.unsqueeze(1) > POSITIVE

    def _inside(self, prediction: Prediction) -> Tensor | None:
        """Returns which cells belong to their video (B, 1, 1, cells), bool; None for all."""
        mask = prediction.mask
        if mask is None:
            return None
        return mask.repeat(1, 2 if self.config.form == "joint" else 1)[:, None, None]

    def _least(
        self, probability: Tensor, positive: Tensor, index: Tensor, inside: Tensor | None
    ) -> Tensor:
        """Re-estimates the least counts of a batch, and returns them (B, groups, C)."""
        cells = _count(probability, inside)
        old = self.counts[index].minimum(cells)
        if self.config.estimate == "fixed":
            return old
        new = minimum_count(probability, self.config.estimate, inside)
        grown = torch.minimum(torch.maximum(old, new), old + self.config.growth).minimum(cells)
        due = positive & (self.round >= self.config.warm_up)
        least = torch.where(due, grown, old)
        self.counts.index_copy_(0, index, least)
        return least


def count_losses(
    probability: Tensor,
    positive: Tensor,
    least: Tensor,
    soft: bool,
    inside: Tensor | None = None,
) -> Tensor:
    """Returns -log P(count >= least) of labels and -log P(count = 0) of all others.

    Args:
        probability: Of the cells of a count (..., T).
        positive: Whether there is a label (...), bool.
        least: Least counts (...), int64, 1 to T.
        soft: Whether labels are learnt by the cross-entropy with the posterior instead.
        inside: Which cells there are, bool, broadcasts with them; all when None.

    Returns:
        (...), float64.
    """
    cells = _clamped(probability, inside)
    absent = -(-cells).log1p()
    if soft:
        with torch.no_grad():
            target = posterior(cells, least)
        # A cell behind the end of a video has probability 0, which is none to take the log of.
        present = (-target * cells.clamp(min=EPSILON).log() + (1 - target) * absent).sum(-1)
    else:
        at_least = tail(distribution(cells)).gather(-1, least.unsqueeze(-1)).squeeze(-1)
        # float64 reaches far below any probability that clamped cells can give; the floor is for
        # the logarithm of what is not a label's.
        present = -at_least.clamp(min=torch.finfo(at_least.dtype).tiny).log()
    return torch.where(positive, present, absent.sum(-1))


def distribution(probability: Tensor) -> Tensor:
    """Returns the distribution of how many of T independent cells are positive.

    Args:
        probability: (..., T), float64 for the full precision.

    Returns:
        P(count = 0 ... T) (..., T + 1), by the exact recursion over the cells.
    """
    found = probability.new_ones((*probability.shape[:-1], 1))
    for one in probability.unbind(-1):
        hit = one.unsqueeze(-1)
        found = functional.pad(found * (1 - hit), (0, 1)) + functional.pad(found * hit, (1, 0))
    return found


def tail(pmf: Tensor) -> Tensor:
    """Returns P(count >= k) for k = 0 ... T, summed from the rare end."""
    return pmf.flip(-1).cumsum(-1).flip(-1)


def expected_count(probability: Tensor) -> Tensor:
    """Returns the mean count given that it is positive (...), at least 1.

    Args:
        probability: (..., T), above 0.
    """
    none = (-probability).log1p().sum(-1)
    return probability.sum(-1) / -none.expm1()


def mode_count(probability: Tensor) -> Tensor:
    """Returns the most probable positive count (...), int64; the smaller one of equals."""
    return distribution(probability)[..., 1:].argmax(-1) + 1


def minimum_count(
    probability: Tensor,
    estimate: Literal["mean", "mode"] = "mean",
    inside: Tensor | None = None,
) -> Tensor:
    """Estimates how many cells are positive at least, given that one is.

    Args:
        probability: (..., T).
        estimate: ``mean`` rounds the expected count down, ``mode`` takes the most probable one.
        inside: Which cells there are, bool, broadcasts with them; all when None.

    Returns:
        (...), int64, 1 to T.
    """
    cells = _clamped(probability, inside)
    if estimate == "mode":
        return mode_count(cells)
    return expected_count(cells).floor().long().clamp(min=1).minimum(_count(cells, inside))


def posterior(probability: Tensor, least: Tensor) -> Tensor:
    """Returns the probability of each cell given that at least so many are positive.

    Args:
        probability: (..., T).
        least: Counts (...), int64, 0 to T.

    Returns:
        (..., T): p_t P(count of the others >= least - 1) / P(count >= least).
    """
    cells = probability.double()
    count = cells.shape[-1]
    number = torch.arange(count, device=cells.device)
    # Dividing a cell out of the whole distribution would lose all precision near 1.
    others = (number[:-1] + (number[:-1] >= number[:, None])).long()
    without = tail(distribution(cells[..., others]))
    enough = functional.pad(without, (1, 0), value=1.0)
    rest = enough.gather(-1, least[..., None, None].expand(*cells.shape, 1)).squeeze(-1)
    whole = tail(distribution(cells)).gather(-1, least.unsqueeze(-1))
    return cells * rest / whole.clamp(min=torch.finfo(whole.dtype).tiny)


def _count(cells: Tensor, inside: Tensor | None) -> Tensor:
    """Returns how many cells there are, int64, which broadcasts with their counts."""
    if inside is None:
        return torch.full((), cells.shape[-1], device=cells.device)
    return inside.sum(-1)


def _clamped(probability: Tensor, inside: Tensor | None = None) -> Tensor:
    clamped = probability.double().clamp(EPSILON, 1 - EPSILON)
    return clamped if inside is None else clamped * inside
