"""The ten scores averaged in other ways: over classes, or over single segments and events.

The published scores average over videos, so that a video with one short event weighs as much as one
with twenty. Here counts are summed over all videos first. What is empty counts as it does in a
video: a class that is neither predicted nor present anywhere is left out, and where that holds for
every class the score is 100.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from rlld.metrics.counting import Counts
from rlld.metrics.scores import (
    LEVELS,
    NAMES,
    Scorer,
    Scores,
    exclusive_scores,
    mean_f,
    scores,
    ten_scores,
)

IOUS = tuple(tenth / 10 for tenth in range(1, 10))
"""Thresholds of ``event_mean``."""


def class_macro_scores(predicted: Tensor, truth: Tensor, iou: float = 0.5) -> Scores:
    """Returns the ten scores as means over classes.

    F of a class is that of its counts over all videos, so that rare classes weigh as much as
    frequent ones.

    Args:
        predicted: Predicted maps (N, T, 2, C), bool.
        truth: True maps of the same shape and device.
        iou: Events match from this intersection over union on, in (0, 1].
    """
    return _pooled(predicted, truth, iou, (1,))


def micro_scores(predicted: Tensor, truth: Tensor, iou: float = 0.5) -> Scores:
    """Returns the ten scores of the counts of all classes and videos together.

    Every segment, or every event, weighs alike; see ``class_macro_scores`` for the arguments.
    """
    return _pooled(predicted, truth, iou, (1, 2))


def _pooled(predicted: Tensor, truth: Tensor, iou: float, axes: tuple[int, ...]) -> Scores:
    scorer = Scorer(truth, iou)
    found = [mean_f(summed(scorer.counts(predicted, level), axes)) for level in LEVELS]
    return Scores(*ten_scores(torch.cat(found)[:, 0]).tolist())


def summed(counts: Counts, axes: tuple[int, ...]) -> Counts:
    """Sums counts (3, N, C) over videos (axis 1), classes (axis 2) or both, which keep length 1."""
    return Counts(*(count.sum(axes, keepdim=True, dtype=torch.int64) for count in counts))


def event_mean(predicted: Tensor, truth: Tensor, kind: str) -> float:
    """Returns an event-level F-score as the mean over nine IoU thresholds, in percent.

    It is the event score of PreFM (Yu et al., NeurIPS 2025). Ties with a threshold match here; the
    published code rounds two of its thresholds up, so that there they do not.

    Args:
        predicted: Predicted maps (N, T, 2, C), bool.
        truth: True maps of the same shape and device.
        kind: ``audio``, ``visual``, ``audio_visual`` or ``event``.
    """
    name = f"event_{kind}"
    found = [Scorer(truth, iou)(predicted, [name])[name] for iou in IOUS]
    return float(torch.stack(found).mean())


def variant_scores(predicted: Tensor, truth: Tensor) -> dict[str, Scores]:
    """Returns the ten scores of predicted maps in every other way, by its name."""
    return {name: score(predicted, truth) for name, score in VARIANTS.items()}


def every_score(predicted: Tensor, truth: Tensor) -> dict[str, float]:
    """Returns the ten scores of predicted maps and all their variants, by name."""
    return scores(predicted, truth).as_dict() | flat(variant_scores(predicted, truth))


def flat(variants: Mapping[str, Scores]) -> dict[str, float]:
    """Returns scores of variants by variant and score, as in ``VARIANT_NAMES``."""
    return {
        f"{variant}_{name}": value
        for variant, found in variants.items()
        for name, value in found.as_dict().items()
    }


VARIANTS: dict[str, Callable[[Tensor, Tensor], Scores]] = {
    "exclusive": exclusive_scores,
    "class_macro": class_macro_scores,
    "micro": micro_scores,
}
"""The ten scores in other ways, by what reports call them."""

VARIANT_NAMES = tuple(f"{variant}_{name}" for variant in VARIANTS for name in NAMES)
"""What one score of a variant is called, ``exclusive_segment_audio`` ... ``micro_event_event``."""
