"""Which tracks a video has: a clip without sound, or without pictures, has zeros for features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from rlld.types import AUDIO, STREAMS, VISUAL

ROWS = 1024
"""Videos, or segments, that are looked at together."""


def tracks_of(streams: Mapping[str, Tensor], lengths: Tensor | None) -> Tensor:
    """Returns which tracks videos have (N, 2), bool: those with a feature that is not zero.

    Args:
        streams: Features by stream name, each (N, T, D), or packed (R, D) where there are lengths.
        lengths: Segments of each video (N,), int64; None where all have T.
    """
    found: tuple[list[Tensor], list[Tensor]] = [], []
    for name, value in streams.items():
        found[AUDIO if name == STREAMS[0] else VISUAL].append(_there(value, lengths))
    return torch.stack([torch.stack(each).any(0) for each in found], 1)


def empty_tracks(streams: Mapping[str, Tensor]) -> list[int]:
    """Returns the tracks of which no video has a feature that is not zero.

    Args:
        streams: As for ``tracks_of``; they are read up to the first such feature.
    """
    return [
        track
        for track in (AUDIO, VISUAL)
        if not any(
            bool(part.any())
            for name, value in streams.items()
            if (name == STREAMS[0]) == (track == AUDIO)
            for part in torch.split(value, ROWS)
        )
    ]


def _there(value: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns which videos have a value that is not zero (N,), bool."""
    if lengths is not None:
        owner = torch.arange(len(lengths), device=value.device).repeat_interleave(lengths)
        return torch.bincount(owner[value.any(1)], minlength=len(lengths)) > 0
    # Nearly all tell it by their first segment; the features of a large set are not read for it.
    found = value[:, 0].any(1)
    silent = (~found).nonzero()[:, 0]
    found[silent] = value[silent].flatten(1).any(1)
    return found
