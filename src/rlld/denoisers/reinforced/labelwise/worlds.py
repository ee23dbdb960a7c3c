"""How many tags of a class are wrong where nobody looked: what other data sets say, and the data.

A tag that is often wrong in a track is hard to predict from it. So how well each class is predicted
tells which of three worlds the data are from: classes are as often wrong as in other data sets; as
often, but not the same ones; or no tag is wrong. In each of them it also says more of every class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlld.data.rates.borrow import CAP, CLEAR, Beta, Borrowed, borrowed
from rlld.data.spec import DataSpec
from rlld.types import MODALITIES

WORLDS = {
    "as often wrong as in other data sets": 0.6,
    "wrong, but not the classes that are in other data sets": 0.2,
    "right": 0.2,
}
"""What a track's tags may be, and how probable that is before any data."""
LEAST = 20
"""A class with fewer tagged or untagged videos tells nothing by how well it is predicted."""
LOSS, LOSSES = 0.7, 0.15
"""Share of what lies between an area and chance that is lost where all tags of a class are wrong,
and its standard deviation: over data sets, and again over the classes of one. All of it would be
lost, were wrong tags like untagged videos; they come with what is there instead, and the better a
network sees that, the less is lost (0.4 on simulated features of LLP's dimensions)."""
SPREAD, FLOOR = 0.15, 0.01
"""Standard deviation of the areas of classes without a wrong tag: a share of what they lack to 1,
and at least so much."""
ENOUGH, OTHERS = 30, 8
"""An area of more tagged videos, or of more untagged ones by a factor, counts as one of so many:
why a class is hard is not known any better by then. These numbers were chosen on 21 simulated sets
and five of real clips, LOSSES and SPREAD on 21 more, half of them of LLP's dimensions."""
CEILINGS = torch.linspace(0.55, 0.999, 46, dtype=torch.float64)
"""Areas that classes without a wrong tag may have."""
LOST = torch.linspace(0.2, 1.2, 11, dtype=torch.float64)
"""Shares that may be lost in a data set."""
ODDS = torch.linspace(-60, 20, 321, dtype=torch.float64)
"""Log odds of rates; in them the density of a rate has no pole."""


@dataclass(frozen=True)
class Fit:
    """What is supposed of a data set without annotation.

    Attributes:
        rates: Shares of the tags that are wrong (2, C); 0 where nothing may be supposed.
        worlds: How probable each of ``WORLDS`` is (2, 3); zeros in a track that was not judged.
    """

    rates: Tensor
    worlds: Tensor

    def within(self, tracks: Tensor) -> Fit:
        """Returns what is supposed of some tracks (2, 1), bool; nothing of the others."""
        return Fit(*(torch.where(tracks, each, 0.0) for each in (self.rates, self.worlds)))


def nothing(logits: Tensor) -> Fit:
    """Returns what is supposed where nothing may be: no wrong tag."""
    return Fit(torch.zeros_like(logits[0]), logits.new_zeros(2, len(WORLDS)))


def fitted(logits: Tensor, labels: Tensor, spec: DataSpec, tracks: Tensor | None = None) -> Fit:
    """Judges what other data sets say of the classes of a data set that borrows.

    Args:
        logits: Evidence (N, 2, C), out of fold, of networks that were trained on the bare tags.
        labels: Weak labels (N, C).
        spec: The data set.
        tracks: Which tracks the videos have (N, 2), bool; None where each has both. A video tells
            nothing of one that it lacks.
    """
    others = borrowed(spec.name, spec.classes, spec.priors.tags)
    fit = nothing(logits)
    for number, name in enumerate(MODALITIES):
        if CLEAR.get(others.origin) == name:
            continue
        there = slice(None) if tracks is None else tracks[:, number]
        found, chances = _judged(logits[there, number], labels[there], others, name)
        fit.rates[number] = found.clamp(max=CAP if others.origin == "unknown" else 1.0)
        fit.worlds[number] = chances
    return fit


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


def variance(area: Tensor, labels: Tensor) -> Tensor:
    """Returns the sampling variance of areas (C,) by Hanley and McNeil (1982), at most ENOUGH."""
    tagged = labels.sum(0).double()
    positives = tagged.clamp(max=ENOUGH)
    negatives = (len(labels) - tagged).clamp(max=OTHERS * ENOUGH)
    twice_right, twice_wrong = area / (2 - area), 2 * area.square() / (1 + area)
    own = (positives - 1) * (twice_right - area.square())
    other = (negatives - 1) * (twice_wrong - area.square())
    return (area * (1 - area) + own + other) / (positives * negatives).clamp(min=1)


def posterior(area: Tensor, noise: Tensor, densities: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the rates of one track by Bayes' rule.

    The area of a class is taken to be normal about ``A - L * (A - 1/2) * rate``: ``A`` a ceiling
    that all classes share and nothing is known of, ``L`` what is lost, normal about ``LOSS``. Its
    variance is that of the sample, of what classes are by themselves (``SPREAD``), and of what they
    lose by wrong tags (``LOSSES``).

    Args:
        area: How well each class is predicted (C,); NaN where that is not known.
        noise: Sampling variance of the areas (C,).
        densities: Probability of each rate of ``ODDS`` in each world (3, C, G).

    Returns:
        Mean rates (C,) and how probable each world is (3,), float64.
    """
    shares = ODDS.sigmoid()
    before = torch.tensor(list(WORLDS.values()), dtype=torch.float64).log()
    before = before - ((LOST[:, None] - LOSS) / LOSSES).square() / 2  # (L, 3)
    evidence, means = [], []
    for ceiling in CEILINGS:
        lost = (ceiling - 0.5) * shares
        hard = (SPREAD * (1 - ceiling)) ** 2 + FLOOR**2 + (LOSSES * lost).square()
        spread = noise[:, None] + hard
        off = area[:, None] - ceiling + LOST[:, None, None] * lost  # (L, C, G)
        log = -(off.square() / spread + spread.log()).nan_to_num(nan=0.0) / 2
        top = log.amax(-1, keepdim=True)
        seen = (log - top).exp()
        total = torch.einsum("lcg,wcg->lwc", seen, densities).clamp(min=1e-300)
        evidence.append((total.log() + top.mT).sum(-1) + before)
        means.append(torch.einsum("lcg,wcg->lwc", seen, densities * shares) / total)
    chances = torch.stack(evidence)  # (A, L, 3)
    chances = (chances - chances.logsumexp((0, 1, 2))).exp()
    rates = (chances[..., None] * torch.stack(means)).sum((0, 1, 2))
    return rates, chances.sum((0, 1))


def _judged(
    evidence: Tensor, labels: Tensor, others: Borrowed, modality: str
) -> tuple[Tensor, Tensor]:
    """Returns mean rates (C,) and worlds (3,) of a track."""
    area, known = areas(evidence.cpu(), labels.cpu())
    noise = variance(area, labels.cpu())
    beliefs = [belief for belief, _ in others.beliefs[modality].values()]
    like = np.stack([_density(belief) for belief in beliefs])
    other = np.broadcast_to(_density(others.start[modality]), like.shape)
    right = np.zeros_like(like)
    right[:, 0] = 1.0
    densities = torch.from_numpy(np.stack([like, other, right]))
    return posterior(torch.where(known, area, torch.nan), noise, densities)


def _density(belief: Beta) -> NDArray[np.float64]:
    """Returns the probability of each rate of ``ODDS`` (G,)."""
    odds = ODDS.numpy()
    log = -belief.wrong * np.logaddexp(0, -odds) - belief.right * np.logaddexp(0, odds)
    density = np.exp(log - log.max())
    found: NDArray[np.float64] = density / density.sum()
    return found
