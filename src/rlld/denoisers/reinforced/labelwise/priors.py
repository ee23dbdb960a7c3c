"""Without any annotated video: how many labels of a class are wrong, and which.

Evidence ranks the labels of a class well without any annotation, but does not tell how many are
wrong. A person who knows the classes does, roughly: ``priors`` of ``dataset.yaml``. Classes that it
is silent of borrow the rate of similar classes of other data sets (``rlld.data.rates``). Where that
is not wanted, a class whose tag is hard to predict from a modality is taken to be often absent.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from rlld.data.rates.borrow import borrowed
from rlld.data.rates.supposed import supposed
from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced.labelwise.agreement import Agreement, agreement, areas
from rlld.types import MODALITIES, VISUAL

EASY = 0.9
"""Quantile over the classes of the AUC that a class without noise is taken to reach."""

VERBS = ("heard", "seen")


def prior_keep(logits: Tensor, labels: Tensor, rates: Tensor) -> Tensor:
    """Returns the logit of each class and modality below which a label is removed (2, C).

    Args:
        logits: Evidence for the event in the modality (N, 2, C), out of fold.
        labels: Weak labels (N, C).
        rates: Shares of the labels that are wrong (2, C).
    """
    # Below every label of the class: nothing is removed, and the evidence still ranks.
    tagged_logits = torch.where(labels.bool()[:, None], logits, torch.inf)
    cutoffs = tagged_logits.amin(0).nan_to_num(posinf=0.0) - 1
    for modality, label in rates.nonzero().tolist():
        tagged = logits[labels[:, label] > 0, modality, label]
        removed = int(torch.floor(rates[modality, label] * len(tagged)))
        if removed:
            ordered = tagged.sort().values
            upper = ordered[min(removed, len(ordered) - 1)]
            cutoffs[modality, label] = (ordered[removed - 1] + upper) / 2
    return cutoffs


def doubts(logits: Tensor, labels: Tensor, spec: DataSpec) -> dict[str, Agreement]:
    """Returns the modalities in which borrowed rates do not fit the data, and how little they do.

    Args:
        logits: Evidence (N, 2, C), out of fold, of networks that were trained on the bare tags.
        labels: Weak labels (N, C).
        spec: The data set.
    """
    if not spec.priors.borrow:
        return {}
    others = borrowed(spec.name, spec.classes, spec.priors.tags)
    found = {}
    for number, modality in enumerate(MODALITIES):
        shares = [others.rate(modality, label).share for label in spec.classes]
        fit = agreement(torch.tensor(shares, device=logits.device), logits[:, number], labels)
        if not fit.holds:
            found[modality] = fit
    return found


def prior_rates(
    logits: Tensor, labels: Tensor, spec: DataSpec, doubted: Collection[str] = ()
) -> Tensor:
    """Returns the share of each class's labels that is taken to be wrong (2, C).

    Those of ``supposed``; who borrows nothing and gives no number gets, for the visual track alone,
    what follows from how well the tag can be predicted (findings: audio evidence says how hard a
    class is, not how noisy its tag).

    Args:
        logits: Evidence (N, 2, C), out of fold.
        labels: Weak labels (N, C).
        spec: The data set.
        doubted: Modalities in which nothing is borrowed.
    """
    rates = torch.zeros(2, labels.shape[1], device=logits.device)
    found = supposed(spec, doubted)
    if not spec.priors.borrow and not any(found.values()):
        rates[VISUAL] = predictability_rates(logits[:, VISUAL], labels)
        return rates
    for modality, name in enumerate(MODALITIES):
        for label, rate in found[name].items():
            rates[modality, spec.taxonomy.index(label)] = rate.share
    return rates


def told(spec: DataSpec, labels: Tensor, doubted: Collection[str] = ()) -> list[str]:
    """Says what is supposed of the classes that are tagged (N, C), a line each."""
    found = supposed(spec, doubted)
    lines = []
    for number in labels.any(0).nonzero()[:, 0].tolist():
        label = spec.classes[number]
        parts = [
            f"{rate.share:.0%} not {verb} ({rate.because})"
            for name, verb in zip(MODALITIES, VERBS, strict=True)
            if (rate := found[name].get(label)) is not None
        ]
        if parts:
            lines.append(f"{label}: {', '.join(parts)}")
    return lines


def predictability_rates(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns (A90 - A) / (A90 - 1/2) per class (C,), A the AUC of tagged against untagged videos.

    A90 is the 90th percentile of A over the classes.

    Args:
        logits: Evidence in one modality (N, C), out of fold.
        labels: Weak labels (N, C).
    """
    area, known = areas(logits, labels)
    if not bool(known.any()):
        return torch.zeros(labels.shape[1], device=logits.device)
    easy = torch.quantile(area[known], EASY)
    rates = ((easy - area) / (easy - 0.5).clamp(min=1e-6)).clamp(0, 1)
    return torch.where(known, rates, 0.0).float()
