"""Ways to know the rates of wrong tags, on invented labels, against draws."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from rlld.bench.studies.rates import (
    CONSTANT,
    KEEP,
    TRUTH,
    Target,
    measure,
    wrongly_decided,
)
from rlld.data.rates.table import Row
from scipy_free import slow_auc


@pytest.mark.parametrize(("true", "removed"), [(0.7, 0.65), (0.3, 0.1), (0.1, 0.3), (0.5, 0.5)])
def test_wrong_decisions_are_those_of_drawn_evidence(true, removed):
    rng = np.random.default_rng(0)
    wrong = rng.random(200_000) < true
    apart = 2**0.5 * NormalDist().inv_cdf(0.8)
    evidence = rng.standard_normal(len(wrong)) + apart * ~wrong
    assert slow_auc(evidence[:3000], ~wrong[:3000]) == pytest.approx(0.8, abs=0.03)
    gone = evidence < np.quantile(evidence, removed)
    assert wrongly_decided(true, removed, 0.8) == pytest.approx((gone != wrong).mean(), abs=0.004)
    assert wrongly_decided(true, 0) == true and wrongly_decided(true, 1) == 1 - true


ROWS = (Row("LLP", "Speech", 300, 0, 240), Row("LLP", "Dog", 100, 20, 10))


def test_the_figures_of_the_plain_ways_are_those_computed_by_hand():
    found = {
        (figure.modality, figure.way): figure for figure in measure([Target("t", "LLP", ROWS)])
    }
    keep = found["visual", KEEP]
    assert keep.wrong == pytest.approx(100 * 250 / 400) and keep.classes == 0
    assert keep.error == pytest.approx((0.75 * 0.8**2 + 0.25 * 0.1**2) ** 0.5)
    constant = found["visual", CONSTANT]
    assert constant.error == pytest.approx((0.75 * 0.175**2 + 0.25 * 0.525**2) ** 0.5)
    assert found["visual", TRUTH].error == 0
    heard, nobody = found["audio", "borrowed, tags heard"], found["audio", KEEP]
    assert (heard.error, heard.wrong) == (nobody.error, nobody.wrong)
    # LFAV and VGGSounder know both classes, and LLP's own rows are not asked.
    assert found["visual", "borrowed, tags heard"].classes == 2
    assert 0.05 < found["visual", "borrowed, tags heard"].error < keep.error
    assert not any("LLP" in way for _, way in found)
