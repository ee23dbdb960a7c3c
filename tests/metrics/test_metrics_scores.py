"""The fast scores against the plain reference, against facts and against hand-made cases."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rlld.errors import RlldError
from rlld.metrics import (
    NAMES,
    Scorer,
    Scores,
    counting,
    event_counts,
    exclusive_scores,
    named_score,
    per_video,
    reference,
    scores,
)

LENGTHS = (1, 2, 5, 10, 11, 13, 60)
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 1.0)
LOOSER = ((0.3, 34_282), (0.1, 257_946))


def draw(seed: int, videos: int, segments: int, classes: int, density: float) -> Tensor:
    """Maps with runs: cells stay as they were with probability one half."""
    generator = np.random.default_rng(seed)
    fresh = generator.random((videos, segments, 2, classes)) < density
    stay = generator.random(fresh.shape) < 0.5
    for segment in range(1, segments):
        fresh[:, segment] = np.where(stay[:, segment], fresh[:, segment - 1], fresh[:, segment])
    return torch.from_numpy(fresh)


@given(
    seed=st.integers(0, 2**32 - 1),
    segments=st.sampled_from(LENGTHS),
    classes=st.sampled_from((1, 3, 25)),
    density=st.sampled_from((0.02, 0.3, 0.7)),
    iou=st.sampled_from(THRESHOLDS),
)
def test_fast_equals_reference(
    seed: int, segments: int, classes: int, density: float, iou: float
) -> None:
    predicted = draw(seed, 3, segments, classes, density)
    truth = draw(seed + 1, 3, segments, classes, density)
    plain = [
        reference.video_scores(p, g, iou)
        for p, g in zip(predicted.numpy(), truth.numpy(), strict=True)
    ]
    np.testing.assert_allclose(per_video(predicted, truth, iou).numpy(), plain, rtol=0, atol=1e-12)
    counts = [
        reference.video_event_counts(p, g, iou)
        for p, g in zip(predicted.numpy(), truth.numpy(), strict=True)
    ]
    np.testing.assert_array_equal(event_counts(predicted, truth, iou).numpy(), counts)
    ten = reference.ten_scores(predicted.numpy(), truth.numpy(), iou)
    np.testing.assert_allclose(
        list(scores(predicted, truth, iou).as_dict().values()), ten, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(
    ("iou", "differing"),
    [(0.5, 0), *(pytest.param(*each, marks=pytest.mark.slow) for each in LOOSER)],
)
def test_all_pairs_of_ten_segment_maps(iou: float, differing: int) -> None:
    """The table equals the rule; equally many events match on both sides from one half on.

    The number of pairs of maps where they are not equally many is published.
    """
    codes = torch.arange(1 << 10)
    maps = (codes[:, None] >> torch.arange(10)) & 1 == 1
    predicted, truth = maps.repeat_interleave(1024, 0), maps.repeat(1024, 1)
    matched = counting.count_events(predicted, truth, counting.exact_threshold(iou)).tp
    matched = matched.view(1024, 1024)
    # Matching is symmetric, so the true events that match are the transposed table.
    assert int((matched != matched.T).sum()) == differing
    as_one_video = [each.T[None, :, None].repeat(1, 1, 2, 1) for each in (predicted, truth)]
    counts = Scorer(as_one_video[1], iou).counts(as_one_video[0], "event")
    assert torch.equal(counts.tp[0, 0].long(), matched.flatten())
    runs = torch.tensor([len(reference.runs(each)) for each in maps.numpy()])
    assert torch.equal(counts.fp[0, 0].long(), (runs[:, None] - matched).flatten())
    assert torch.equal(counts.fn[0, 0].long(), (runs[None] - matched.T).flatten())


def test_ties_at_one_half_are_220_ordered_run_pairs() -> None:
    runs = [(s, e) for s in range(10) for e in range(s + 1, 11)]
    assert len(runs) == 55
    maps = torch.zeros(55, 10, dtype=torch.bool)
    for row, (start, end) in enumerate(runs):
        maps[row, start:end] = True
    predicted, truth = maps.repeat_interleave(55, 0), maps.repeat(55, 1)
    tied = counting.count_events(predicted, truth, Fraction(1, 2)).tp
    above = counting.count_events(predicted, truth, Fraction(51, 100)).tp
    assert int((tied - above).sum()) == 220


def test_pieces_of_bounded_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, truth = draw(1, 9, 13, 4, 0.3), draw(2, 9, 13, 4, 0.3)
    whole = event_counts(predicted, truth, 0.3)
    monkeypatch.setattr(counting, "CELLS_PER_PIECE", 2 * 3 * 4 * 13)
    assert torch.equal(event_counts(predicted, truth, 0.3), whole)


def test_hand_computed_video() -> None:
    """Class 0: audio 0-3 predicted for 0-2 true; class 1: visual 4-5 predicted, nothing true."""
    predicted = torch.zeros(1, 10, 2, 2, dtype=torch.bool)
    truth = predicted.clone()
    predicted[0, 0:4, 0, 0] = True
    truth[0, 0:2, 0, 0] = True
    predicted[0, 4:6, 1, 1] = True
    found = scores(predicted, truth)
    segment_audio = 100 * 4 / 6
    assert found == Scores(
        pytest.approx(segment_audio),
        0.0,
        100.0,
        pytest.approx((segment_audio + 100) / 3),
        pytest.approx(segment_audio / 2),
        100.0,  # IoU 2 / 4 is a tie, and ties match
        0.0,
        100.0,
        pytest.approx(200 / 3),
        50.0,
    )


@pytest.mark.parametrize("segments", [1, 10, 13])
def test_perfect_prediction_scores_exactly_100(segments: int) -> None:
    truth = draw(3, 7, segments, 25, 0.2)
    assert set(scores(truth, truth).as_dict().values()) == {100.0}


@given(seed=st.integers(0, 2**32 - 1), segments=st.sampled_from((3, 10, 12)))
def test_audio_visual_ignores_which_modality_is_which(seed: int, segments: int) -> None:
    predicted, truth = draw(seed, 4, segments, 5, 0.4), draw(seed + 1, 4, segments, 5, 0.4)
    plain, swapped = scores(predicted, truth), scores(predicted.flip(2), truth)
    assert swapped.segment_audio_visual == plain.segment_audio_visual
    assert swapped.event_audio_visual == plain.event_audio_visual
    assert scores(truth.flip(2), truth).event_audio_visual == 100


def test_empty_videos_count_one_and_a_false_alarm_costs_everything() -> None:
    nothing = torch.zeros(2, 10, 2, 3, dtype=torch.bool)
    assert set(scores(nothing, nothing).as_dict().values()) == {100.0}
    alarm = nothing.clone()
    alarm[0, 5, 0, 1] = True
    found = scores(alarm, nothing)
    assert (found.segment_audio, found.segment_visual, found.event_event) == (50.0, 100.0, 50.0)


def test_one_wrong_class_halves_a_video() -> None:
    truth = torch.zeros(1, 10, 2, 4, dtype=torch.bool)
    truth[0, :, 0, 0] = True
    predicted = truth.clone()
    predicted[0, 3, 0, 2] = True
    assert scores(predicted, truth).segment_audio == 50.0


def test_exclusive_scores_equal_plain_scores_of_exclusive_maps() -> None:
    """Audio, visual and Event; audio-visual stays that of the original maps."""
    predicted, truth = draw(5, 6, 10, 4, 0.4), draw(6, 6, 10, 4, 0.4)
    only = exclusive_scores(predicted, truth)
    alone = scores(predicted & ~predicted.all(2, True), truth & ~truth.all(2, True))
    usual = scores(predicted, truth)
    for level in ("segment", "event"):
        for kind in ("audio", "visual", "event"):
            name = f"{level}_{kind}"
            assert only.as_dict()[name] == alone.as_dict()[name]
        assert only.nested()[level]["audio_visual"] == usual.nested()[level]["audio_visual"]
        assert only.nested()[level]["audio_visual"] != alone.nested()[level]["audio_visual"]


def test_scorer_gives_named_tensors_and_the_same_values() -> None:
    predicted, truth = draw(7, 5, 10, 6, 0.3), draw(8, 5, 10, 6, 0.3)
    scorer = Scorer(truth)
    everything = scorer(predicted)
    assert tuple(everything) == NAMES
    assert all(value.shape == () and value.dtype == torch.float64 for value in everything.values())
    some = scorer(predicted, ("event_visual", "segment_audio"))
    assert list(some) == ["event_visual", "segment_audio"]
    assert all(torch.equal(some[name], everything[name]) for name in some)
    assert scorer.scores(predicted).as_dict() == {n: float(v) for n, v in everything.items()}


def test_named_scores_add_and_average() -> None:
    values = {name: float(number) for number, name in enumerate(NAMES)}
    assert named_score(values, "segment_type+event_type") == 3.0 + 8.0
    assert named_score(values, "event_visual") == 6.0
    assert named_score(values, "mean") == 4.5
    alone = {f"exclusive_{name}": value + 10 for name, value in values.items()}
    assert named_score(values | alone, "exclusive_mean+segment_type") == 14.5 + 3.0
    assert named_score(alone, "exclusive_event_visual") == 16.0
    with pytest.raises(RlldError, match="did you mean 'segment_type'"):
        named_score(values, "segment_typ")
    with pytest.raises(RlldError, match="unknown score ''"):
        named_score(values, "")


def test_scores_object() -> None:
    ten = Scores(*(float(number) for number in range(10)))
    assert ten.mean == 4.5
    assert ten.modality_mean("audio") == 2.5
    assert ten.modality_mean("visual") == 3.5
    assert ten.nested()["event"] == {
        "audio": 5.0,
        "visual": 6.0,
        "audio_visual": 7.0,
        "type": 8.0,
        "event": 9.0,
    }
    lines = str(ten).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].split() == ["Event", "5.0", "6.0", "7.0", "8.0", "9.0"]
    with pytest.raises(RlldError, match="unknown modality"):
        ten.modality_mean("audible")


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (torch.zeros(2, 10, 2, 3), "must be bool of shape .* found float32"),
        (torch.zeros(2, 3, 10, dtype=torch.bool), r"found bool \(2, 3, 10\)"),
        (torch.zeros(2, 10, 2, 4, dtype=torch.bool), "score the same videos"),
        (torch.zeros(0, 10, 2, 3, dtype=torch.bool), "nothing to score"),
    ],
)
def test_wrong_maps_are_refused(predicted: Tensor, message: str) -> None:
    truth = torch.zeros(2, 10, 2, 3, dtype=torch.bool)
    with pytest.raises(RlldError, match=message):
        scores(predicted, truth)


@pytest.mark.parametrize("iou", [0.0, -0.1, 1.1, float("nan")])
def test_wrong_threshold_is_refused(iou: float) -> None:
    truth = torch.zeros(2, 10, 2, 3, dtype=torch.bool)
    with pytest.raises(RlldError, match="IoU threshold"):
        scores(truth, truth, iou)


@pytest.mark.gpu
@pytest.mark.parametrize("segments", [10, 13])
def test_scores_fit_a_cuda_graph(segments: int) -> None:
    """Capture fails on any wait for the device or any shape that depends on values."""
    truth, predicted = draw(1, 50, segments, 25, 0.1).cuda(), draw(2, 50, segments, 25, 0.1).cuda()
    scorer = Scorer(truth, 0.3)
    static = predicted.clone()
    scorer(static)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = scorer(static)
    other = draw(3, 50, segments, 25, 0.1).cuda()
    static.copy_(other)
    graph.replay()
    plain = scores(other.cpu(), truth.cpu(), 0.3).as_dict()
    assert {n: pytest.approx(v, abs=1e-10) for n, v in plain.items()} == {
        n: float(v) for n, v in captured.items()
    }
