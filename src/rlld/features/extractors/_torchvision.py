"""Networks of torchvision with published weights, as describers of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.features.extractors._towers import load_whole, read_state

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

URL = "https://download.pytorch.org/models/"
COUNTER = "num_batches_tracked"
"""Ending of counters that older published files lack; they matter in training alone."""


class Backbone:
    """A network without its classifier.

    Args:
        make: Makes the network, with a classifier ``fc``.
        path: File of its weights.
        mean: Mean of red, green and blue in [0, 1] that the weights were trained with.
        std: Their standard deviation.

    Raises:
        RlldError: If the file is damaged or holds other weights.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        path: Path,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        import torch

        with torch.device("meta"):  # no random weights: all of them are replaced
            network = make()
        self._network = network.to_empty(device="cpu")
        counters = {
            name: torch.tensor(0) for name in network.state_dict() if name.endswith(COUNTER)
        }
        load_whole(self._network, {**counters, **read_state(path)}, path)
        self._network.fc = torch.nn.Identity()
        self._scale = 1.0 / (255.0 * torch.tensor(std))
        self._shift = -torch.tensor(mean) / torch.tensor(std)

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._network.to(device)
        self._scale, self._shift = self._scale.to(device), self._shift.to(device)

    def rows(self, items: Sequence[NDArray[np.uint8]], at_once: int) -> NDArray[np.float32]:
        """Describes pictures (H, W, 3) or snippets (T, H, W, 3), all of one shape.

        Args:
            items: At least one.
            at_once: How many the network gets at once.

        Returns:
            One row each (len(items), D).
        """
        import torch

        with torch.inference_mode():
            parts = [
                self._network(self.inputs(np.stack(items[start : start + at_once]))).cpu()
                for start in range(0, len(items), at_once)
            ]
            described: NDArray[np.float32] = torch.cat(parts).numpy()
        return described

    def inputs(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Returns what the network gets for RGB pixels (N, ..., 3): normalised (N, 3, ...)."""
        import torch

        # Bytes go to the device, a quarter of what they become there.
        raw = torch.from_numpy(pixels).to(self._scale.device)
        return (raw * self._scale + self._shift).movedim(-1, 1)
