"""The calibrated rule taught by another collection, and on clips that go on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.open_classes.calibrated import Calibrated, CalibratedRule, Taught
from rlld.open_classes.coming import Coming
from rlld.open_classes.similarities import Similarities

NAMES = ("Speech", "Dog", "glass breaking", "applause")


def rows_of(seed: int, segments: int, lacking: bool = True) -> np.ndarray:
    """Similarities of a track, of which some segments may be silent."""
    random = np.random.default_rng(seed)
    rows = 0.2 + 0.05 * random.normal(size=(segments, len(NAMES)))
    rows += 0.15 * (random.random(rows.shape) < 0.2)
    if lacking:
        rows[random.random(segments) < 0.15] = np.nan
    return rows


def clips(seed: int, number: int) -> list[Similarities]:
    tracks = [[rows_of(seed + 100 * m + n, 10, False) for n in range(number)] for m in (1, 2)]
    return [Similarities(a, v, np.ones(9)) for a, v in zip(*tracks, strict=True)]


def taught(classes: list[bool], known=None) -> Taught:
    rule = CalibratedRule(Calibrated(), NAMES, known)
    made = clips(3, 12)
    return Taught((rule.learned(made, 0), rule.learned(made, 1)), np.array(classes))


LEARNED = taught([True] * 4).learned[0]


@given(
    seed=st.integers(0, 2**32 - 1),
    segments=st.integers(1, 60),
    chunk=st.sampled_from((1, 3, 10)),
)
def test_what_is_likely_in_a_clip_that_comes_is_that_of_the_whole(seed, segments, chunk):
    learned, rows = LEARNED, rows_of(seed, segments)
    coming, parts, given_out = Coming(learned), [], 0
    for start in range(0, segments, chunk):
        parts.append(coming.push(rows[start : start + chunk]))
        given_out += len(parts[-1])
        came = min(start + chunk, segments)
        # Nine segments behind the first one, five behind those that follow.
        assert given_out == (came - 4 if came >= 10 else 0)
        assert len(coming._rows) <= 14 + chunk
    parts.append(coming.finish())
    found = np.concatenate([part for part in parts if len(part)])
    np.testing.assert_allclose(found, learned.probabilities(rows), atol=1e-12)


def test_taught_classes_are_judged_by_the_other_collection_and_the_rest_as_before():
    some, others = clips(50, 2), clips(60, 12)
    teaching = taught([True, False, True, False])
    rule = CalibratedRule(Calibrated(), NAMES, taught=teaching)
    alone, together = rule(some[:1])[0], rule([*some, *others])[0]
    plain = CalibratedRule(Calibrated(), NAMES)(some[:1])[0]
    for modality in range(2):
        wanted = teaching.learned[modality].probabilities(some[0].part(modality))
        np.testing.assert_array_equal(alone.scores[modality][:, [0, 2]], wanted[:, [0, 2]])
        np.testing.assert_array_equal(together.scores[modality][:, [0, 2]], wanted[:, [0, 2]])
    np.testing.assert_array_equal(alone.scores[:2, :, [1, 3]], plain.scores[:2, :, [1, 3]])
    assert np.abs(together.scores[:2, :, [1, 3]] - plain.scores[:2, :, [1, 3]]).max() > 1e-3
    assert np.abs(alone.scores[:2, :, [0, 2]] - plain.scores[:2, :, [0, 2]]).max() > 1e-3


def test_annotation_moves_where_a_class_divides():
    """A class that annotation says is there in the upper half is found above its middle."""
    made = clips(3, 12)
    scores = np.concatenate([clip.audio[:, 1] for clip in made])
    limit = np.quantile(scores, 0.5)
    known = {
        n: np.stack(
            [np.where(np.arange(4) == 1, part > limit, np.nan) for part in (c.audio, c.visual)], 1
        )
        for n, c in enumerate(made)
    }
    told = taught([True] * 4, known).learned[0].bells
    free = taught([True] * 4).learned[0].bells
    assert told.share[1] > 0.3 > free.share[1]
    assert told.share[0] == pytest.approx(free.share[0])
