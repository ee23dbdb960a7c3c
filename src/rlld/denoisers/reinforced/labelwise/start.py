"""The policy without features that starts from what is supposed before anybody looked.

It is the one where few videos are annotated, or questions were drawn by lot with known
probabilities, so that answers are a fair sample when each counts by the inverse of its. Evidence
says which labels of a class are the least credible, the start how many go, and few answers put
that right; alone, they would say it worse than the start does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.data.rates.supposed import supposed
from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced.labelwise.evidence import LEAST
from rlld.denoisers.reinforced.labelwise.judge import Examples, Judge, minimise
from rlld.denoisers.reinforced.labelwise.lending import LENT, told_margin
from rlld.denoisers.reinforced.labelwise.worlds import Fit

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
    """

    offsets: Tensor
    middle: Tensor
    known: Tensor
    taught: Tensor


def starts(examples: Examples) -> bool:
    """Says whether a policy starts from what is supposed: by few videos, or answers by lot."""
    return examples.weights is not None or len(examples.videos) < LEAST


def start_of(
    spec: DataSpec, claims: Tensor, logits: Tensor, examples: Examples, fit: Fit
) -> Start | None:
    """Returns what a policy starts from.

    Args:
        spec: The data set.
        claims: Labels of the training videos, of tracks that there are (N, 2, C), bool.
        logits: Evidence for them (N, 2, C), out of fold.
        examples: The annotated videos, for which ``starts`` holds.
        fit: What is supposed, by evidence of networks that were trained on the bare tags.

    Returns:
        The start; None where nothing is supposed and no answer has a probability.
    """
    known = logits.new_zeros(2, 1, dtype=torch.bool)
    tags = examples.labelled.sum(0)
    wrong = (examples.labelled & ~examples.present).sum(0)
    for number, told in enumerate(supposed(spec).values()):
        if len(told) < len(spec.classes):
            continue
        shares = fit.rates[number].tolist()
        margin = told_margin(shares, tags[number].tolist(), wrong[number].tolist())
        known[number] = margin is None or margin > -AGAINST
    if examples.weights is None and not known.any():
        return None
    rates = torch.where(known, fit.rates, 0.0)
    middle = torch.where(claims, logits, 0.0).sum(0) / claims.sum(0).clamp(min=1)
    offsets = _offsets(logits - middle, claims, rates.clamp(SURE, 1 - SURE))
    taught = torch.where(known, LENT, 0.0).expand_as(rates)
    return Start(
        torch.where(known, offsets, 0.0),
        middle,
        known,
        torch.where(examples.taught, 1.0, taught),
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


def teach_from_start(judge: Judge, examples: Examples, start: Start, ridge: float) -> None:
    """Fits a judge without features to answers, which count by the inverse of their probabilities.

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
