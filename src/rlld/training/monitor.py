"""What the steps of a round report: their means, and the first that is not finite.

Both are kept on the device, so that no step waits for the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rlld.errors import RlldError


class Totals:
    """Sums of the figures of a round, kept on the device so that no step waits for the host."""

    def __init__(self, sums: dict[str, Tensor] | None = None, count: int = 0) -> None:
        self.sums, self.count = sums or {}, count

    def add(self, names: tuple[str, ...], values: Tensor) -> None:
        """Adds the figures of one step; steps that report other ones are summed apart."""
        key = " ".join(names)
        self.sums[key] = self.sums[key] + values if key in self.sums else values
        self.count += 1

    def means(self) -> dict[str, float]:
        """Returns the mean of each figure over the steps of the round."""
        total: dict[str, float] = {}
        for key, values in self.sums.items():
            for name, value in zip(key.split(), values.tolist(), strict=True):
                total[name] = total.get(name, 0.0) + value
        return {name: value / self.count for name, value in total.items()}


class NotFiniteError(RlldError):
    """A loss, reward or gradient was NaN or infinite; training on would hide it in the weights."""


class Broken(NamedTuple):
    """A step whose numbers are not finite.

    Attributes:
        step: Number of the step, 0-based.
        names: The figures that are not finite.
    """

    step: int
    names: list[str]


class FiniteWatch:
    """Remembers per step, on the device, which figures were finite, until somebody asks."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, Sequence[str]]] = []
        self._finite: list[Tensor] = []

    def see(self, step: int, names: Sequence[str], values: Tensor) -> None:
        """Looks at the figures of a step, named, as one tensor."""
        self._steps.append((step, names))
        self._finite.append(values.isfinite())

    def first_broken(self) -> Broken | None:
        """Returns the first step since the last call with a figure that is not finite."""
        steps, finite = self._steps, self._finite
        self._steps, self._finite = [], []
        if not finite or torch.cat(finite).all():
            return None
        for (step, names), fine in zip(steps, finite, strict=True):
            broken = [name for name, good in zip(names, fine.tolist(), strict=True) if not good]
            if broken:
                return Broken(step, broken)
        return None


def gradient_norm(parameters: Iterable[Tensor]) -> Tensor:
    """Returns the norm of all gradients together, a scalar that one NaN or infinity spoils."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
