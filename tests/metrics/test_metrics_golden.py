"""The metrics equal the published code on the golden cases."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import cases_metrics  # noqa: E402

CASES = sorted((GOLDEN / "cases").glob("metrics_*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden_case_has_no_output_of_an_unknown_rule(
    path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    with np.load(path.with_suffix(".npz")) as arrays:
        cases_metrics.run(json.loads(path.read_text()), dict(arrays), None)
    assert not [str(each.message) for each in recwarn if "not compared" in str(each.message)]


def test_all_shared_cases_are_there() -> None:
    names = {path.stem for path in CASES}
    assert names >= {"metrics_bernoulli", "metrics_gating", "metrics_runs", "metrics_val"}


def test_wrong_output_fails() -> None:
    path = GOLDEN / "cases" / "metrics_bernoulli.json"
    with np.load(path.with_suffix(".npz")) as arrays:
        changed = {name: value + (name == "event_counts") for name, value in arrays.items()}
    with pytest.raises(AssertionError, match="event_counts"):
        cases_metrics.run(json.loads(path.read_text()), changed, None)


def test_wrong_scores_of_drawn_events_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where LLP's events are missing, wrong metrics are noticed all the same."""
    path = GOLDEN / "cases" / "metrics_val.json"
    with np.load(path.with_suffix(".npz")) as arrays:
        stored = dict(arrays)
    right = cases_metrics.error_rates
    monkeypatch.setattr(cases_metrics, "error_rates", lambda p, g: right(p, ~g))
    with pytest.raises(AssertionError, match="error_rates"):
        cases_metrics.run(json.loads(path.read_text()), stored, None)
