"""AVE's accuracy: in how many segments the one event that is heard and seen is named, or none.

Source: the evaluation of AVE-ECCV18, a choice among 28 classes and the background in each segment.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlld.types import AUDIO, VISUAL


def segment_accuracy(
    probabilities: Tensor, active: Tensor, truth: Tensor, mask: Tensor | None = None
) -> float:
    """Returns in what share of all segments the right class, or rightly none, is named.

    A segment is given the surest class that is found in both tracks (as sure as in the track where
    it is less so), and the background where none is. Where several are true, each is right.

    Args:
        probabilities: Of segments (N, T, 2, C), in [0, 1].
        active: What is found (N, T, 2, C), bool, after gates.
        truth: What is true (N, T, 2, C), bool.
        mask: Which segments are of their video (N, T), bool; None where all are.

    Returns:
        Percent; 100 where there is no segment.

    Examples:
        Two segments of one class, found in both and true in the first:

        >>> active = torch.ones(1, 2, 2, 1, dtype=torch.bool)
        >>> truth = torch.tensor([True, False])[None, :, None, None].expand(1, 2, 2, 1)
        >>> segment_accuracy(active.float(), active, truth)
        50.0
    """
    both = active[:, :, AUDIO] & active[:, :, VISUAL]
    sure = probabilities.amin(2).masked_fill(~both, -1)
    named = sure.argmax(-1, keepdim=True)
    true = truth[:, :, AUDIO] & truth[:, :, VISUAL]
    right = torch.where(both.any(-1), true.gather(-1, named)[..., 0], ~true.any(-1))
    inside = right if mask is None else right[mask]
    return 100.0 if not inside.numel() else 100 * float(inside.double().mean())
