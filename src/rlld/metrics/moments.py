"""How well the classes of each single segment are ranked, as PreFM measures decisions online."""

from __future__ import annotations

import torch
from torch import Tensor

from rlld.metrics.tags import average_precision
from rlld.types import AUDIO, VISUAL


def moment_precision(probability: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Returns the average precision over the classes of a segment, as means over each video.

    Source: ``compute_perframe_map`` of XiaoYu-1123/PreFM. A segment without any event has 0, which
    no prediction can better. Both tracks together are as sure as their geometric mean.

    Args:
        probability: Of segments (N, T, 2, C).
        truth: True maps (N, T, 2, C), bool.
        mask: Which segments belong to their video (N, T), bool; all when None.

    Returns:
        Of audio, visual and audio-visual events (N, 3), in [0, 1].

    Examples:
        One segment, three classes; the one that is heard ranks second:

        >>> heard, seen = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([0.1, 0.9, 0.3])
        >>> truth = torch.tensor([[0, 1, 0], [0, 1, 0]]).bool()
        >>> found = moment_precision(torch.stack([heard, seen])[None, None], truth[None, None])
        >>> found.tolist()  # together 0.3, 0.67, 0.24
        [[0.5, 1.0, 1.0]]
    """
    heard, seen = probability[:, :, AUDIO], probability[:, :, VISUAL]
    values = torch.stack([heard, seen, (heard * seen).sqrt()], 2)
    true = torch.cat([truth, truth.all(2, keepdim=True)], 2)
    found = average_precision(values.flatten(0, 2), true.flatten(0, 2)).view(values.shape[:3])
    if mask is None:
        return found.mean(1)
    return (found * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
