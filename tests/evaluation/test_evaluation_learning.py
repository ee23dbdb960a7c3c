"""Whether a loss still falls: on curves whose answer is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rlld.errors import RlldError
from rlld.evaluation.learning import falling_note, read_rounds, still_falls

ROUNDS = 40


def exponential(constants: float, rates: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """A loss that follows the sum of the rates, so many time constants long."""
    done = np.cumsum(rates) / np.sum(rates)
    chance = np.random.default_rng(seed).normal(size=len(rates))
    return 0.3 + 2 * np.exp(-constants * done) + noise * chance


FLAT = np.full(ROUNDS, 5e-4)
STEPS = 5e-4 * 0.25 ** (np.arange(ROUNDS) // 10)
COSINE = 5e-4 * (1 + np.cos(math.pi * np.arange(1, ROUNDS + 1) / (ROUNDS + 1))) / 2


@pytest.mark.parametrize("rates", [FLAT, STEPS, COSINE], ids=["flat", "steps", "cosine"])
@pytest.mark.parametrize("seed", range(5))
def test_a_run_that_was_stopped_falls_and_one_that_ended_does_not(rates, seed):
    """Also where the rate has decayed to nothing, so that the last losses are all alike."""
    for constants in (0.3, 1.0, 1.8):
        assert still_falls(exponential(constants, rates, 0.003, seed), rates)
    for constants in (4.0, 8.0, 30.0):
        assert still_falls(exponential(constants, rates, 0.003, seed), rates) is None


def test_the_share_is_that_of_the_curve():
    """Of 1 - e^-1, from 4/5 of a time constant to the whole of it."""
    loss = exponential(1.0, np.ones(1000), 0.0, 0)
    expected = (math.exp(-0.8) - math.exp(-1)) / (1 - math.exp(-1))
    assert still_falls(loss, np.ones(1000)) == pytest.approx(expected, rel=0.02)


def test_chance_is_no_fall():
    found = []
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(size=ROUNDS)
        found.append(still_falls(1 + noise, FLAT))
    assert sum(share is not None for share in found) <= 6  # 3 standard errors, both sides


@pytest.mark.parametrize(
    "losses", [[], [1.0], [3.0, 2.0, 1.0], [1.0] * 20, [*range(20)], [math.nan] * 20]
)
def test_too_few_rounds_constant_rising_and_broken_losses_tell_nothing(losses):
    assert still_falls(losses, [1e-3] * len(losses)) is None


def test_the_note_names_the_setting_that_mends_it(tmp_path):
    loss = exponential(1.0, FLAT, 0.0, 0)
    lines = [
        {"round": n, "updates": 3 * (n + 1), "learning_rate": 5e-4, "loss": value}
        for n, value in enumerate(loss)
    ]
    log = tmp_path / "metrics.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "120 updates were few; train with --schedule.updates 600" in falling_note(
        read_rounds(log)
    )
    assert falling_note([]) is None
    assert falling_note([{"round": 0}] * 20) is None


def test_a_log_that_is_none_is_refused_and_a_missing_one_is_empty(tmp_path):
    assert read_rounds(tmp_path / "metrics.jsonl") == []
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"round": 0}\n{"rou')
    with pytest.raises(RlldError, match="line 2"):
        read_rounds(log)
