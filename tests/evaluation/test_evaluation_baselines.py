"""Scores beside what needs no run: values by hand, and when a run is said to be no better."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.data.split import Split
from rlld.evaluation.baselines import (
    BARE_TAGS,
    NOTHING,
    Gain,
    baseline_maps,
    gains,
    nothing,
    warned,
)
from rlld.metrics.reference import ten_scores
from rlld.metrics.scores import COLUMNS, per_video, scores


@pytest.fixture
def test_split(tiny_data) -> Split:
    return load_data(tiny_data).test


def test_nothing_scores_one_where_nothing_occurs(test_split):
    """Of two videos one is silent and has pictures, in the other nothing occurs at all."""
    truth = torch.zeros(2, 6, 2, 4, dtype=torch.bool)
    truth[0, 2:4, 1, 0] = True
    split = replace(test_split.subset(torch.tensor([0, 1])), dense=truth)
    found = nothing(split)
    assert (found.segment_audio, found.event_audio) == (100, 100)
    assert (found.segment_visual, found.event_visual) == (50, 50)
    assert (found.segment_audio_visual, found.event_audio_visual) == (100, 100)
    assert found.segment_type == pytest.approx(250 / 3)
    assert (found.segment_event, found.event_event) == (50, 50)


def test_gains_are_the_differences_of_the_ten_scores(test_split):
    truth = test_split.require_dense()
    predicted = torch.rand(truth.shape, generator=torch.Generator().manual_seed(3)) < 0.3
    own = ten_scores(predicted.numpy(), truth.numpy())
    for gain in gains(per_video(predicted, truth), test_split):
        theirs = ten_scores(baseline_maps(test_split)[gain.baseline].numpy(), truth.numpy())
        place = 3 if gain.level == "segment" else 8
        assert gain.score == pytest.approx(own[place])
        assert gain.other == pytest.approx(theirs[place])
        assert gain.error > 0


@pytest.mark.parametrize(("kind", "lane"), [("joint", "audio_visual"), ("audio", "audio")])
def test_lanes_that_a_data_set_does_not_know_say_nothing_of_a_run(test_split, kind, lane):
    split = replace(test_split, spec=replace(test_split.spec, modalities=kind))
    columns = torch.zeros(len(split), len(COLUMNS))
    for level in ("segment", "event"):
        columns[:, COLUMNS.index(f"{level}_{lane}")] = 1  # right, and all the rest is wrong
    found = gains(columns, split)
    assert {gain.score for gain in found} == {100.0}
    assert not warned(found, "weak")
    own = scores(baseline_maps(split)[BARE_TAGS], split.require_dense()).as_dict()
    assert found[0].other == pytest.approx(own[f"segment_{lane}"])
    poor = warned(gains(torch.zeros_like(columns), split), "weak")
    assert f"segment {lane.replace('_', '-')} score 0.0 against" in poor[0]


def test_the_error_is_that_of_the_difference_not_of_the_scores(test_split):
    """A parser that adds the same to every video is better for certain."""
    truth = test_split.require_dense()
    same = gains(per_video(baseline_maps(test_split)[BARE_TAGS], truth), test_split)
    assert {gain.error for gain in same if gain.baseline == BARE_TAGS} == {0.0}
    assert not any(gain.clear for gain in same if gain.baseline == BARE_TAGS)
    assert all(gain.clear for gain in gains(per_video(truth, truth), test_split))


def test_tags_end_with_their_video(test_split):
    lengths = torch.arange(len(test_split)) % 6 + 1
    maps = baseline_maps(replace(test_split, lengths=lengths))[BARE_TAGS]
    for video, length in enumerate(lengths.tolist()):
        tags = test_split.labels[video].bool()
        assert maps[video, :length].all((0, 1)).equal(tags)
        assert not maps[video, length:].any()


def test_one_video_has_no_spread(test_split):
    one = test_split.subset(torch.tensor([0]))
    assert {gain.error for gain in gains(torch.rand(1, 8), one)} == {0.0}


@pytest.mark.parametrize(
    ("score", "error", "clear"), [(30, 2, True), (27, 2, False), (25, 0, False), (20, 1, False)]
)
def test_better_is_more_than_chance(score, error, clear):
    assert Gain(NOTHING, "segment", score, 25, error).clear is clear


@pytest.fixture
def poor() -> list[Gain]:
    """A parser below the bare tags that finds more than nothing."""
    return [Gain(BARE_TAGS, "segment", 29.7, 33.8, 1), Gain(NOTHING, "event", 29.3, 25.4, 1)]


def test_a_warning_names_the_baseline_and_what_helps(poor):
    (told,) = warned(poor, "rlld-best", 75, 300)
    assert told.startswith(
        "beyond chance no better than the bare tags (segment Type 29.7 against 33.8"
    )
    assert (
        "in this order: more updates (rlld train ... --schedule.updates 600, it had 75), " in told
    )
    assert warned(poor[1:], "rlld-best") == []


@pytest.mark.parametrize("updates", [600, 1200, None])
def test_a_warning_asks_for_no_more_updates_than_the_data_do(poor, updates):
    (told,) = warned(poor, "rlld-best", updates, 300)
    assert "in this order: more annotated videos (rlld suggest RUN names them), and feat" in told


def test_a_warning_names_the_recommended_recipe_to_those_who_took_another(poor):
    (told,) = warned(poor, "han", 600, 300)
    assert "in this order: the recommended recipe (rlld train rlld-best ...)" in told
