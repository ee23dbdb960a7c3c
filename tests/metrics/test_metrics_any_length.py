"""Scores of videos of unequal length: padded maps against each video by itself, unpadded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rlld.data.ragged import within
from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.evaluation.baselines import BARE_TAGS, baseline_maps
from rlld.metrics import Gate, Scorer, exclusive_scores, reference, scores, search_thresholds
from rlld.metrics.gates import fuse
from rlld.training.validation import Validation
from rlld.types import Prediction

CLASSES = ("Crow", "Owl", "Wren")
videos = st.lists(st.sampled_from((1, 2, 4, 9, 10, 11, 17, 40)), min_size=1, max_size=5)


def runs(generator: np.random.Generator, segments: int) -> np.ndarray:
    """Maps (T, 2, C) of one video, in runs."""
    maps = generator.random((segments, 2, len(CLASSES))) < generator.choice((0.05, 0.3, 0.8))
    stay = generator.random(maps.shape) < 0.5
    for segment in range(1, segments):
        maps[segment] = np.where(stay[segment], maps[segment - 1], maps[segment])
    return maps


def spread(maps: list[np.ndarray], segments: int) -> Tensor:
    full = torch.zeros(len(maps), segments, 2, len(CLASSES), dtype=torch.bool)
    for row, each in enumerate(maps):
        full[row, : len(each)] = torch.from_numpy(each)
    return full


def prediction(maps: list[np.ndarray], lengths: list[int], segments: int, seed: int) -> Prediction:
    """Probabilities that a gate at 0 and 0.5 makes these maps of; any value stands in padding."""
    generator = torch.Generator().manual_seed(seed)
    segment = torch.rand(len(maps), segments, 2, len(CLASSES), generator=generator)
    high = spread(maps, segments)
    inside = within(torch.tensor(lengths), segments)
    segment = torch.where(inside[..., None, None], high.float() * 0.4 + 0.3, segment)
    sure = torch.ones(len(maps), len(CLASSES))
    return Prediction(segment, sure, sure, sure, mask=inside)


@given(lengths=videos, seed=st.integers(0, 2**32 - 1), spare=st.sampled_from((0, 1, 7)))
def test_padding_changes_no_score(lengths: list[int], seed: int, spare: int) -> None:
    generator = np.random.default_rng(seed)
    predicted = [runs(generator, length) for length in lengths]
    true = [runs(generator, length) for length in lengths]
    segments = max(lengths) + spare
    truth = spread(true, segments)
    made = Gate(segment_threshold=0.5).apply(prediction(predicted, lengths, segments, seed))
    assert torch.equal(made, spread(predicted, segments))
    rows = [reference.video_scores(p, g) for p, g in zip(predicted, true, strict=True)]
    np.testing.assert_allclose(Scorer(truth).per_video(made).numpy(), rows, rtol=0, atol=1e-12)
    ten = list(scores(made, truth).as_dict().values())
    np.testing.assert_allclose(ten, reference.ten_from_rows(rows), rtol=0, atol=1e-10)
    alone = [
        exclusive_scores(torch.from_numpy(p)[None], torch.from_numpy(g)[None]).as_dict()
        for p, g in zip(predicted, true, strict=True)
    ]
    together = exclusive_scores(made, truth).as_dict()
    for name, value in together.items():
        np.testing.assert_allclose(value, np.mean([each[name] for each in alone]), atol=1e-9)


def test_half_of_an_event_is_a_match_at_any_length() -> None:
    """A true event of 30 segments, of which 15 are found: the overlap is 0.5; with 14 it is not."""
    truth = torch.zeros(2, 40, 2, 1, dtype=torch.bool)
    truth[:, 5:35, 0] = True
    predicted = torch.zeros_like(truth)
    predicted[0, 5:20, 0] = True
    predicted[1, 5:19, 0] = True
    assert Scorer(truth).per_video(predicted)[:, 4].tolist() == [1.0, 0.0]


def test_a_gate_never_opens_behind_the_end() -> None:
    lengths = [2, 5]
    empty = [np.zeros((length, 2, 3), bool) for length in lengths]
    made = prediction(empty, lengths, 5, 0)
    inside = within(torch.tensor(lengths), 5)[..., None, None]
    open_wide = Gate(audio_threshold=0.0, visual_threshold=0.0, segment_threshold=0.0)
    for gated in (
        open_wide.apply(made),
        open_wide.apply(made, torch.ones(2, 3)),
        open_wide.apply(fuse(made, made)),
    ):
        assert torch.equal(gated, inside.expand_as(gated))
    assert Gate().apply(replace(made, mask=None)).any()  # what the mask is for


def test_baselines_validation_and_threshold_search_end_with_the_video() -> None:
    generator = np.random.default_rng(3)
    lengths = [3, 12, 7]
    true = [runs(generator, length) for length in lengths]
    predicted = [runs(generator, length) for length in lengths]
    spec = DataSpec("any", CLASSES, 12, any_length=True)
    tags = torch.stack([torch.from_numpy(each).any(0).any(0) for each in true]).float()
    dense, ends = spread(true, 12), torch.tensor(lengths)
    split = Split("validation", spec, ("a", "b", "c"), {}, tags, dense, lengths=ends)
    bare = baseline_maps(split)[BARE_TAGS]
    expected = [
        reference.video_scores(np.broadcast_to(tag.bool().numpy(), each.shape), each)
        for tag, each in zip(tags, true, strict=True)
    ]
    np.testing.assert_allclose(Scorer(split.dense).per_video(bare).numpy(), expected, atol=1e-12)
    made = prediction(predicted, lengths, 12, 1)
    found = Validation(split).scores(made, Gate())
    rows = [reference.video_scores(p, g) for p, g in zip(predicted, true, strict=True)]
    wanted = reference.ten_from_rows(rows)
    np.testing.assert_allclose([float(value) for value in found.values()], wanted, atol=1e-9)
    searched = search_thresholds(made, split, Gate(segment_threshold=0.0))
    assert len(searched.visual_threshold) == 3
