"""Intervals against all resamples, written out; differences by pairs."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.bench.statistics import estimate, paired_difference


def by_seed(*data_sets: list[float]) -> dict[tuple[str, int], float]:
    """Runs of data sets a, b ..., seed by seed, so that the data sets take turns."""
    runs = [
        (seed, data, value)
        for data, values in zip("abcd", data_sets, strict=False)
        for seed, value in enumerate(values)
    ]
    return {(data, seed): value for seed, data, value in sorted(runs)}


def every_resample(*data_sets: list[float]) -> list[float]:
    """Means of all samples with replacement, n**n in each data set, ascending."""
    runs = sum(len(values) for values in data_sets)
    totals = [
        [sum(drawn) for drawn in itertools.product(values, repeat=len(values))]
        for values in data_sets
    ]
    return sorted(sum(parts) / runs for parts in itertools.product(*totals))


@pytest.mark.parametrize(
    "data_sets",
    [
        [[1.0, 2.0, 4.0, 8.0, 16.0]],
        [[57.1, 56.4, 58.0, 57.7, 55.9, 57.2]],
        [[3.0, 3.5, 9.0]],
        [[1.0, 2.0, 4.0, 9.0], [50.0, 53.0, 59.0]],
        [[1.0, 2.0, 4.0], [50.0], [7.0, 8.0, 12.0]],
    ],
)
def test_the_interval_is_that_of_the_exact_bootstrap(data_sets):
    means = every_resample(*data_sets)
    found = estimate(by_seed(*data_sets))
    # 10,000 draws know the share below a point to 0.0016 at the 2.5 % tail (one sigma).
    for end, tail in ((found.low, 0.025), (found.high, 0.975)):
        below = sum(mean < end - 1e-9 for mean in means) / len(means)
        upto = sum(mean <= end + 1e-9 for mean in means) / len(means)
        assert below - 0.007 <= tail <= upto + 0.007


def test_data_sets_that_lie_apart_do_not_widen_the_interval():
    # As one pool of four runs, a mean of 0, 0, 100, 100 would reach from 0 to 100.
    apart = estimate({("a", 0): 0.0, ("a", 1): 0.0, ("b", 0): 100.0, ("b", 1): 100.0})
    assert (apart.mean, apart.low, apart.high, apart.has_interval) == (50.0, 50.0, 50.0, False)
    pool = estimate({("a", 0): 0.0, ("a", 1): 0.0, ("a", 2): 100.0, ("a", 3): 100.0})
    assert (pool.mean, pool.low, pool.high, pool.has_interval) == (50.0, 0.0, 100.0, True)


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=4),
    st.lists(st.integers(0, 100), min_size=1, max_size=4),
    st.integers(-1000, 1000),
)
def test_a_shift_of_one_data_set_shifts_the_interval(one, other, shift):
    before = estimate(by_seed(one, other), 200)
    after = estimate(by_seed(one, [value + shift for value in other]), 200)
    by = shift * len(other) / (len(one) + len(other))
    assert after.low == pytest.approx(before.low + by)
    assert after.high == pytest.approx(before.high + by)


def test_one_seed_on_each_data_set_has_no_interval():
    found = estimate({("a", 0): 1.0, ("b", 0): 2.0, ("c", 0): 6.0})
    assert (found.mean, found.low, found.high, found.has_interval) == (3.0, 3.0, 3.0, False)
    assert found.sd == pytest.approx(statistics.stdev([1.0, 2.0, 6.0]))


def test_mean_and_standard_deviation():
    values = by_seed([1.0, 2.0, 4.0])
    found = estimate(values)
    assert found.mean == pytest.approx(statistics.mean(values.values()))
    assert found.sd == pytest.approx(statistics.stdev(values.values()))
    assert found.runs == 3
    assert estimate(values) == found


def test_a_single_run_has_no_spread():
    found = estimate({("a", 0): 5.0})
    assert (found.mean, found.low, found.high, found.sd) == (5.0, 5.0, 5.0, 0.0)
    assert (found.ends, found.spread) == ((None, None), None)
    assert found.as_dict() == {"mean": 5.0, "low": None, "high": None, "sd": None, "runs": 1}
    assert asdict(two := estimate({("a", 0): 5.0, ("a", 1): 6.0})) == two.as_dict()
    with pytest.raises(ValueError, match="no runs"):
        estimate({})


def test_what_pairs_share_cancels_out():
    base = {("a", 0): 10.0, ("a", 1): 90.0, ("b", 0): 50.0}
    row = {("b", 0): 52.0, ("a", 1): 92.0, ("a", 0): 12.0, ("c", 7): 1000.0}
    found = paired_difference(row, base)
    assert found is not None
    assert (found.mean, found.low, found.high, found.runs) == (2.0, 2.0, 2.0, 3)
    assert paired_difference({("c", 7): 1.0}, base) is None
