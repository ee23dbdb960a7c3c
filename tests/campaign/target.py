"""What a target of the campaign is: a function that makes a case and gives it to the product."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from campaign.samples import Samples

Case = Callable[[random.Random, Path, Samples], None]
"""Draws a case, writes its files into an empty folder, and lets the product read them."""


class Target(NamedTuple):
    """A target, and its share of the cases."""

    case: Case
    weight: float


TARGETS: dict[str, Target] = {}


def target(weight: float) -> Callable[[Case], Case]:
    """Registers a function as a target under its name."""

    def registered(case: Case) -> Case:
        TARGETS[case.__name__] = Target(case, weight)
        return case

    return registered
