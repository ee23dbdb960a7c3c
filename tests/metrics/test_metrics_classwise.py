"""Class-wise scores and error rates against values counted by plain loops."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch import Tensor

from golden import plain_metrics
from rlld.errors import RlldError
from rlld.metrics import (
    classwise_f,
    classwise_micro_f,
    classwise_totals,
    error_rates,
    video_f,
)


def maps(seed: int, segments: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(6, segments, 2, 4, generator=generator) < 0.15
    drawn[..., 3] = False
    return drawn


@pytest.mark.parametrize("level", ["segment", "event"])
@pytest.mark.parametrize("segments", [10, 14])
def test_class_scores_and_totals(level: str, segments: int) -> None:
    predicted, truth = maps(1, segments), maps(2, segments)
    counts = plain_metrics.counts(predicted, truth, level)
    np.testing.assert_array_equal(classwise_totals(predicted, truth, level).numpy(), counts.sum(0))
    found = classwise_f(predicted, truth, level).tolist()
    for row in range(4):
        for c in range(4):
            values = [
                2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts[:, row, c] if tp + fp + fn > 0
            ]
            if values:
                assert found[row][c] == pytest.approx(100 * sum(values) / len(values), abs=1e-10)
            else:
                assert math.isnan(found[row][c])
    assert all(math.isnan(row[3]) for row in found)


def test_micro_f_and_error_rates() -> None:
    predicted, truth = maps(3), maps(4)
    totals = plain_metrics.counts(predicted, truth).sum(0)
    micro = classwise_micro_f(predicted, truth)
    for m in range(2):
        for c in range(3):
            tp, fp, fn = totals[m, c]
            assert float(micro[m, c]) == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert micro[:, 3].isnan().all()
    rates = astuple(error_rates(predicted, truth))
    for m in range(3):
        _, fp, fn = totals[m].sum(0)
        assert rates[m] == pytest.approx(fp / (fp + fn))
        assert rates[3 + m] == pytest.approx(fn / (fp + fn))
    for m in range(2):
        only = truth[:, :, m] & ~truth[:, :, 1 - m]
        assert rates[6 + m] == pytest.approx(float(predicted[:, :, m][only].float().mean()))


def test_video_level_f() -> None:
    predicted = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    labels = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 0, 0]])
    assert video_f(predicted, labels) == pytest.approx((2 / 3 + 0 + 1) / 3)
    with pytest.raises(RlldError, match="cannot be scored"):
        video_f(predicted, labels[:2])
