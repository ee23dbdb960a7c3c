"""Intervals against all resamples, written out; differences by pairs."""

from __future__ import annotations

import itertools
import statistics

import pytest

from rlld.bench.statistics import estimate, paired_difference


def every_resample(values: list[float]) -> list[float]:
    """Means of all n**n samples with replacement, ascending."""
    n = len(values)
    return sorted(sum(drawn) / n for drawn in itertools.product(values, repeat=n))


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 4.0, 8.0, 16.0], [57.1, 56.4, 58.0, 57.7, 55.9, 57.2], [3.0, 3.5, 9.0]]
)
def test_the_interval_is_that_of_the_exact_bootstrap(values):
    means = every_resample(values)
    found = estimate(values)
    # 10,000 draws know the share below a point to 0.0016 at the 2.5 % tail (one sigma).
    for end, tail in ((found.low, 0.025), (found.high, 0.975)):
        below = sum(mean < end - 1e-9 for mean in means) / len(means)
        upto = sum(mean <= end + 1e-9 for mean in means) / len(means)
        assert below - 0.007 <= tail <= upto + 0.007


def test_mean_and_standard_deviation():
    values = [1.0, 2.0, 4.0]
    found = estimate(values)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert found.sd == pytest.approx(statistics.stdev(values))
    assert found.runs == 3
    assert estimate(values) == found


def test_a_single_run_has_no_spread():
    found = estimate([5.0])
    assert (found.mean, found.low, found.high, found.sd) == (5.0, 5.0, 5.0, 0.0)
    with pytest.raises(ValueError, match="no runs"):
        estimate([])


def test_what_pairs_share_cancels_out():
    base = {("a", 0): 10.0, ("a", 1): 90.0, ("b", 0): 50.0}
    row = {("b", 0): 52.0, ("a", 1): 92.0, ("a", 0): 12.0, ("c", 7): 1000.0}
    found = paired_difference(row, base)
    assert found is not None
    assert (found.mean, found.low, found.high, found.runs) == (2.0, 2.0, 2.0, 3)
    assert paired_difference({("c", 7): 1.0}, base) is None
