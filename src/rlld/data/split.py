"""One split of a data set as tensors, resident on a device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.types import Batch

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec


@dataclass(frozen=True)
class Split:
    """Videos with features and labels.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        spec: The data set.
        ids: Video ids, N of them.
        streams: Features by stream name, each (N, T, D).
        labels: Weak labels (N, C), 0 or 1, float32.
        dense: Dense annotation (N, T, 2, C), bool, None where a split has none.
        truth: True events of training videos (N, T, 2, C), bool; known in simulations only, for
            measuring how well labels were cleaned, never for training.
    """

    name: str
    spec: DataSpec
    ids: tuple[str, ...]
    streams: dict[str, Tensor]
    labels: Tensor
    dense: Tensor | None = None
    truth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.labels.device

    def batch(self, index: Tensor) -> Batch:
        """Returns the videos at ``index`` (B,), int64, on the split's device."""
        streams = {name: value[index] for name, value in self.streams.items()}
        return Batch(streams, self.labels[index], index)

    def all(self) -> Batch:
        """Returns every video as one batch."""
        return Batch(self.streams, self.labels, torch.arange(len(self), device=self.device))

    def require_dense(self) -> Tensor:
        """Returns the dense annotation (N, T, 2, C).

        Raises:
            RlldError: If the split has none.
        """
        if self.dense is None:
            raise RlldError(f"the {self.name} split has no dense annotation; scores need one")
        return self.dense

    def subset(self, index: Tensor) -> Split:
        """Returns the videos at ``index`` (n,) as a split of the same name."""
        return replace(
            self,
            ids=tuple(self.ids[int(i)] for i in index),
            streams={name: value[index] for name, value in self.streams.items()},
            labels=self.labels[index],
            dense=None if self.dense is None else self.dense[index],
            truth=None if self.truth is None else self.truth[index],
        )

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Split:
        """Returns the split on a device, its features in ``dtype`` when one is given."""
        return replace(
            self,
            streams={name: v.to(device, dtype or v.dtype) for name, v in self.streams.items()},
            labels=self.labels.to(device),
            dense=None if self.dense is None else self.dense.to(device),
            truth=None if self.truth is None else self.truth.to(device),
        )
