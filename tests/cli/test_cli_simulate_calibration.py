"""HAN on simulated features scores as it does on LLP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

# Segment level, then event level: audio, visual, audio-visual, Type, Event (RLLD paper, Table 1).
PUBLISHED = {
    "segment": (60.1, 52.9, 48.9, 54.0, 55.4),
    "event": (51.3, 48.9, 43.0, 47.7, 48.0),
}


NAMES = ("audio", "visual", "audio_visual", "type", "event")
SEEDS = (0, 1, 2)


@pytest.mark.slow
def test_han_lands_within_three_points_on_average(run_cli, tmp_path: Path) -> None:
    """Single seeds spread by one to two points around the mean, which is what is calibrated."""
    reports = []
    for seed in SEEDS:
        data, run, report = (tmp_path / f"{name}{seed}" for name in ("data", "run", "scores.json"))
        for command in (
            ("data", "simulate", "--out", data, "--seed", seed),
            ("train", "han", "--data", data, "--out", run),
            ("evaluate", run, "--data", data, "--split", "test", "--json", report),
        ):
            result = run_cli(*command)
            assert result.returncode == 0, result.stderr
        reports.append(json.loads(report.read_text()))
    for level, published in PUBLISHED.items():
        found = [sum(report[level][name] for report in reports) / len(SEEDS) for name in NAMES]
        assert found == pytest.approx(published, abs=3.0), level
