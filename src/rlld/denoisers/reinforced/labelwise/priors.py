"""Without any annotated video: how many labels of a class are wrong, and which.

Evidence ranks the labels of a class well without any annotation, but does not tell how many are
wrong. A person who knows the classes does, roughly: ``priors`` of ``dataset.yaml``. Classes that it
is silent of borrow the rate of similar classes of other data sets (``rlld.data.rates``). Where that
is not wanted, a class whose tag is hard to predict from a modality is taken to be often absent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from rlld.data.rates.borrow import Rate
from rlld.data.rates.supposed import supposed
from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced.labelwise.worlds import LEAST, WORLDS, Fit, areas, fitted, nothing
from rlld.types import MODALITIES, VISUAL

EASY = 0.9
"""Quantile over the classes of the AUC that a class without noise is taken to reach."""

VERBS = ("heard", "seen")


def prior_keep(logits: Tensor, claims: Tensor, rates: Tensor) -> Tensor:
    """Returns the logit of each class and modality below which a label is removed (2, C).

    Args:
        logits: Evidence for the event in the modality (N, 2, C), out of fold.
        claims: Labels, of tracks that there are (N, 2, C), bool; see ``Split.claims``.
        rates: Shares of the labels that are wrong (2, C).
    """
    # Below every label of the class: nothing is removed, and the evidence still ranks.
    tagged_logits = torch.where(claims, logits, torch.inf)
    cutoffs = tagged_logits.amin(0).nan_to_num(posinf=0.0) - 1
    for modality, label in rates.nonzero().tolist():
        tagged = logits[claims[:, modality, label], modality, label]
        removed = int(torch.floor(rates[modality, label] * len(tagged)))
        if removed:
            ordered = tagged.sort().values
            upper = ordered[min(removed, len(ordered) - 1)]
            cutoffs[modality, label] = (ordered[removed - 1] + upper) / 2
    return cutoffs


def prior_rates(
    logits: Tensor, labels: Tensor, spec: DataSpec, tracks: Tensor | None = None
) -> Fit:
    """Returns the share of each class's labels that is taken to be wrong.

    A person's number counts; other rates are borrowed as far as they fit the data. Who borrows
    nothing and gives no number gets, for the visual track alone, what follows from how well the tag
    can be predicted (findings: audio evidence says how hard a class is, not how noisy its tag).

    Args:
        logits: Evidence (N, 2, C), out of fold, of networks that were trained on the bare tags.
        labels: Weak labels (N, C).
        spec: The data set.
        tracks: Which tracks the videos have (N, 2), bool; None where each has both.
    """
    priors = spec.priors
    found = fitted(logits, labels, spec, tracks) if priors.borrow else nothing(logits)
    if not (priors.borrow or priors.audio or priors.visual):
        seen = slice(None) if tracks is None else tracks[:, VISUAL]
        found.rates[VISUAL] = predictability_rates(logits[seen, VISUAL], labels[seen])
    for modality, own in enumerate((priors.audio, priors.visual)):
        for label, share in own.items():
            found.rates[modality, spec.taxonomy.index(label)] = share
    return found


def told_tracks(fit: Fit) -> list[str]:
    """Says what is taken of each track that was judged, a line each."""
    return [
        f"{name} track: tags are taken to be {_world(chances)}"
        for name, chances in zip(MODALITIES, fit.worlds.tolist(), strict=True)
        if any(chances)
    ]


def told(spec: DataSpec, labels: Tensor, fit: Fit) -> list[str]:
    """Says what is taken of the tracks and of the classes that are tagged (N, C), a line each."""
    found = supposed(spec)
    dropped = [
        name
        for name, rates, chances in zip(MODALITIES, fit.rates, fit.worlds, strict=True)
        if not (rates.any() or chances.any()) and _supposes(found[name], spec)
    ]
    found.update((name, {}) for name in dropped)
    lines = told_tracks(fit) + [
        f"{name} track: annotated labels contradict what is supposed of it, and decide alone"
        for name in dropped
    ]
    for number in labels.any(0).nonzero()[:, 0].tolist():
        label = spec.classes[number]
        parts = [
            f"{share:.0%} not {verb} ({_because(rate, share)})"
            for name, verb, share in zip(
                MODALITIES, VERBS, fit.rates[:, number].tolist(), strict=True
            )
            if (rate := found[name].get(label)) is not None
        ]
        if parts:
            lines.append(f"{label}: {', '.join(parts)}")
    return lines


def _supposes(rates: Mapping[str, Rate], spec: DataSpec) -> bool:
    """Says whether something is supposed of a whole track, and not that its tags are right."""
    return len(rates) == len(spec.classes) and any(rate.share for rate in rates.values())


def _world(chances: list[float]) -> str:
    """Says which world a track is most probably of, and by what."""
    world = max(zip(chances, WORLDS, strict=True))
    why = "by how well each class can be predicted from it"
    if np.allclose(chances, list(WORLDS.values())):
        why = f"before any look: no class has {LEAST} tagged and {LEAST} other videos"
    return f"{world[1]} ({world[0]:.0%} likely, {why})"


def _because(rate: Rate, share: float) -> str:
    """Says where a share comes from that may not be the one that was borrowed."""
    same = f"{rate.share:.0%}" == f"{share:.0%}"
    return rate.because if same else f"borrowed {rate.share:.0%}: {rate.because}"


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
