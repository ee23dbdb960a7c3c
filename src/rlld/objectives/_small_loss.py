"""Small-loss selection of labels by two networks: what Co-teaching+ and JoCoR share.

The multi-label form: a weak label is right for the video as a whole, only its copy to a modality
may be wrong, and only where it is positive. So positives are selected, negatives always stay.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.networks.peers import PREFIX, peer_probabilities
from rlld.objectives._bce import EPSILON
from rlld.objectives.base import Config, Objective
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction

POSITIVE = 0.5
"""A target above this is a label."""
RATES = "wrong_label_rates"
"""Name of the shares of wrong labels, audio and visual (2,), among the extras of labels."""


@dataclass(frozen=True)
class SmallLoss:
    """Options that both objectives share.

    Attributes:
        granularity: What is selected: each ``element``, that is a positive label of a video, or a
            whole ``video`` by its mean loss over the classes, as in the single-label originals.
        ramp: Rounds over which the forget rate rises from 0 to the share of wrong labels.
        exponent: The ramp rises to the share to this power (JoCoR's option); afterwards the
            share itself applies.

    Raises:
        RlldError: If a value is out of range.
    """

    granularity: Literal["element", "video"] = "element"
    ramp: int = 10
    exponent: float = 1.0

    def __post_init__(self) -> None:
        if self.ramp < 0 or self.exponent <= 0:
            raise RlldError(
                "objective: selection.ramp must not be negative and selection.exponent must be "
                f"positive, found {self.ramp} and {self.exponent}"
            )

    def chosen(self, losses: Tensor, candidates: Tensor, rate: Tensor) -> Tensor:
        """Chooses what is learnt from among candidates, by small losses.

        Args:
            losses: Of the cells (..., B, C).
            candidates: Cells that may be dropped, bool, same shape; with granularity ``video``
                every video that holds one is a candidate.
            rate: Share to drop, a scalar, float64.

        Returns:
            Mask of the shape of ``losses``, bool, of chosen candidates (``element``) or of all
            cells of chosen videos (``video``).
        """
        if self.granularity == "element":
            mask = smallest(losses.flatten(-2), candidates.flatten(-2), rate, "all")
            return mask.view_as(losses)
        rows = smallest(losses.mean(-1), candidates.any(-1), rate, "one")
        return rows.unsqueeze(-1).expand_as(losses)

    def rate(self, rates: Tensor, round_number: Tensor) -> Tensor:
        """Returns the forget rate of a round.

        Args:
            rates: Shares of wrong labels, float64.
            round_number: Round, 0-based, a scalar.
        """
        if self.ramp == 0:
            return rates
        rising = rates**self.exponent * (round_number.double() / max(self.ramp - 1, 1))
        return torch.where(round_number < self.ramp, rising, rates)


class SmallLossConfig(Config):
    """Base of the options of both objectives."""

    @property
    def needs(self) -> frozenset[str]:
        """What either network says of the video."""
        return frozenset(f"{PREFIX}{name}" for name in ("audio", "visual", "video"))


class SmallLossObjective(Objective):
    """Two networks learn from the labels whose losses are small.

    The fused term is never filtered. Where the label source tells no shares of wrong labels,
    nothing is filtered, and both networks train on all labels.

    Args:
        selection: What is selected, and the ramp of the forget rate.
    """

    round: Tensor

    def __init__(self, selection: SmallLoss) -> None:
        super().__init__()
        self.selection = selection
        self.register_buffer("round", torch.zeros((), dtype=torch.int64))

    def start_round(self, number: int) -> None:
        """Sets how far the forget rate has risen."""
        self.round.fill_(number)

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns the loss of both networks together, and its parts.

        They are ``audio``, ``visual``, ``video`` and, where labels are filtered, the shares
        ``kept_audio`` and ``kept_visual`` of positive labels that were learnt from.
        """
        parts = {"video": self.whole(peer_probabilities(prediction, "video"), labels.video)}
        rates = wrong_label_rates(labels)
        for number, name in enumerate(MODALITIES):
            probability, target = peer_probabilities(prediction, name), getattr(labels, name)
            if rates is None:
                parts[name] = self.whole(probability, target)
                continue
            rate = self.selection.rate(rates[number], self.round)
            losses, kept = self.losses(probability, target, rate)
            positive = (target > POSITIVE).expand_as(kept)
            parts[name] = losses.sum()
            parts[f"kept_{name}"] = (kept & positive).sum() / positive.sum().clamp(min=1)
        return {"loss": parts["video"] + parts["audio"] + parts["visual"], **parts}

    @abstractmethod
    def whole(self, probability: Tensor, target: Tensor) -> Tensor:
        """Returns the loss on all labels, a scalar.

        Args:
            probability: What the networks say (2, B, C).
            target: Targets (B, C).
        """

    @abstractmethod
    def losses(self, probability: Tensor, target: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss on labels of small loss.

        Args:
            probability: What the networks say (2, B, C).
            target: Targets (B, C).
            rate: Forget rate, a scalar, float64.

        Returns:
            The loss of both networks, a scalar, or of each (2,); and the cells that were chosen,
            bool, (B, C) of both or (2, B, C) of each.
        """


def smallest(
    losses: Tensor, candidates: Tensor, rate: Tensor, least: Literal["all", "one"]
) -> Tensor:
    """Keeps the int((1 - rate) n) candidates of smallest loss.

    Args:
        losses: (..., M); they get no gradient.
        candidates: (..., M), bool; n of them.
        rate: Share to drop, float64.
        least: What stays if that number is 0: ``all`` candidates or ``one`` of them.

    Returns:
        Mask (..., M), bool; ties go by index.
    """
    count = candidates.sum(-1, keepdim=True)
    number = ((1 - rate.double()) * count).long()
    number = torch.where(number > 0, number, count if least == "all" else count.clamp(max=1))
    order = losses.detach().masked_fill(~candidates, torch.inf).argsort(dim=-1, stable=True)
    return candidates & (order.argsort(-1) < number)


def cell_losses(probability: Tensor, target: Tensor) -> Tensor:
    """Returns the binary cross-entropy of every cell; shapes broadcast."""
    clamped = _clamped(probability)
    return -target * clamped.log() - (1 - target) * (-clamped).log1p()


def disagreement(probability: Tensor) -> Tensor:
    """Returns the symmetric Kullback-Leibler divergence of two networks, cell by cell.

    Args:
        probability: (2, ...).

    Returns:
        (p - q)(logit p - logit q), of shape (...).
    """
    one, other = _clamped(probability)
    found: Tensor = (one - other) * (one.logit() - other.logit())
    return found


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean over the last two axes where the mask holds; 0 where it never does."""
    chosen = mask.to(values.dtype)
    return (values * chosen).sum((-2, -1)) / chosen.sum((-2, -1)).clamp(min=1)


def wrong_label_rates(labels: ModalityLabels) -> Tensor | None:
    """Returns the shares of wrong labels (2,), float64; None if the label source knows none."""
    return labels.extras.get(RATES)


def _clamped(probability: Tensor) -> Tensor:
    return probability.clamp(EPSILON, 1 - EPSILON)
