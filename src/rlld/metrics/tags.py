"""How well a parser knows the tags of videos: what can be measured without dense annotation."""

from __future__ import annotations

import torch
from torch import Tensor

TAGS = "tags"
"""Name of the score."""


def tag_score(probability: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean average precision of the tags, in percent.

    The average precision of a class is the mean, over the videos that have its tag, of the share
    of tagged videos among those with at least the same probability. The mean goes over the
    classes that some video is tagged with.

    Args:
        probability: Video-level probabilities (N, C).
        labels: Weak labels (N, C), 0 or 1.

    Returns:
        A scalar in [0, 100]; 0 where no video has a tag.

    Examples:
        Three videos, one class; the tagged ones stand first and third by their probability:

        >>> probability = torch.tensor([[0.9], [0.5], [0.2]])
        >>> round(tag_score(probability, torch.tensor([[1], [0], [1]])).item(), 1)  # (1 + 2/3) / 2
        83.3
    """
    tagged = labels.bool().T
    found = average_precision(probability.T, tagged)
    return 100 * found.sum() / tagged.any(1).sum().clamp(min=1)


def average_precision(values: Tensor, positive: Tensor) -> Tensor:
    """Returns the average precision of each row; 0 where nothing in it is positive.

    It is the mean, over the positives, of the share of positives among all that are at least as
    large, so that equal values count together.

    Args:
        values: What is ranked (R, n), larger is surer.
        positive: What is true (R, n), bool.

    Returns:
        (R,), in [0, 1].
    """
    values = values.detach().float().contiguous()
    order = values.sort(1).values.contiguous()
    own = torch.where(positive, values, -torch.inf).sort(1).values.contiguous()
    count = values.shape[1]
    above = count - torch.searchsorted(order, values)
    hits = count - torch.searchsorted(own, values)
    precision = torch.where(positive, hits / above.clamp(min=1), 0.0)
    return precision.sum(1) / positive.sum(1).clamp(min=1)
