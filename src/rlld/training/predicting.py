"""A whole split through a network at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.metrics.gates import Gate
from rlld.networks.base import Network
from rlld.types import Prediction

BATCH = 256


@torch.no_grad()
def predict_split(network: Network, split: Split, batch_size: int = BATCH) -> Prediction:
    """Predicts every video of a split, in evaluation mode and the split's precision.

    Args:
        network: The task network; its training mode is put back afterwards.
        split: The videos, on the network's device.
        batch_size: Videos per forward pass.

    Returns:
        A prediction of N videos, float32, without extras.
    """
    training = network.training
    network.eval()
    parts = []
    for start in range(0, len(split), batch_size):
        # Slices are views; a batch by index would copy every feature.
        rows = slice(start, start + batch_size)
        part = network({name: value[rows] for name, value in split.streams.items()})
        # The embeddings of a whole training split would take more memory than its features.
        parts.append(replace(part, extras={}))
    network.train(training)
    return Prediction(
        segment=torch.cat([part.segment.float() for part in parts]),
        audio=torch.cat([part.audio.float() for part in parts]),
        visual=torch.cat([part.visual.float() for part in parts]),
        video=torch.cat([part.video.float() for part in parts]),
    )


def predicted_map(network: Network, split: Split, gate: Gate) -> Tensor:
    """Returns the gated 0/1 prediction of every video (N, T, 2, C), bool."""
    return gate.apply(predict_split(network, split))
