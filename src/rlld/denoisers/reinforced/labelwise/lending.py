"""Classes that no annotated video shows, where others are annotated: how many of their tags go.

They borrow from similar classes of other data sets, in a track where what those say of the
annotated classes is likelier than that all are wrong equally often or never.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rlld.data.rates.borrow import borrowed
from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced.labelwise.judge import Examples
from rlld.types import MODALITIES

LENT = 0.5
"""What stands for a class that borrows its rate, between 1 (taught) and 0 (left alone)."""
FATES = {
    0.0: "all of them were kept",
    LENT: "the least credible went, as many as similar classes of other data sets have",
}
NAMED = 12
"""Classes that a note names."""
LEAST = 20
"""Annotated labels in a track from which their wrong ones say how noisy it is."""
SURE = 0.02
"""No rate is believed to be nearer to 0 or 1 when likelihoods are compared."""


def lent_rates(spec: DataSpec, examples: Examples) -> Tensor:
    """Returns the shares of wrong labels of classes without annotation (2, C), 0 for the others.

    Args:
        spec: The data set.
        examples: Its annotated videos.
    """
    tags = examples.labelled.sum(0).cpu()
    wrong = (examples.labelled & ~examples.present).sum(0).cpu()
    rates = torch.zeros(tags.shape)
    if not spec.priors.borrow:
        return rates
    others = borrowed(spec.name, spec.classes, spec.priors.tags)
    for number, modality in enumerate(MODALITIES):
        told = [others.beliefs[modality][label][0].median() for label in spec.classes]
        margin = told_margin(told, tags[number].tolist(), wrong[number].tolist())
        if margin is not None and margin > 0:
            lent = torch.tensor(told)
            rates[number] = torch.where(tags[number] > 0, 0.0, lent.to(rates))
    return rates


def told_margin(
    told: Sequence[float], tags: Sequence[float], wrong: Sequence[float]
) -> float | None:
    """Returns by how much rates are likelier than that all are equal, or that no label is wrong.

    Args:
        told: The rates by class.
        tags: Annotated labels of each class.
        wrong: How many of them are wrong.

    Returns:
        The difference of logarithms; None where there are too few annotated labels to say it.
    """
    if sum(tags) < LEAST:
        return None
    equal = [sum(wrong) / sum(tags)] * len(told)
    likely = [_likelihood(rates, tags, wrong) for rates in (told, equal, [0.0] * len(told))]
    return likely[0] - max(likely[1:])


def untaught(spec: DataSpec, present: Tensor, taught: Tensor) -> list[str]:
    """Says what became of classes that no annotated video shows, a sentence each.

    Args:
        spec: The data set.
        present: Which classes have tags (C,), bool.
        taught: 1 where annotation taught, ``LENT`` or 0 where it did not (2, C).
    """
    notes = []
    for modality, how in zip(MODALITIES, taught, strict=True):
        for value, fate in FATES.items():
            alone = [spec.classes[c] for c in (present & (how == value)).nonzero()[:, 0].tolist()]
            if alone:
                more = f" and {len(alone) - NAMED} more" if len(alone) > NAMED else ""
                notes.append(
                    f"no annotated video says anything of the {modality} labels of "
                    f"{', '.join(alone[:NAMED])}{more}: {fate}"
                )
    return notes


def _likelihood(rates: Sequence[float], tags: Sequence[float], wrong: Sequence[float]) -> float:
    """Returns the binomial log-likelihood of annotated labels, less what no rate changes."""
    total = 0.0
    for rate, count, absent in zip(rates, tags, wrong, strict=True):
        share = min(max(rate, SURE), 1 - SURE)
        total += absent * math.log(share) + (count - absent) * math.log(1 - share)
    return total
