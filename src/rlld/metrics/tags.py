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
    values = probability.detach().float().T.contiguous()
    tagged = labels.bool().T
    order = values.sort(1).values.contiguous()
    own = torch.where(tagged, values, -torch.inf).sort(1).values.contiguous()
    videos = values.shape[1]
    above = videos - torch.searchsorted(order, values)
    hits = videos - torch.searchsorted(own, values)
    precision = torch.where(tagged, hits / above.clamp(min=1), 0.0)
    count = tagged.sum(1)
    return 100 * (precision.sum(1) / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)
