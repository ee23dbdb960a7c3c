"""What the steps of a round report, summed where it was computed."""

from __future__ import annotations

from torch import Tensor


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
