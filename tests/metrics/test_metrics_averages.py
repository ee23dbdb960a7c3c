"""Scores averaged over classes, or over nothing: by hand, and against the plain reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rlld.metrics import class_macro_scores, exclusive_scores, micro_scores, reference, scores
from rlld.metrics.averages import event_mean

WAYS = {
    class_macro_scores: reference.class_macro_scores,
    micro_scores: reference.micro_scores,
    exclusive_scores: reference.exclusive_scores,
    scores: reference.ten_scores,
}


def draw(seed: int, shape: tuple[int, ...], density: float) -> Tensor:
    generator = np.random.default_rng(seed)
    maps = generator.random(shape) < density
    maps[generator.random(shape[0]) < 0.3] = False  # some videos are empty
    maps[..., generator.random(shape[3]) < 0.3] = False  # and some classes
    return torch.from_numpy(maps)


@pytest.mark.parametrize("fast", WAYS, ids=lambda way: way.__name__)
@given(
    seed=st.integers(0, 2**32 - 1),
    videos=st.sampled_from((1, 3, 150)),
    segments=st.sampled_from((1, 4, 10, 13)),
    classes=st.sampled_from((1, 5)),
    density=st.sampled_from((0.0, 0.05, 0.4, 0.9)),
    iou=st.sampled_from((0.3, 0.5)),
)
def test_fast_equals_reference(
    fast, seed: int, videos: int, segments: int, classes: int, density: float, iou: float
) -> None:
    shape = (videos, segments, 2, classes)
    predicted, truth = draw(seed, shape, density), draw(seed + 1, shape, density)
    slow = WAYS[fast](predicted.numpy(), truth.numpy(), iou)
    found = list(fast(predicted, truth, iou).as_dict().values())
    np.testing.assert_allclose(found, slow, rtol=0, atol=1e-10)


@pytest.fixture
def by_hand() -> tuple[Tensor, Tensor]:
    """Two videos of four segments, classes 0 to 2; nothing of class 2, and nothing in sight.

    Video 0: class 0 is heard in 0-4, found in 0-3. Video 1: class 0 is heard in 0-2 and not found,
    class 1 is heard in 2-3 and found in 2-4.
    """
    truth = torch.zeros(2, 4, 2, 3, dtype=torch.bool)
    predicted = truth.clone()
    truth[0, :, 0, 0] = True
    predicted[0, :3, 0, 0] = True
    truth[1, :2, 0, 0] = True
    truth[1, 2, 0, 1] = True
    predicted[1, 2:, 0, 1] = True
    return predicted, truth


def test_published_scores_by_hand(by_hand) -> None:
    """Video 0 has F 6/7; video 1 the mean of 0 and 2/3."""
    found = scores(*by_hand)
    assert found.segment_audio == pytest.approx(100 * (6 / 7 + 1 / 3) / 2)
    assert found.event_audio == pytest.approx(100 * (1 + 1 / 2) / 2)
    assert found.segment_visual == 100


def test_means_over_classes_by_hand(by_hand) -> None:
    """Class 0: 3 of 6 segments found and no other, F 6/9; class 1: one right and one wrong, 2/3."""
    found = class_macro_scores(*by_hand)
    assert found.segment_audio == pytest.approx(100 * (2 / 3 + 2 / 3) / 2)
    # Events: 3 of 4 segments match; the second event of class 0 is missed; 1 of 2 is a half.
    assert found.event_audio == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert (found.segment_visual, found.segment_audio_visual) == (100, 100)  # nothing is there
    assert found.segment_type == pytest.approx((200 / 3 + 100 + 100) / 3)
    assert found.segment_event == found.segment_audio


def test_all_together_by_hand(by_hand) -> None:
    """Four of seven segments found, one wrong; two of three events."""
    found = micro_scores(*by_hand)
    assert found.segment_audio == pytest.approx(100 * 8 / (8 + 3 + 1))
    assert found.event_audio == pytest.approx(100 * 4 / 5)
    assert (found.event_visual, found.event_audio_visual) == (100, 100)


def test_only_one_modality_by_hand() -> None:
    """Heard in 0-4 and seen in 2-4, found heard and seen in 1-4: nothing is seen alone."""
    truth = torch.zeros(1, 4, 2, 1, dtype=torch.bool)
    predicted = truth.clone()
    truth[0, :, 0] = truth[0, 2:, 1] = True
    predicted[0, 1:] = True
    found = exclusive_scores(predicted, truth)
    assert (found.segment_audio, found.event_audio) == (0, 0)  # heard alone in 0-2: not found
    assert (found.segment_visual, found.event_visual) == (100, 100)  # seen alone nowhere
    assert found.segment_audio_visual == pytest.approx(100 * 4 / 5)
    assert found.event_audio_visual == 100


def test_nothing_is_found_alone_where_both_tracks_are_said_to_have_the_same() -> None:
    truth = torch.zeros(2, 4, 2, 1, dtype=torch.bool)
    truth[0, :2, 0] = truth[0, 2:, 1] = True
    predicted = torch.ones_like(truth)
    found = exclusive_scores(predicted, truth)
    # The other video has nothing alone, which counts full.
    assert (found.segment_audio, found.segment_visual, found.segment_event) == (50, 50, 50)
    assert (found.event_audio, found.event_visual, found.event_event) == (50, 50, 50)
    assert found.segment_audio_visual == found.event_audio_visual == 0


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_nothing_found_where_nothing_is_counts_full(way) -> None:
    nothing = torch.zeros(3, 10, 2, 4, dtype=torch.bool)
    assert set(way(nothing, nothing).as_dict().values()) == {100.0}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_is_right_counts_full_and_counts_do_not_overflow(way) -> None:
    truth = draw(5, (400, 10, 2, 5), 0.7)
    assert set(way(truth, truth).as_dict().values()) == {100.0}


def test_the_mean_over_thresholds_by_hand():
    """Half of an event is a match up to an overlap of 0.5: five of nine thresholds."""
    truth = torch.zeros(2, 10, 2, 1, dtype=torch.bool)
    truth[0, :, 0] = True
    predicted = truth.clone()
    predicted[0, 5:, 0] = False
    # The second video is empty in both, which counts full.
    assert event_mean(predicted, truth, "audio") == pytest.approx(100 * (5 / 9 + 1) / 2)
    assert event_mean(predicted, truth, "visual") == 100


@pytest.mark.parametrize(("place", "kind"), [(5, "audio"), (6, "visual"), (7, "audio_visual")])
def test_the_mean_over_thresholds_is_that_of_the_reference(place, kind):
    predicted, truth = draw(3, (6, 12, 2, 3), 0.6), draw(4, (6, 12, 2, 3), 0.6)
    slow = [
        reference.ten_scores(predicted.numpy(), truth.numpy(), tenth / 10)[place]
        for tenth in range(1, 10)
    ]
    assert event_mean(predicted, truth, kind) == pytest.approx(sum(slow) / 9, abs=1e-9)
