"""Distributions over bit masks against enumeration by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rlld.synthetic.features import masks
from rlld.synthetic.features.masks import MaskCounts


def as_masks(*texts: str) -> np.ndarray:
    """Reads ``1101`` as the mask of segments 0, 1 and 3."""
    return masks.encode(np.array([[mark == "1" for mark in text] for text in texts]))


def test_bits_and_encode_are_inverse() -> None:
    assert (masks.encode(masks.bits(6)) == np.arange(64)).all()
    assert masks.bits(4)[as_masks("1101")[0]].tolist() == [True, True, False, True]


def test_count_by_hand() -> None:
    counts = masks.count(as_masks("1111", "0110", "0110", "1011"), 4)
    assert counts.spans[0][3] == 1
    assert counts.spans[1][2] == 2
    assert np.sum(counts.spans) == 3
    assert counts.broken == 1
    # 1011 starts on, then on-off, off-on, on-on.
    assert counts.chain == ((0, 1), (0, 1), (1, 1))


def test_distribution_of_single_runs_is_their_frequency() -> None:
    counts = masks.count(as_masks("1111", "0110", "0110", "0001"), 4)
    chance = masks.distribution(counts, counts, 0.0)
    expected = np.zeros(16)
    expected[as_masks("1111", "0110", "0001")] = 0.25, 0.5, 0.25
    assert chance == pytest.approx(expected)


def test_broken_masks_share_their_mass_by_the_chain() -> None:
    # Three of four masks are broken. In three segments the only broken mask is 101.
    three = MaskCounts(((1, 0, 0), (0, 0, 0), (0, 0, 0)), 3, ((1, 2), (2, 1), (1, 2)))
    chance = masks.distribution(three, three, 0.0)
    assert chance[as_masks("100")[0]] == pytest.approx(0.25)
    assert chance[as_masks("101")[0]] == pytest.approx(0.75)
    # In four segments there are three: 1010, 0101, 1001, 1011, 1101 by the chain's rates.
    spans = tuple((0,) * 4 for _ in range(4))
    four = MaskCounts(spans, 1, ((1, 3), (1, 3), (1, 1)))
    first = (0.25, 0.75)
    rate = ((0.25, 0.75), (0.5, 0.5))
    weights = {
        text: first[int(text[0])] * np.prod([rate[int(a)][int(b)] for a, b in pairwise(text)])
        for text in ("1010", "0101", "1001", "1011", "1101")
    }
    chance = masks.distribution(four, four, 0.0)
    total = sum(weights.values())
    for text, weight in weights.items():
        assert chance[as_masks(text)[0]] == pytest.approx(weight / total)
    assert chance.sum() == pytest.approx(1)


def test_rare_classes_lean_on_the_others() -> None:
    own, every = masks.count(as_masks("10"), 2), masks.count(as_masks("11", "11", "11", "10"), 2)
    chance = masks.distribution(own, every, 1.0)
    assert chance[as_masks("10", "11")] == pytest.approx([(1 + 0.25) / 2, 0.75 / 2])
    unseen = masks.distribution(masks.count(np.zeros(0, np.int64), 2), every, 1.0)
    assert unseen[as_masks("10", "11")] == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("relation", masks.RELATIONS[1:])
def test_pairs_follow_the_product_restricted_to_the_relation(relation: str) -> None:
    rng = np.random.default_rng(3)
    audio, visual = rng.random(8), rng.random(8)
    audio[0] = visual[0] = 0
    audio, visual = audio / audio.sum(), visual / visual.sum()
    a, v = masks.draw_pairs(rng, audio, visual, relation, 200_000)
    found = np.zeros((8, 8))
    np.add.at(found, (a, v), 1 / len(a))
    expected = np.zeros((8, 8))
    sets = [{t for t in range(3) if mask >> t & 1} for mask in range(8)]
    for i, one in enumerate(sets):
        for j, two in enumerate(sets):
            fits = {
                "visual_contains": one < two,
                "audio_contains": two < one,
                "crossing": not one <= two and not two <= one,
            }[relation]
            if one and two and fits:
                expected[i, j] = audio[i] * visual[j]
    expected /= expected.sum()
    assert (found[expected == 0] == 0).all()
    # Five standard deviations of the largest cell.
    assert np.abs(found - expected).max() < 5 * np.sqrt(0.25 / len(a))


def test_draw_follows_probabilities_and_never_draws_the_impossible() -> None:
    drawn = masks.draw(np.random.default_rng(0), np.array([0.0, 2.0, 0.0, 6.0, 0.0]), 100_000)
    assert set(drawn.tolist()) == {1, 3}
    assert (drawn == 3).mean() == pytest.approx(0.75, abs=0.01)
