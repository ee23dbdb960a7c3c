from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.metrics.gates import GLOBAL, Gate
from rlld.parsing.windows import (
    BATCH,
    Evidence,
    Windows,
    decide,
    join,
    keep_marked,
    window_of,
)
from rlld.types import Prediction


def pooling(streams: Mapping[str, Tensor]) -> Prediction:
    """A network without positions, as HAN: segments in, the mean as video-level probability."""
    audio, visual = streams["audio"], streams["visual_2d"]
    segment = torch.stack([audio, visual], dim=2)
    return Prediction(
        segment, audio.mean(1), visual.mean(1), torch.maximum(audio.mean(1), visual.mean(1))
    )


def evidence_of(features: Tensor, length: int, chunk: int) -> Evidence:
    windows = Windows(pooling, length)
    for part in features.split(chunk):
        windows.push({"audio": part[:, 0], "visual_2d": part[:, 1]})
    return windows.finish()


def slow_evidence(features: Tensor, length: int) -> Evidence:
    """The rule of the module, segment by segment."""
    total = len(features)
    if total <= length:
        starts, length = [0], total
    else:
        starts = list(range(0, total - length + 1, max(1, length // 2)))
        if starts[-1] != total - length:
            starts.append(total - length)
    predictions = [
        pooling({"audio": w[None, :, 0], "visual_2d": w[None, :, 1]})
        for w in (features[s : s + length] for s in starts)
    ]
    rows: dict[str, list[Tensor]] = {"segment": [], "audio": [], "visual": [], "video": []}
    for t in range(total):
        seen = [(s, p) for s, p in zip(starts, predictions, strict=True) if s <= t < s + length]
        weights = [min(t - s + 1, s + length - t) for s, _ in seen]
        for part, values in rows.items():
            parts = [
                getattr(p, part)[0][t - s] if part == "segment" else getattr(p, part)[0]
                for s, p in seen
            ]
            blended = sum(w * v.double() for w, v in zip(weights, parts, strict=True))
            values.append((blended / sum(weights)).float())
    return Evidence(*(torch.stack(values) for values in rows.values()))


@given(
    total=st.integers(1, 60),
    length=st.integers(1, 12),
    chunk=st.integers(1, 70),
    seed=st.integers(0, 2**31),
)
def test_streamed_windows_equal_the_rule_segment_by_segment(
    total: int, length: int, chunk: int, seed: int
) -> None:
    features = torch.rand(total, 2, 3, generator=torch.Generator().manual_seed(seed))
    found, expected = evidence_of(features, length, chunk), slow_evidence(features, length)
    for part in ("segment", "audio", "visual", "video"):
        torch.testing.assert_close(getattr(found, part), getattr(expected, part))


@given(total=st.integers(1, 300), length=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_constant_features_give_one_uncut_value(total: int, length: int, seed: int) -> None:
    row = torch.rand(2, 5, generator=torch.Generator().manual_seed(seed))
    row[0, 0] = 0.5  # on the threshold: the slightest rounding would cut
    windows = Windows(lambda s: _constant(s, row), length)
    windows.push({"audio": torch.zeros(total, 1), "visual_2d": torch.zeros(total, 1)})
    evidence = windows.finish()
    assert torch.equal(evidence.segment, row.expand(total, 2, 5))
    decided = decide(evidence, GLOBAL)
    assert (decided == decided[:1]).all()
    one = GLOBAL.apply(_constant({"audio": torch.zeros(1, length, 1)}, row))
    assert (decided[0] == one[0, 0].numpy()).all()


def _constant(streams: Mapping[str, Tensor], row: Tensor) -> Prediction:
    count, length = streams["audio"].shape[:2]
    top = row.amax(dim=0).expand(count, -1)
    return Prediction(row.expand(count, length, 2, -1), top, top, top)


@given(length=st.integers(1, 10), seed=st.integers(0, 2**31))
def test_a_video_of_one_window_gets_exactly_the_plain_result(length: int, seed: int) -> None:
    features = torch.rand(length, 2, 4, generator=torch.Generator().manual_seed(seed))
    plain = pooling({"audio": features[None, :, 0], "visual_2d": features[None, :, 1]})
    evidence = evidence_of(features, 10, 4)
    assert torch.equal(evidence.segment, plain.segment[0])
    assert torch.equal(evidence.video, plain.video.expand(length, -1))
    for gate in (GLOBAL, Gate(smoothing=0.2)):
        assert (decide(evidence, gate) == gate.apply(plain)[0].numpy()).all()


def test_a_shorter_video_is_seen_at_its_own_length() -> None:
    seen = []
    windows = Windows(lambda s: seen.append(s["audio"].shape) or pooling(s), 10)
    windows.push({"audio": torch.rand(3, 2), "visual_2d": torch.rand(3, 2)})
    assert windows.finish().segment.shape == (3, 2, 2)
    assert seen == [(1, 3, 2)]


def test_an_open_window_keeps_an_event_that_runs_into_a_closed_one() -> None:
    """Segments 0-11 are above the threshold; only the first window opens the gate."""
    segment = torch.full((2, 10, 2, 1), 0.6)
    segment[1, 7:] = 0.1
    gate = torch.tensor([[0.9], [0.2]])
    evidence = join([0, 5], Prediction(segment, gate, gate, gate), 15)
    assert (evidence.video[:, 0] >= 0.5).tolist() == [True] * 8 + [False] * 7
    decided = decide(evidence, GLOBAL)[:, 0, 0]
    assert decided.tolist() == [True] * 12 + [False] * 3


def test_a_closed_gate_stays_closed_for_events_that_no_open_window_touches() -> None:
    segment = torch.full((2, 10, 2, 1), 0.1)
    segment[0, 0:2] = 0.9
    segment[1, 8:10] = 0.9
    gate = torch.tensor([[0.9], [0.2]])
    evidence = join([0, 10], Prediction(segment, gate, gate, gate), 20)
    assert np.flatnonzero(decide(evidence, GLOBAL)[:, 0, 0]).tolist() == [0, 1]


def test_memory_holds_a_batch_of_windows_and_no_more() -> None:
    windows = Windows(pooling, 10)
    most = 0
    for _ in range(10_800):
        windows.push({"audio": torch.rand(1, 1), "visual_2d": torch.rand(1, 1)})
        most = max(most, len(windows._features["audio"]))
    assert windows.finish().segment.shape == (10_800, 2, 1)
    assert most <= (BATCH + 1) * 5 + 10


def test_no_segment_is_an_error() -> None:
    with pytest.raises(RlldError, match="no segment"):
        Windows(pooling, 10).finish()


def test_keep_marked_spreads_both_ways_along_runs_only() -> None:
    active = np.array([1, 1, 1, 0, 1, 1, 0, 1], dtype=bool)
    marks = np.array([0, 1, 0, 1, 0, 0, 0, 1], dtype=bool)
    assert keep_marked(active, marks).astype(int).tolist() == [1, 1, 1, 0, 0, 0, 0, 1]


def test_windows_of_videos_of_any_length_are_long_but_bounded() -> None:
    fixed = DataSpec("fixed", ("A",), 900)
    assert window_of(fixed) == (900, BATCH)
    assert window_of(replace(fixed, any_length=True)) == (600, 5)
    assert window_of(replace(fixed, any_length=True, segments=40)) == (40, BATCH)
    seen: list[tuple[int, ...]] = []

    def watched(streams: Mapping[str, Tensor]) -> Prediction:
        seen.append(tuple(streams["audio"].shape[:2]))
        return pooling(streams)

    features = torch.rand(5000, 2, 3, generator=torch.Generator().manual_seed(0))
    windows = Windows(watched, *window_of(replace(fixed, any_length=True)))
    for part in features.split(700):
        windows.push({"audio": part[:, 0], "visual_2d": part[:, 1]})
    found, expected = windows.finish(), slow_evidence(features, 600)
    assert max(count for count, _ in seen) == 5 and {length for _, length in seen} == {600}
    torch.testing.assert_close(found.segment, expected.segment)
    torch.testing.assert_close(found.audio, expected.audio)
