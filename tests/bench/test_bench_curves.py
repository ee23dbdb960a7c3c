"""Training curves: what is drawn is what the runs logged."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from rlld.bench.studies import curves
from rlld.bench.studies.curves import (
    LEARNERS,
    PROTOCOLS,
    Recorded,
    deviation,
    draw,
    record,
    smoothed,
)
from rlld.bench.studies.denoisers import Settings
from rlld.errors import RlldError

QUICK = {
    "schedule.steps": 2,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.judge": "evidence",
}
LINES = [(protocol, learner) for protocol in PROTOCOLS for learner in LEARNERS]


def test_smoothing_equals_a_slow_reference():
    values = np.random.default_rng(0).normal(size=(3, 7))
    expected = []
    for row in values.tolist():
        level, levels = row[0], [row[0]]
        for value in row[1:]:
            level = 0.1 * level + 0.9 * value
            levels.append(level)
        expected.append(levels)
    assert smoothed(values) == pytest.approx(np.array(expected))
    assert smoothed(values[:, :1]) == pytest.approx(values[:, :1])
    assert deviation(np.array([[1.0, 2.0], [3.0, 2.0]])) == pytest.approx([2**0.5, 0])
    assert deviation(values[:1]) == pytest.approx(np.zeros(7))


@pytest.fixture(scope="module")
def recorded(tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("curves")
    with pytest.MonkeyPatch.context() as patch:
        short = {name: {**own, **QUICK} for name, own in PROTOCOLS.items()}
        patch.setattr(curves, "PROTOCOLS", short)
        patch.setattr(curves, "EPISODES", {**curves.EPISODES, "schedule.steps": 2})
        settings = Settings((tiny_data,), out, seeds=2, workers=1, device="cpu")
        lines, terms = record(settings, episodes=3)
    return out, lines, terms


def test_every_line_has_an_episode_for_each_round(recorded):
    _, lines, terms = recorded
    assert terms.updates == 6
    assert [(each.protocol, each.learner) for each in lines] == LINES
    for each in lines:
        assert each.measures["segment_audio"].shape == (2, 3)
        assert ("keep_visual" in each.measures) == (each.learner == "rlld")


def test_the_values_are_those_of_the_logs(recorded):
    out, lines, _ = recorded
    logged = {
        tuple(json.loads(line)["validation"]["event_visual"] for line in path.open())
        for path in out.glob("runs/*/metrics.jsonl")
    }
    drawn = {tuple(row) for each in lines for row in each.measures["event_visual"].tolist()}
    assert drawn == logged


def test_fresh_networks_start_anew_at_the_full_rate(recorded):
    """Section 4.5: without a reset, or at a rate that falls, later episodes would differ."""
    out, _, _ = recorded
    rates = {}
    for path in out.glob("runs/*/config.json"):
        mode = json.loads(path.read_text())["recipe"]["denoiser"]["mode"]
        log = path.with_name("metrics.jsonl").open()
        rates.setdefault(mode, set()).update(json.loads(line)["learning_rate"] for line in log)
    assert len(rates["one_epoch"]) == 1
    assert len(rates["joint"]) > 1


def test_a_figure_and_its_numbers(recorded, tmp_path):
    _, lines, _ = recorded
    paths = draw(lines, "segment_visual", tmp_path / "figure7", "Figure 7")
    assert [path.name for path in paths] == ["figure7.png", "figure7.svg", "figure7.csv"]
    rows = list(csv.DictReader(paths[2].open()))
    assert len(rows) == 3 * len(LINES)
    values = lines[0].measures["segment_visual"]
    assert float(rows[2]["mean"]) == pytest.approx(values[:, 2].mean(), abs=1e-4)
    assert float(rows[2]["smoothed_sd"]) == pytest.approx(
        np.std(smoothed(values)[:, 2], ddof=1), abs=1e-4
    )
    single = Recorded("a", "b", {"event_audio": values[:1]})
    path = draw([single], "event_audio", tmp_path / "single", "Single")[2]
    for row in csv.DictReader(path.open()):
        assert row["smoothed_sd"] == row["sd"] == "" != row["mean"]
    kept = draw(lines, "keep_visual", tmp_path / "keep", "Kept")[2].read_text()
    assert "rlld-labelwise" not in kept


def test_what_is_wrong_is_told(tiny_data, tmp_path):
    settings = Settings((tiny_data,), tmp_path, workers=1, device="cpu")
    with pytest.raises(RlldError, match="--episodes"):
        record(settings, episodes=0)
    with pytest.raises(ValueError, match="at least one series"):
        draw([Recorded("a", "b", {})], "segment_audio", tmp_path / "x", "t")
