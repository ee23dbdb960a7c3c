"""What is supposed of the wrong tags of a data set before anybody looked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlld.data.rates.borrow import Rate, borrowed
from rlld.types import MODALITIES

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec


def supposed(spec: DataSpec) -> dict[str, dict[str, Rate]]:
    """Returns the rates that are known before training, by modality and class.

    A person's number counts before one that is borrowed; nothing is known of a data set that
    borrows nothing and gives no number.

    Args:
        spec: The data set.
    """
    priors = spec.priors
    others = borrowed(spec.name, spec.classes, priors.tags) if priors.borrow else None
    found: dict[str, dict[str, Rate]] = {}
    for modality in MODALITIES:
        own: Mapping[str, float] = getattr(priors, modality)
        rates = {}
        for label in spec.classes:
            if label in own:
                rates[label] = Rate(own[label], "dataset.yaml")
            elif others is not None:
                rates[label] = others.rate(modality, label)
        found[modality] = rates
    return found
