"""A whole split through a network at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from rlld.data.ragged import by_length
from rlld.data.split import SEGMENTS, Split
from rlld.networks.base import Network
from rlld.types import Batch, Prediction

BATCH = 384
"""Most videos in a forward pass on a CPU, whose caches larger ones leave."""

GPU_BATCH = 4096


@torch.no_grad()
def predict_split(network: Network, split: Split) -> Prediction:
    """Predicts every video of a split, in evaluation mode and the split's precision.

    Args:
        network: The task network; its training mode is put back afterwards.
        split: The videos, on the network's device.

    Returns:
        A prediction of N videos, float32, without extras.
    """
    training = network.training
    network.eval()
    # The embeddings of a whole training split would take more memory than its features.
    parts = [
        (batch.index, replace(network(batch.streams, batch.mask), extras={}))
        for batch in pieces(split)
    ]
    network.train(training)
    return joined(split, parts)


def pieces(split: Split, networks: int = 1, batch_size: int | None = None) -> Iterator[Batch]:
    """Yields the videos of a split in pieces of a size that suits the device.

    Videos of one length come in order and in equal pieces. Others come by length, the shortest
    first; a piece has as many of them as take, with the padding, the same memory.

    Args:
        split: The videos.
        networks: How many networks see a piece at once.
        batch_size: Videos per piece, if they shall have a certain number.
    """
    largest = max(1, (GPU_BATCH if split.device.type == "cuda" else BATCH) // networks)
    if split.lengths is not None:
        for index in by_length(split.lengths, largest * SEGMENTS, batch_size):
            yield split.batch(index)
        return
    size = batch_size or even_batch(len(split), largest)
    everyone = split.all()
    for start in range(0, len(split), size):
        # Slices are views; a batch by index would copy every feature.
        part = slice(start, start + size)
        streams = {name: value[part] for name, value in everyone.streams.items()}
        tracks = None if everyone.tracks is None else everyone.tracks[part]
        yield Batch(streams, everyone.labels[part], everyone.index[part], tracks=tracks)


def joined(split: Split, parts: Sequence[tuple[Tensor, Prediction]]) -> Prediction:
    """Returns the predictions of pieces as one, float32, without extras.

    Args:
        split: The videos.
        parts: Positions in the split and prediction of each piece; together they are all videos.

    Returns:
        The prediction in the order of the split, without events in tracks that a video lacks;
        ``segment`` has its T, and ``mask`` says which are of a video where it has videos of any
        length.
    """
    each = [part for _, part in parts]
    joint = Prediction(
        segment=torch.cat([_lengthened(part.segment.float(), split) for part in each]),
        audio=torch.cat([part.audio.float() for part in each]),
        visual=torch.cat([part.visual.float() for part in each]),
        video=torch.cat([part.video.float() for part in each]),
        held=_joined_held([part.held for part in each]),
    )
    if split.lengths is None:
        return joint.of(split.tracks)
    back = torch.cat([index for index, _ in parts]).argsort()
    audio, visual, video = joint.audio[back], joint.visual[back], joint.video[back]
    held = None if joint.held is None else joint.held[back]
    found = Prediction(joint.segment[back], audio, visual, video, mask=split.mask, held=held)
    return found.of(split.tracks)


def _joined_held(parts: Sequence[Tensor | None]) -> Tensor | None:
    judged = [part for part in parts if part is not None]
    return torch.cat(judged) if judged else None


def _lengthened(segment: Tensor, split: Split) -> Tensor:
    """Returns segment probabilities (B, T_b, 2, C) with the T of the split, 0 behind the end."""
    missing = split.spec.segments - segment.shape[1]
    return pad(segment, (0, 0, 0, 0, 0, missing)) if missing else segment


def even_batch(videos: int, largest: int) -> int:
    """Returns the size of the fewest equal batches that are not above the largest size."""
    return -(-videos // max(1, -(-videos // largest)))
