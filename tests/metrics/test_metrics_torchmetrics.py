"""The torchmetrics wrapper gives the same scores, batch by batch and over processes."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch

from rlld.errors import RlldError
from rlld.metrics import scores

MODULE = "rlld.metrics.torchmetrics_adapter"


def maps(seed: int) -> torch.Tensor:
    return torch.rand(11, 10, 2, 5, generator=torch.Generator().manual_seed(seed)) < 0.3


def test_batches_give_the_scores_of_the_whole() -> None:
    metric = importlib.import_module(MODULE).VideoParsingScores(iou=0.3)
    predicted, truth = maps(1), maps(2)
    for index in torch.arange(11).split(4):
        metric.update(predicted[index], truth[index])
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found == pytest.approx(scores(predicted, truth, 0.3).as_dict(), abs=1e-10)
    metric.reset()
    with pytest.warns(UserWarning), pytest.raises(RlldError, match="no video was scored"):
        metric.compute()


def test_states_merge_by_summing() -> None:
    kind = importlib.import_module(MODULE).VideoParsingScores
    predicted, truth = maps(3), maps(4)
    first, second = kind(), kind()
    first.update(predicted[:3], truth[:3])
    second.update(predicted[3:], truth[3:])
    first.merge_state(second)
    found = {name: float(value) for name, value in first.compute().items()}
    assert found == pytest.approx(scores(predicted, truth).as_dict(), abs=1e-10)


def test_missing_torchmetrics_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(RlldError, match=r"pip install 'rlld\[metrics\]'"):
        importlib.import_module(MODULE)


def test_metrics_do_not_import_torchmetrics() -> None:
    code = "import sys, rlld.metrics; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
