"""The outputs of the metrics cases, counted by plain loops instead of by published code."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rlld.metrics import reference

Array = np.ndarray


def counts(predicted: Tensor, truth: Tensor, level: str = "segment", iou: float = 0.5) -> Array:
    """Returns TP, FP and FN (N, 4, C, 3) of audio, visual, audio-visual and Event."""
    found = np.array(
        [
            [
                reference.segment_counts(p, g)
                if level == "segment"
                else [reference.event_counts(*rows, iou) for rows in zip(p, g, strict=True)]
                for p, g in zip(reference.tracks(pm), reference.tracks(gm), strict=True)
            ]
            for pm, gm in zip(predicted.numpy(), truth.numpy(), strict=True)
        ]
    )
    return np.concatenate([found, found[:, :1] + found[:, 1:2]], 1)


def output(name: str, predicted: Tensor, truth: Tensor, iou: float, length: int) -> Array:
    """Returns what a metrics case calls ``name``; of the means, the first ``length``."""
    if name == "event_counts":
        return counts(predicted, truth, "event", iou)[:, :3]
    if name == "classwise":
        return _classwise(counts(predicted, truth))
    if name == "error_rates":
        return _error_rates(predicted, truth)
    if name == "class_micro_f":
        return _f(counts(predicted, truth)[:, :2].sum(0))
    row = _exclusive_row if name.startswith("only_") else reference.video_scores
    pairs = zip(predicted.numpy(), truth.numpy(), strict=True)
    rows = [row(p, g, iou) for p, g in pairs]
    if name.endswith("per_video"):
        return np.array(rows)
    ten = reference.ten_from_rows(rows)
    return np.array([*ten, np.mean(ten)][:length])


def _exclusive_row(predicted: Array, truth: Array, iou: float) -> list[float]:
    """Audible-only and visible-only events; audio-visual ones are those of the whole maps."""
    alone = [maps & ~maps.all(1, keepdims=True) for maps in (predicted, truth)]
    row = reference.video_scores(*alone, iou)
    whole = reference.video_scores(predicted, truth, iou)
    row[2], row[6] = whole[2], whole[6]
    return row


def _f(found: Array) -> Array:
    tp, fp, fn = np.moveaxis(found.astype(float), -1, 0)
    with np.errstate(invalid="ignore"):  # a class that is neither predicted nor present has none
        return 2 * tp / (2 * tp + fp + fn)


def _classwise(found: Array) -> Array:
    """Averages F in percent over the videos in which a class is predicted or present (4, C)."""
    result = np.full(found.shape[1:3], np.nan)
    for row, label in np.ndindex(*result.shape):
        values = [_f(each) for each in found[:, row, label] if each.any()]
        if values:
            result[row, label] = 100 * np.mean(values)
    return result


def _error_rates(predicted: Tensor, truth: Tensor) -> Array:
    _, fp, fn = counts(predicted, truth)[:, :3].sum((0, 2)).T
    told = []
    for modality in range(2):
        alone = truth[:, :, modality] & ~truth[:, :, 1 - modality]
        told.append(float(predicted[:, :, modality][alone].double().mean()))
    return np.array([*fp / (fp + fn), *fn / (fp + fn), *told])
