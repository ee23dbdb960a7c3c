"""Both rules on made similarities: what they find, and what must not move them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.open_classes.calibrated import Calibrated, CalibratedRule, evidence
from rlld.open_classes.mixture import Belief, fit, middles
from rlld.open_classes.published import Published, lasting, standing, thresholds
from rlld.open_classes.similarities import Similarities

NAMES = ("Speech", "Dog", "glass breaking", "applause")


def clips(seed: int, number: int, classes: int = 4, segments: int = 10):
    """Clips whose classes are heard and seen in known segments, offset class by class."""
    random = np.random.default_rng(seed)
    offsets = 0.05 * random.normal(size=(2, classes))
    made, truth = [], []
    for _ in range(number):
        held = np.zeros((segments, 2, classes), bool)
        for modality in range(2):
            label, start = random.integers(classes), random.integers(0, segments - 4)
            held[start : start + 4, modality, label] = True
        noise = 0.02 * random.normal(size=held.shape) + 0.03 * random.normal(size=(1, 2, 1))
        values = 0.2 + 0.12 * held + offsets + noise
        made.append(Similarities(values[:, 0], values[:, 1], np.full(segments - 1, 0.9)))
        truth.append(held)
    return made, np.stack(truth)


def test_a_score_says_above_the_others_and_nothing_else():
    scores = standing(np.array([[0.1, 0.3], [0.3, 0.1]]))
    low, high = 1 / (1 + np.exp([0.5**0.5, -(0.5**0.5)]))
    np.testing.assert_allclose(scores, [[low, high], [high, low]])
    assert np.isnan(standing(np.array([[0.9]]))).all()
    # An irrelevant class moves all others: the weakness of the published rule.
    assert (
        standing(np.array([0.3, 0.2, 0.1]))[0] < standing(np.array([0.3, 0.2, 0.1, -0.9]))[0] + 0.2
    )
    assert standing(np.array([0.3, 0.2, 0.1]))[1] != standing(np.array([0.3, 0.2, 0.1, -0.9]))[1]


def test_thresholds_stay_for_classes_not_seen_and_fall_for_others():
    scores = np.array([[0.9, 0.5], [0.8, 0.5], [0.7, 0.5]])
    found = thresholds(scores, np.array([1.0, 0.5]), Published())
    # By hand: the first segment has class 0; the mean joint is [[.9, 0], [.5, 0]].
    weight = (0.9 * 0.8 + 0.5 * 0.5) / (0.9**2 + 0.5**2 + 1)
    first = 0.75 - 0.75 * np.exp(-1) * weight * 0.8
    np.testing.assert_allclose(found[:2], [[0.75, 0.75], [first, 0.75]])
    weight = (0.85 * 0.7 + 0.5 * 0.5) / (0.85**2 + 0.5**2 + 1)
    np.testing.assert_allclose(found[2], [first - 0.5 * 0.75 * np.exp(-2) * weight * 0.7, 0.75])


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=12))
def test_lasting_events_are_those_found_cell_by_cell(cells):
    above = np.array(cells)
    expected = np.zeros_like(above)
    padded = np.pad(above, ((2, 2), (0, 0)))
    for row, label in np.argwhere(above):
        expected[row, label] = padded[row + 1, label] or padded[row + 3, label]
    joined = expected.copy()
    for row in range(1, len(above) - 1):
        joined[row] |= expected[row - 1] & expected[row + 1]
    found = np.zeros_like(above)
    for start, end, label in lasting(above):
        assert not found[start:end, label].any() and end - start >= 2
        found[start:end, label] = True
    assert (found == joined).all()


def test_one_kept_class_and_a_missing_track_find_nothing():
    alone = Similarities(np.full((5, 1), 0.3), np.full((5, 1), 0.3), np.ones(4))
    assert not Published()([alone])[0].active.any()
    made, _ = clips(0, 1)
    deaf = Similarities(np.full_like(made[0].audio, np.nan), made[0].visual, made[0].steady)
    for rule in (Published(), CalibratedRule(Calibrated(), NAMES)):
        (found,) = rule([deaf])
        assert not found.active[0].any() and not found.active[2].any()
        assert np.isfinite(found.scores).all()


def test_sound_is_constant_before_the_recheck():
    made, _ = clips(1, 1)
    (found,) = Published()([made[0]])
    assert (found.scores[0] == found.scores[0, :1]).all()
    assert not (found.scores[1] == found.scores[1, :1]).all()


def shared(found, truth) -> float:
    """The F-score of the segments of both tracks, whose classes are offset one by one."""
    active = np.stack([each.active[:2].swapaxes(0, 1) for each in found])
    return 2 * (active & truth).sum() / (active.sum() + truth.sum())


def test_a_class_whose_name_resembles_everything_is_no_more_likely_for_it():
    made, truth = clips(2, 40)
    calibrated = CalibratedRule(Calibrated(), NAMES)(made)
    assert shared(calibrated, truth) > 0.75 > 0.6 > shared(Published()(made), truth)
    for each in calibrated:
        assert (each.active[2] == (each.active[0] & each.active[1])).all()


@pytest.mark.parametrize(("scale", "offset"), [(0.1, -5.0), (7.0, 0.3)])
def test_scale_and_offset_of_an_encoder_change_no_probability(scale, offset):
    made, _ = clips(6, 3)
    rule = CalibratedRule(Calibrated(), NAMES)
    other = [Similarities(scale * c.audio + offset, c.visual, c.steady) for c in made]
    for before, after in zip(rule(made), rule(other), strict=True):
        np.testing.assert_allclose(before.scores, after.scores, atol=1e-6)


def test_annotated_clips_calibrate_the_others():
    random = np.random.default_rng(5)
    held = random.random((200, 1)) < 0.5
    scores = np.where(held, 0.6, 0.4) + 0.1 * random.normal(size=held.shape)
    known = np.where(np.arange(200)[:, None] < 150, held, np.nan)
    share, belief = np.array([0.1]), Belief(strength=1)
    told, guessed = fit(scores, share, known, belief), fit(scores, share, None, belief)
    assert told.absent == pytest.approx(0.4, abs=0.03)
    assert told.present == pytest.approx(0.6, abs=0.03)
    assert told.share == pytest.approx(0.5, abs=0.08)
    assert abs(told.share - 0.5) <= abs(guessed.share - 0.5)


def test_nothing_seen_is_what_is_believed():
    bells = fit(np.full((3, 2), np.nan), np.array([0.2, 0.4]))
    np.testing.assert_allclose(bells.share, [0.2, 0.4])
    assert (bells.probability(np.full((1, 2), np.nan)) == 0).all()
    assert (middles(np.full((3, 2), np.nan)) == 0).all()


def test_probabilities_rise_with_scores():
    random = np.random.default_rng(3)
    bells = fit(random.normal(size=(50, 3)), np.full(3, 0.1))
    rising = bells.probability(np.linspace(-5, 5, 30)[:, None] * np.ones(3))
    assert (np.diff(rising, axis=0) > 0).all()


def test_evidence_is_a_mean_of_means():
    rows = np.random.default_rng(4).normal(size=(14, 3))
    rows[6] = np.nan
    config = Calibrated(common=1e12)
    found = evidence(rows, np.zeros(3), config)
    assert np.isnan(found[6]).all()
    # Segment 5: its right neighbour is missing, so that it stands in for it.
    near = 0.25 * rows[4] + 0.75 * rows[5]
    wide = np.nanmean(rows[0:10], axis=0)
    np.testing.assert_allclose(found[5], (near + wide) / 2)
    np.testing.assert_allclose(
        found[13], (0.25 * rows[12] + 0.75 * rows[13] + np.nanmean(rows[4:14], axis=0)) / 2
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Published(alpha=2), "alpha 2 is out of range"),
        (lambda: Published(gamma=-1), "gamma -1 is out of range"),
        (lambda: Calibrated(threshold=-0.1), "threshold -0.1 is out of range"),
        (lambda: Calibrated(events=float("nan")), "events nan is out of range"),
    ],
)
def test_settings_out_of_range_are_refused(make, told):
    with pytest.raises(RlldError, match=told):
        make()
