"""Draws by lot: probabilities against enumeration, and the estimate that they make right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.evaluation.drawing import apportioned, inclusion, systematic
from rlld.evaluation.wrong import PRIOR, residual_mean, wrong_rate

SIZES = st.lists(st.floats(0.01, 100), min_size=1, max_size=12)


@given(SIZES, st.integers(1, 14))
def test_probabilities_are_in_proportion_where_none_is_certain(sizes, count):
    sizes = np.array(sizes)
    chances = inclusion(sizes, count)
    assert chances.sum() == pytest.approx(min(count, len(sizes)))
    assert ((chances > 0) & (chances <= 1)).all()
    free = chances < 1
    ratio = chances[free] / sizes[free]
    assert ratio == pytest.approx(np.full(len(ratio), ratio.mean() if len(ratio) else 0))
    # What is certain would be too large for the rest's proportion.
    assert (sizes[~free] * ratio.max(initial=0) >= 1 - 1e-9).all() or count >= len(sizes)


def test_probabilities_by_hand():
    assert inclusion(np.array([1.0, 1.0, 2.0]), 2).tolist() == [0.5, 0.5, 1.0]
    # 10 of 13 would be more than 1: it is certain, and the other three share one draw.
    assert inclusion(np.array([10.0, 1.0, 1.0, 2.0]), 2) == pytest.approx([1, 0.25, 0.25, 0.5])


class Comb:
    """A lot that lays the things in one order and the comb at one place, and shuffles nothing."""

    def __init__(self, order: tuple[int, ...], at: float) -> None:
        self.order, self.at = order, at

    def permutation(self, values: np.ndarray) -> np.ndarray:
        if self.order:
            values, self.order = values[list(self.order)], ()
        return values

    def random(self) -> float:
        return self.at


def draws(chances: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Enumerates all draws with their probabilities: every order, every place of the comb."""
    free = int((chances < 1).sum())
    orders = list(itertools.permutations(range(free)))
    found = []
    for order in orders:
        ends = np.cumsum(chances[chances < 1][list(order)]) % 1.0
        cuts = np.unique(np.round(np.concatenate([[0.0, 1.0], ends]), 12))
        for low, high in itertools.pairwise(cuts):
            drawn = systematic(chances, Comb(order, (low + high) / 2))
            found.append(((high - low) / len(orders), drawn))
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_thing_is_drawn_with_exactly_its_probability(count):
    chances = inclusion(np.array([0.5, 1.0, 1.5, 2.0, 7.0]), count)
    seen = np.zeros(5)
    for probability, drawn in draws(chances):
        assert len(drawn) == len(set(drawn.tolist())) == count
        seen[drawn] += probability
    assert seen == pytest.approx(chances, abs=1e-9)


@given(SIZES, st.integers(1, 14), st.integers(0, 2**32))
def test_as_many_are_drawn_as_wanted_and_none_twice(sizes, count, seed):
    chances = inclusion(np.array(sizes), count)
    drawn = systematic(chances, np.random.default_rng(seed)).tolist()
    assert len(drawn) == len(set(drawn)) == min(count, len(sizes))
    assert set(np.flatnonzero(chances >= 1).tolist()) <= set(drawn)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_residual_estimate_is_right_on_the_mean_of_all_draws(count):
    """Whatever the predictions, and though large things are drawn more often."""
    wrong = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    predicted = np.array([0.2, 0.9, 0.5, 0.05, 0.4])
    chances = inclusion(np.array([0.5, 1.0, 1.5, 2.0, 1.2]), count)
    weighted = plain = 0.0
    for probability, drawn in draws(chances):
        residuals = wrong[drawn] - predicted[drawn]
        weighted += probability * residual_mean(residuals, chances[drawn] / count, 5)
        plain += probability * residuals.mean()
    assert predicted.mean() + weighted == pytest.approx(wrong.mean(), abs=1e-9)
    # Answers that count alike would not do.
    assert abs(predicted.mean() + plain - wrong.mean()) > 0.02


def test_a_rate_by_hand():
    rate = wrong_rate(np.full(10, 0.2), np.array([0.8, -0.2]), np.full(2, 0.1), common=0.1)
    moved = (0.8 - 0.2 + PRIOR * 0.1) / (2 + PRIOR)
    assert rate.share == pytest.approx(0.2 + (0.8 - 0.2 + 8 * moved) / 10)
    whole = wrong_rate(np.full(4, 0.2), np.array([0.8, -0.2, 0.8, 0.8]), np.full(4, 0.25), 0.1)
    assert whole.interval == pytest.approx((0.75, 0.75))
    assert rate.spread == pytest.approx((0.64 + 0.04 + PRIOR * 0.16) / (2 + PRIOR))
    assert rate.variance() == pytest.approx(0.8 * rate.spread / (2 + PRIOR))
    low, high = rate.interval
    assert high - low == pytest.approx(2 * 1.96 * rate.variance() ** 0.5)
    assert rate.variance(8) == rate.variance(100) == 0


def test_the_next_question_goes_where_it_is_worth_most():
    worth, before = np.array([6.0, 2.0, 1.0]), np.ones(3)
    # 6 saves 3, 1, .5, .3; 2 saves 1, .33; 1 saves .5.
    given_ = apportioned(worth, before, np.full(3, 9), 6).tolist()
    assert given_[:3] == [0, 0, 1]
    assert sorted(given_[3:5]) == [0, 2]
    assert apportioned(worth, before, np.array([1, 0, 2]), 9).tolist() == [0, 2, 2]
    few = apportioned(worth, before, np.full(3, 9), 4).tolist()
    assert given_[:4] == few
