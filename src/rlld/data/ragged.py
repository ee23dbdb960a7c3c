"""Videos of unequal length in one tensor: packed rows, and padded places."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def within(lengths: Tensor, segments: int) -> Tensor:
    """Returns which places are of a video (N, segments), bool.

    Args:
        lengths: Segments of each video (N,), int64.
        segments: Places for each.

    Examples:
        >>> within(torch.tensor([1, 3]), 3).int().tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(segments, device=lengths.device) < lengths[:, None]


def rows_of(first: Tensor, lengths: Tensor) -> Tensor:
    """Returns the packed rows of some videos, one video after the other (n,), int64.

    Args:
        first: First row of each video (N,), int64.
        lengths: Segments of each video (N,), int64.

    Examples:
        >>> rows_of(torch.tensor([5, 0]), torch.tensor([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    rows = torch.arange(int(lengths.sum()), device=lengths.device)
    return rows + (first - first_rows(lengths)).repeat_interleave(lengths)


def first_rows(lengths: Tensor) -> Tensor:
    """Returns the first packed row of each video (N,), int64."""
    return lengths.cumsum(0) - lengths


def padded(packed: Tensor, lengths: Tensor, segments: int) -> Tensor:
    """Returns packed rows (R, ...) as (N, segments, ...), 0 behind the end of a video.

    Args:
        packed: The segments of all videos, one video after the other.
        lengths: Segments of each video (N,), int64.
        segments: Places for each, as many as the longest video needs.

    Examples:
        >>> padded(torch.tensor([7, 8, 9]), torch.tensor([1, 2]), 3).tolist()
        [[7, 0, 0], [8, 9, 0]]
    """
    spread = packed.new_zeros(len(lengths), segments, *packed.shape[1:])
    spread[within(lengths, segments)] = packed
    return spread


def by_length(lengths: Tensor, segments: int, videos: int | None = None) -> Iterator[Tensor]:
    """Yields the positions of videos by length, in pieces of bounded size.

    Args:
        lengths: Segments of each video (N,).
        segments: Most segments in a piece, padding included; a longer video is a piece by itself.
        videos: Most videos in a piece.
    """
    order = lengths.argsort(stable=True)
    longest = lengths[order].tolist()
    first = 0
    for stop in range(1, len(longest) + 1):
        count = stop + 1 - first
        if (
            stop == len(longest)
            or count * longest[stop] > segments
            or (videos is not None and count > videos)
        ):
            yield order[first:stop]
            first = stop
