"""The policy without features where questions were drawn by lot, with known probabilities.

Then answers are a fair sample when each counts by the inverse of its probability, and what is
known of similar classes of other data sets is a start that few of them put right: evidence says
which labels of a class are the least credible, the start how many go.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.data.rates.supposed import supposed
from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced.labelwise.judge import Examples, Judge, minimise
from rlld.denoisers.reinforced.labelwise.lending import LENT, told_margin
from rlld.denoisers.reinforced.labelwise.priors import prior_rates

SURE = 0.02
"""No rate is supposed to be nearer to 0 or 1."""
SLOPE, TRUST = 1.0, 1.0
"""Slope of the evidence where rates are supposed, and the weight of its squared distance."""
COMMON, OWN, SCALE = 1.0, 2.0, 5.0
"""Weights of squared distances from the start: of the offset of a track, of those of its classes,
and of the scale of what is supposed. Chosen on simulated data with learnt evidence."""
AGAINST = 2.0
"""Log-likelihood by which answers must contradict what is supposed before it is dropped."""
STEPS = 60


@dataclass(frozen=True)
class Start:
    """What is supposed before any answer.

    Attributes:
        offsets: About the middle, so that as many labels go as are supposed to be wrong (2, C); 0
            in a track of which nothing is supposed.
        middle: Mean evidence of the tagged training videos (2, C).
        known: In which track something is supposed (2, 1), bool.
        taught: 1 where answers teach, ``LENT`` where something is supposed, 0 elsewhere (2, C).
        doubted: Tracks in which what is supposed does not fit the tags.
    """

    offsets: Tensor
    middle: Tensor
    known: Tensor
    taught: Tensor
    doubted: tuple[str, ...]


def start_of(
    spec: DataSpec,
    labels: Tensor,
    logits: Tensor,
    examples: Examples,
    doubted: Collection[str] | None = None,
) -> Start | None:
    """Returns what is supposed where questions were drawn, None where none was.

    Args:
        spec: The data set.
        labels: Weak labels of the training videos (N, C).
        logits: Evidence for them (N, 2, C), out of fold.
        examples: The annotated videos.
        doubted: Tracks in which what is supposed does not fit, as evidence from the bare tags said;
            None where this is such evidence.
    """
    if examples.weights is None:
        return None
    unfit = prior_rates(logits, labels, spec).doubted if doubted is None else tuple(doubted)
    rates, known = torch.zeros_like(logits[0]), logits.new_zeros(2, 1, dtype=torch.bool)
    tags = examples.labelled.sum(0)
    wrong = (examples.labelled & ~examples.present).sum(0)
    for number, (modality, told) in enumerate(supposed(spec).items()):
        if len(told) < len(spec.classes):
            continue
        shares = [told[label].share for label in spec.classes]
        margin = told_margin(shares, tags[number].tolist(), wrong[number].tolist())
        known[number] = modality not in unfit if margin is None else margin > -AGAINST
        rates[number] = torch.tensor(shares).to(rates)
    tagged = labels.bool()[:, None]
    middle = torch.where(tagged, logits, 0.0).sum(0) / tagged.sum(0).clamp(min=1)
    offsets = _offsets(logits - middle, tagged, rates.clamp(SURE, 1 - SURE))
    taught = torch.where(known, LENT, 0.0).expand_as(rates)
    return Start(
        torch.where(known, offsets, 0.0),
        middle,
        known,
        torch.where(examples.taught, 1.0, taught),
        unfit,
    )


def _offsets(evidence: Tensor, tagged: Tensor, rates: Tensor) -> Tensor:
    """Returns what evidence (N, 2, C) lacks so that the mean tag is wrong with its rate (2, C)."""
    low, high = torch.full_like(rates, -30.0), torch.full_like(rates, 30.0)
    for _ in range(STEPS):
        middle = (low + high) / 2
        right = torch.where(tagged, (evidence + middle).sigmoid(), 0.0).sum(0)
        few = right < (1 - rates) * tagged.sum(0)
        low, high = torch.where(few, middle, low), torch.where(few, high, middle)
    return (low + high) / 2


def teach_drawn(judge: Judge, examples: Examples, start: Start, ridge: float) -> None:
    """Fits a judge without features to answers that count by the inverse of their probabilities.

    In a track of which nothing is supposed this is ``teach_offsets`` with weights.

    Args:
        judge: The judge; changed in place.
        examples: The annotated videos.
        start: What is supposed.
        ridge: As in ``teach_offsets``.
    """
    device = examples.states.device
    common = torch.zeros(2, 1, device=device, requires_grad=True)
    scale = torch.ones(2, 1, device=device, requires_grad=True)
    own = torch.zeros_like(judge.offset, requires_grad=True)
    labelled, target = examples.labelled, examples.present.float()
    weights = torch.ones_like(examples.states) if examples.weights is None else examples.weights
    slope, trust = (torch.where(start.known, *pair) for pair in ((SLOPE, 0.5), (TRUST, 0.1)))
    near = torch.where(start.known, OWN, ridge)
    middle, beside = (
        torch.where(start.known, each, 0.0) for each in (start.middle, start.middle.flip(0))
    )

    def offset() -> Tensor:
        about = judge.own * middle + judge.other * beside
        return common + scale * start.offsets + own - about

    def loss() -> Tensor:
        logits = judge.own * examples.states + judge.other * examples.states.flip(1) + offset()
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        held = (near * own.square()).sum() + ridge * judge.other.square().sum()
        held = held + (trust * (judge.own - slope).square()).sum()
        held = held + COMMON * (start.known * common.square()).sum()
        held = held + SCALE * (scale - 1).square().sum()
        return (weights * losses)[labelled].sum() + held

    minimise(loss, [judge.own, judge.other, common, scale, own], 100)
    with torch.no_grad():
        judge.offset.copy_(offset())
    judge.eval()
