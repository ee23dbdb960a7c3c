"""Whether a loss still falls: on curves whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rlld
from rlld.errors import RlldError
from rlld.evaluation.learning import falling_note, rounds_of, still_falls
from rlld.training.run_folder import METRICS
from rlld.utils.compute import Compute

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


def log_of(constants: float, updates: int) -> list[dict[str, float]]:
    """The lines of a run so many time constants long."""
    loss = exponential(constants, FLAT, 0.0, 0)
    return [
        {"round": n, "updates": updates * (n + 1), "learning_rate": 5e-4, "loss": value}
        for n, value in enumerate(loss)
    ]


def test_the_note_names_the_setting_that_mends_it():
    lines = log_of(1.0, 3)
    assert "120 updates were few; train with --schedule.updates 600" in falling_note(lines, 300)
    assert falling_note([], 300) is None
    assert falling_note([{"round": 0}] * 20, 300) is None


def test_a_run_as_long_as_its_data_ask_for_is_told_so_only_where_the_loss_is_steep():
    """In the last fifth it falls by 14 % after one time constant and by 19 % after an eighth."""
    assert falling_note(log_of(1.0, 15), 300) is None  # 600 updates
    assert "560 updates were few" in falling_note(log_of(1.0, 14), 300)
    steep = falling_note(log_of(0.125, 15), 300)
    assert "600 updates were few; train with --schedule.updates 1200" in steep


def test_a_run_whose_best_weights_are_long_past_is_not_told_to_go_on():
    steep = log_of(0.125, 15)  # 600 updates, of which the last fifth begins at 480
    assert falling_note(steep, 300, 479) is None
    assert falling_note(steep, 300, 480) == falling_note(steep, 300)
    assert falling_note(log_of(1.0, 3), 300, 10) == falling_note(log_of(1.0, 3), 300)


# Losses of real runs, rounded: of 25 updates in all; of 960, every 16th of its rounds; of 300.
SHORT = (3.142, 2.917, 2.082, 1.613, 1.227, 1.062, 1.024, 1.005, 0.952, 0.898, 0.856, 0.808, 0.75)
SHORT += (0.757, 0.747, 0.746, 0.73, 0.721, 0.711, 0.696, 0.707, 0.703, 0.696, 0.705, 0.693)
LONG = (2.225, 1.617, 1.08, 0.818, 0.675, 0.584, 0.549, 0.505, 0.45, 0.442, 0.379, 0.356, 0.337)
LONG += (0.317, 0.33, 0.311, 0.319, 0.3, 0.308, 0.291, 0.292, 0.284, 0.276, 0.269, 0.265, 0.268)
LONG += (0.27, 0.272, 0.266, 0.267)
DEMO = (2.991, 1.39, 1.26, 1.103, 0.905, 0.726, 0.582, 0.469, 0.43, 0.405, 0.389, 0.37, 0.354)
DEMO += (0.342, 0.326, 0.319, 0.318, 0.309, 0.304, 0.303, 0.299, 0.295, 0.294, 0.286, 0.287, 0.291)
DEMO += (0.29, 0.293, 0.29, 0.285)


@pytest.mark.parametrize(
    ("losses", "gamma", "changes", "falls"),
    [
        (SHORT, 0.25, (6, 12, 18, 24), True),
        (LONG, 0.3, (12, 23), False),
        (DEMO, 0.25, (8, 15, 22, 29), False),
    ],
    ids=["short", "long", "demo"],
)
def test_recorded_runs_are_judged_as_one_sees_them(losses, gamma, changes, falls):
    rates = [gamma ** sum(n >= change for change in changes) for n in range(len(losses))]
    assert (still_falls(losses, rates) is not None) is falls


def test_a_run_of_few_updates_is_told_so(tiny_data, tmp_path):
    settings = {"fit": False, "schedule.rounds": 10}
    compute = Compute(device="cpu", threads=1)
    run = rlld.train("weak", tiny_data, tmp_path / "run", compute=compute, overrides=settings)
    note = falling_note(rounds_of(run), run.facts["training_videos"])
    assert "30 updates were few; train with --schedule.updates 350" in note
    (run.path / METRICS).write_text('{"round": 0}\n{"rou')
    with pytest.raises(RlldError, match="not the log of a run"):
        rounds_of(run)
    (run.path / METRICS).unlink()  # as of a run that was converted
    assert rounds_of(run) == []
