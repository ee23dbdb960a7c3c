"""Scores by class and error rates: what single methods report beside the ten scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.metrics.scores import Scorer, class_f

ROWS = ("audio", "visual", "audio_visual", "event")
"""Rows of the class-wise tables; Event adds audio and visual counts."""


def classwise_f(
    predicted: Tensor, truth: Tensor, level: str = "segment", iou: float = 0.5
) -> Tensor:
    """Returns the F-score of each class.

    Source: VALOR ``utils/eval_metrics.py``, ``classwise_segment_level``; the event level follows
    the same definition.

    Args:
        predicted: Predicted maps (N, T, 2, C), bool.
        truth: True maps of the same shape.
        level: ``segment`` or ``event``.
        iou: Events match from this intersection over union on.

    Returns:
        (4, C) percent, rows as in ``ROWS``: the mean over the videos in which the class is
        predicted or present in that row's sense, NaN where there is none.
    """
    return 100 * class_f(Scorer(truth, iou).counts(predicted, level)).nanmean(1)


def classwise_totals(
    predicted: Tensor, truth: Tensor, level: str = "segment", iou: float = 0.5
) -> Tensor:
    """Returns TP, FP and FN of each class over all videos, (4, C, 3) int64, rows as in ``ROWS``."""
    counts = Scorer(truth, iou).counts(predicted, level)
    totals = torch.stack([count.sum(1, dtype=torch.int64) for count in counts], -1)
    return torch.cat((totals, totals[:1] + totals[1:2]))


def classwise_micro_f(predicted: Tensor, truth: Tensor) -> Tensor:
    """Returns CVCMS's F-score of each class from segment counts summed over all videos.

    Returns:
        (2, C) fractions, audio and visual; NaN where the class is neither predicted nor present.
    """
    tp, fp, fn = classwise_totals(predicted, truth)[:2].double().unbind(-1)
    return 2 * tp / (2 * tp + fp + fn)


@dataclass(frozen=True)
class ErrorRates:
    """CVCMS's error rates, fractions of segments over all classes and videos.

    Of all wrong segments, the ``false_positive`` fields say what part is predicted but not true,
    the ``false_negative`` fields what part is true but not predicted; NaN when none is wrong.
    The ``only`` fields say what part of the segments that are true in this modality alone is
    predicted in it (predicted in the other one or not); NaN when there are none.

    Source: ``segment_level`` of CVCMS ``utils/eval_metrics.py`` and ``eval`` of its
    ``main_trans.py``.
    """

    false_positive_audio: float
    false_positive_visual: float
    false_positive_audio_visual: float
    false_negative_audio: float
    false_negative_visual: float
    false_negative_audio_visual: float
    audio_only_recall: float
    visual_only_recall: float


def error_rates(predicted: Tensor, truth: Tensor) -> ErrorRates:
    """Returns CVCMS's error rates of predicted maps (N, T, 2, C), bool."""
    _, fp, fn = classwise_totals(predicted, truth)[:3].sum(1).double().unbind(-1)
    one_only = truth & ~truth.all(2, keepdim=True)
    found = (predicted & one_only).sum((0, 1, 3)).double()
    recall = found / one_only.sum((0, 1, 3))
    return ErrorRates(*torch.cat((fp / (fp + fn), fn / (fp + fn), recall)).tolist())


def video_f(predicted: Tensor, labels: Tensor) -> float:
    """Returns the video-level F-score of VALOR and MM-CSE.

    Args:
        predicted: Predicted tags (N, C), bool: the fused probability reaches 0.5.
        labels: Weak labels (N, C), bool or 0/1.

    Returns:
        The mean over videos of 2TP / (2TP + FP + FN), a fraction in [0, 1]; a video with neither
        predicted nor true tags counts 1.

    Raises:
        RlldError: If the shapes differ.
    """
    if predicted.shape != labels.shape or predicted.numel() == 0:
        raise RlldError(
            f"predicted tags of shape {tuple(predicted.shape)} and weak labels of shape "
            f"{tuple(labels.shape)} cannot be scored; both must be (videos, classes)"
        )
    true = labels.bool()
    twice = 2 * (predicted & true).sum(1).double()
    total = (predicted.sum(1) + true.sum(1)).double()
    return float(torch.where(total > 0, twice / total, 1).mean())
