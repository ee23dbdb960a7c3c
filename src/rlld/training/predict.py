"""A whole split through a network at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.networks.base import Network
from rlld.types import Prediction

BATCH = 384
"""Most videos in a forward pass on a CPU, whose caches larger ones leave."""

GPU_BATCH = 4096

Streams = dict[str, Tensor]


@torch.no_grad()
def predict_split(network: Network, split: Split, batch_size: int | None = None) -> Prediction:
    """Predicts every video of a split, in evaluation mode and the split's precision.

    Args:
        network: The task network; its training mode is put back afterwards.
        split: The videos, on the network's device.
        batch_size: Videos per forward pass; by default as many as suit the device, evenly.

    Returns:
        A prediction of N videos, float32, without extras.
    """
    training = network.training
    network.eval()
    # The embeddings of a whole training split would take more memory than its features.
    parts = [replace(network(streams), extras={}) for streams in pieces(split, 1, batch_size)]
    network.train(training)
    return joined(parts)


def pieces(split: Split, networks: int = 1, batch_size: int | None = None) -> Iterator[Streams]:
    """Yields the features of a split in equal pieces of a size that suits the device.

    Args:
        split: The videos.
        networks: How many networks see a piece at once.
        batch_size: Videos per piece, if they shall have a certain number.
    """
    largest = GPU_BATCH if split.device.type == "cuda" else BATCH
    size = batch_size or even_batch(len(split), max(1, largest // networks))
    for start in range(0, len(split), size):
        # Slices are views; a batch by index would copy every feature.
        yield {name: value[start : start + size] for name, value in split.streams.items()}


def joined(parts: Sequence[Prediction]) -> Prediction:
    """Returns the predictions of pieces as one, float32, without extras."""
    return Prediction(
        segment=torch.cat([part.segment.float() for part in parts]),
        audio=torch.cat([part.audio.float() for part in parts]),
        visual=torch.cat([part.visual.float() for part in parts]),
        video=torch.cat([part.video.float() for part in parts]),
    )


def even_batch(videos: int, largest: int) -> int:
    """Returns the size of the fewest equal batches that are not above the largest size."""
    return -(-videos // max(1, -(-videos // largest)))
