"""Scores of other tasks on an AVVP data set: what is true scores full, in every lane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from any_length_kit import draw_maps, write_set
from rlld.data.dataset import load_split
from rlld.data.spec import LANES
from rlld.evaluation.further import METRICS, Judged, metric_names
from rlld.metrics.detection import Timed


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Predictions that are the truth, of videos of several lengths."""
    lengths = {"train": [5], "validation": [4], "test": [7, 30, 12, 9, 25, 25, 18, 4]}
    folder = write_set(tmp_path_factory.mktemp("any") / "D", draw_maps(lengths, seed=3))
    videos = load_split(folder, "test")
    truth = videos.require_dense()
    return Judged(videos, truth.float(), truth)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("name", METRICS)
def test_the_truth_scores_full(name, lane, judged):
    found = METRICS[name](judged, lane)
    assert bool(found) is (name != "accuracy" or lane == "audio_visual")
    full = busy(judged.videos, lane) if name == "moment-map" else 100
    assert found == pytest.approx(dict.fromkeys(found, full))


def busy(videos, lane):
    """The percentage of segments with an event, as a mean over videos: others rank nothing."""
    shares = []
    for truth, length in zip(videos.require_dense(), videos.lengths.tolist(), strict=True):
        tracks = {"audio": truth[:, 0], "visual": truth[:, 1], "audio_visual": truth.all(1)}
        shares.append(float(tracks[lane][:length].any(-1).float().mean()))
    return 100 * sum(shares) / len(shares)


@pytest.mark.parametrize("lane", LANES)
def test_nothing_scores_nothing(lane, judged):
    nothing = replace(
        judged,
        probabilities=torch.zeros_like(judged.probabilities),
        active=torch.zeros_like(judged.active),
    )
    for name in ("map", "psds", "collar"):  # ranks of segments alike mean nothing
        found = METRICS[name](nothing, lane)
        assert found == pytest.approx(dict.fromkeys(found, 0), abs=1e-9)


def test_what_is_heard_and_seen_is_where_both_are(judged):
    """Against a reading of the maps, cell by cell."""
    spec, truth = judged.videos.spec, judged.videos.require_dense().numpy()
    both = truth[:, :, 0] & truth[:, :, 1]
    cells = {
        (event.video, event.label, second)
        for event in judged.true_events("audio_visual")
        for second in np.arange(event.onset, event.offset, spec.segment_seconds)
    }
    expected = {
        (judged.videos.ids[video], spec.classes[label], second * spec.segment_seconds)
        for video, second, label in np.argwhere(both)
    }
    assert cells == expected
    assert {each[:4] for each in judged.found_events("audio_visual")} == {
        each[:4] for each in judged.true_events("audio_visual")
    }


def test_confidence_is_the_mean_over_the_event(judged):
    halved = replace(judged, probabilities=judged.probabilities / 2)
    found = halved.found_events("audio")
    assert found and all(isinstance(event, Timed) for event in found)
    assert {event.confidence for event in found} == {0.5}


def test_names_are_taken_once():
    assert metric_names(["map", " accuracy ", "", "map"]) == ("map", "accuracy")
