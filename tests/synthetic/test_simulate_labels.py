"""Drawn labels against what is known of LLP."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from rlld.data.spec import LLP_FILES, LLP_SPEC
from rlld.metrics import scores
from rlld.synthetic.features import drawn, statistics
from rlld.synthetic.features.copied import copy_events, read_annotations
from rlld.synthetic.features.labels import SplitLabels, generator
from rlld.synthetic.features.statistics import LabelStatistics, load_statistics
from rlld.taxonomy import LLP
from rlld.utils.config import from_dict

VIDEOS = 8000
PUBLISHED_STATES = (
    "217 104 49 134 39 59 61 30 44 93 34 180 86 186 92 25 59 40 71 92 126 11 62 55 69",
    "752 2 74 13 2 4 4 6 1 23 8 81 7 39 6 7 21 3 4 9 13 8 13 0 52",
    "2 27 5 21 15 1 14 0 0 5 2 1 5 6 1 0 1 1 7 2 16 0 1 1 6",
    "19 1 4 1 1 1 2 0 0 1 1 3 0 1 0 0 0 0 0 0 0 0 1 0 2",
)
PUBLISHED_EXTRA = (
    "19 0 3 1 2 0 1 0 0 0 0 8 0 1 0 0 2 1 0 1 5 0 0 0 7",
    "6 2 0 2 5 0 2 0 0 2 0 6 0 1 0 0 2 1 2 1 6 0 0 0 2",
)


@pytest.fixture(scope="module")
def known() -> LabelStatistics:
    return load_statistics()


@pytest.fixture(scope="module")
def evaluation(known: LabelStatistics) -> SplitLabels:
    ids = tuple(map(str, range(VIDEOS)))
    return drawn.draw_labels(known, known.evaluation, ids, generator(5))


@pytest.fixture(scope="module")
def train(known: LabelStatistics) -> SplitLabels:
    ids = tuple(map(str, range(VIDEOS)))
    return drawn.draw_labels(known, known.train, ids, generator(6))


def test_shipped_statistics_are_those_of_the_real_files(shared_llp: Path) -> None:
    shipped = files("rlld.synthetic.features").joinpath(statistics.FILE_NAME).read_text()
    labels = read_annotations(shared_llp, LLP_FILES, LLP_SPEC)
    annotated = (labels["validation"], labels["test"])
    made = statistics.statistics_from_annotations(
        LLP.classes,
        labels["train"].weak,
        np.concatenate([split.weak for split in annotated]),
        np.concatenate([split.events for split in annotated]),
        load_statistics().source,
    )
    assert statistics.statistics_text(made) == shipped


def test_statistics_of_invented_videos_by_hand(invented_llp: Path, tmp_path: Path) -> None:
    """Six validation and eight test videos; both, heard, seen and neither, by number of labels."""
    statistics.main([str(invented_llp), str(tmp_path / "made.json")])
    made = from_dict(LabelStatistics, json.loads((tmp_path / "made.json").read_text()), "made.json")
    assert made.train.number == (0, 3, 4, 1)
    assert made.evaluation.number == (0, 8, 4, 1, 0, 0, 0, 1)
    alone = {LLP.classes[index]: count for index, count in enumerate(made.train.alone) if count}
    assert alone == {"Accordion": 1, "Helicopter": 1, "Vacuum_cleaner": 1}
    dog, speech = LLP.index("Dog"), LLP.index("Speech")
    assert (made.train.pairs[speech][dog], made.evaluation.pairs[speech][dog]) == (2, 2)
    assert made.evaluation.company[dog][speech] == made.evaluation.company[dog][dog] == 2
    assert made.states[speech] == ((1, 0, 0, 0), (0, 3, 0, 1), (0, 2, 0, 0))
    assert made.states[dog] == ((0, 0, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1))
    assert made.extra_number == (12, 2)
    assert made.extra_states[dog] == made.extra_states[LLP.index("Accordion")] == (0, 0, 1)
    # Dog is heard in part of what is seen, in both videos; Motorcycle is heard when it is seen.
    assert made.relations[dog] == (0, 2, 0, 0)
    assert made.relations[LLP.index("Motorcycle")] == (1, 0, 0, 0)
    # Heard in one video: Blender and Speech, Speech and Dog twice, Motorcycle and Speech.
    assert (made.pairs_in_time, made.shared_segments) == (4, 2)


def test_module_makes_the_shipped_file(shared_llp: Path, tmp_path: Path) -> None:
    statistics.main([str(shared_llp), str(tmp_path / "made.json")])
    shipped = files("rlld.synthetic.features").joinpath(statistics.FILE_NAME).read_text()
    assert (tmp_path / "made.json").read_text() == shipped


def test_statistics_agree_with_the_published_counts(known: LabelStatistics) -> None:
    """The label counts of LLP's validation and test videos, by class."""
    # One, two and more labels; both, audio only, visual only, neither: summed over the former.
    states = np.sum(known.states, axis=1)
    for column, counts in enumerate(PUBLISHED_STATES):
        assert states[:, column].tolist() == [int(count) for count in counts.split()]
    extra = np.array(known.extra_states)
    heard, seen = extra[:, 0] + extra[:, 1], extra[:, 0] + extra[:, 2]
    for found, counts in zip((heard, seen), PUBLISHED_EXTRA, strict=True):
        assert found.tolist() == [int(count) for count in counts.split()]
    assert known.train.number[1:] == (4032, 5879, 89)
    # 2044 pairs are active in both modalities and 60.4 % of them identical (llp, section 8).
    relations = np.sum(known.relations, axis=0)
    assert relations.sum() == 2044
    assert relations[0] == 1235


def test_label_frequencies(
    known: LabelStatistics, evaluation: SplitLabels, train: SplitLabels
) -> None:
    for labels, counts, total in (
        (evaluation, known.evaluation, 1849),
        (train, known.train, 10000),
    ):
        expected = np.array(counts.alone) + np.sum(counts.pairs, 0) + np.sum(counts.pairs, 1)
        expected = (expected + np.diagonal(counts.company)) / total
        found = labels.weak.mean(0)
        # Videos of three and more labels are drawn by a rule of thumb.
        assert found == pytest.approx(expected, abs=0.02)
        number = np.bincount(labels.weak.sum(1), minlength=8) / VIDEOS
        assert number[: len(counts.number)] == pytest.approx(
            np.array(counts.number) / total, abs=0.02
        )


def test_training_labels_differ_from_annotated_ones(
    evaluation: SplitLabels, train: SplitLabels
) -> None:
    clapping = LLP.index("Clapping")
    assert train.weak[:, clapping].mean() == pytest.approx(0.0164, abs=0.005)
    assert evaluation.weak[:, clapping].mean() == pytest.approx(0.0698, abs=0.01)
    assert train.weak.sum(1).max() == 3
    # No training video of LLP has Speech as its only label.
    assert not ((train.weak[:, 0] > 0) & (train.weak.sum(1) == 1)).any()


def test_densities_and_empty_videos(evaluation: SplitLabels) -> None:
    """The checks of a simulator: cell densities and shares of videos without events."""
    audio, visual = evaluation.events[:, :, 0], evaluation.events[:, :, 1]
    both = audio & visual
    assert [audio.mean(), visual.mean(), both.mean()] == pytest.approx(
        [0.049, 0.0387, 0.0317], abs=0.0015
    )
    empty = [1 - maps.any((1, 2)).mean() for maps in (audio, visual, both)]
    assert empty == pytest.approx([0.005, 0.103, 0.144], abs=0.012)


def test_noise_rates(evaluation: SplitLabels, train: SplitLabels) -> None:
    for labels, audio, visual in ((evaluation, 0.053, 0.355), (train, 0.032, 0.344)):
        present = labels.weak > 0
        perceived = labels.events.any(1)
        noise = [1 - perceived[:, modality][present].mean() for modality in (0, 1)]
        assert noise == pytest.approx([audio, visual], abs=0.02)
    perceived = evaluation.events.any(1)
    absent = evaluation.weak == 0
    extra = [(perceived[:, modality] & absent).sum() / VIDEOS for modality in (0, 1)]
    assert extra == pytest.approx([0.0276, 0.0216], abs=0.006)
    speech = evaluation.weak[:, 0] > 0
    assert perceived[speech, :, 0].mean(0) == pytest.approx([0.979, 0.221], abs=0.03)


def test_classes_of_a_video_avoid_each_other(
    known: LabelStatistics, evaluation: SplitLabels
) -> None:
    segments, pairs = statistics.shared_time(evaluation.events)
    real = known.shared_segments / known.pairs_in_time / known.segments
    assert real == pytest.approx(0.4227, abs=1e-4)
    assert segments / pairs / known.segments == pytest.approx(real, abs=0.02)


# Test split of LLP, segment-level A, V, AV, Type, Event, then event-level: known answers.
KNOWN = {
    "nothing": (0.500, 10.083, 14.500, 8.361, 0.000, 0.500, 10.083, 14.500, 8.361, 0.000),
    "weak": (76.118, 60.348, 52.610, 63.025, 71.726, 63.027, 55.753, 44.692, 54.491, 61.601),
    "sets": (80.144, 89.803, 82.778, 84.242, 81.963, 66.113, 83.685, 71.414, 73.737, 68.272),
    "swapped": (57.398, 57.398, 100, 71.598, 57.398, 52.850, 52.850, 100, 68.566, 52.850),
    "union": (91.299, 66.219, 57.398, 71.639, 85.217, 87.966, 65.018, 52.831, 68.605, 81.711),
}


@pytest.mark.parametrize("name", KNOWN)
def test_trivial_predictions_score_as_on_llp(name: str, evaluation: SplitLabels) -> None:
    truth = torch.from_numpy(evaluation.events)
    everywhere = torch.ones_like(truth)
    predicted = {
        "nothing": ~everywhere,
        "weak": everywhere & torch.from_numpy(evaluation.weak > 0)[:, None, None],
        "sets": everywhere & truth.any(1, keepdim=True),
        "swapped": truth.flip(2),
        "union": truth.any(2, keepdim=True).expand_as(truth).clone(),
    }[name]
    found = list(scores(predicted, truth).as_dict().values())
    assert found == pytest.approx(KNOWN[name], abs=2.5)


def test_extra_events_never_carry_a_label(known: LabelStatistics) -> None:
    weak = np.zeros((500, 25), np.uint8)
    weak[:, 0] = 1
    certain = np.zeros((25, 3, 4), int)
    certain[..., 3] = 1
    silent = statistics.LabelStatistics(
        **{**vars(known), "states": tuple(map(lambda t: tuple(map(tuple, t)), certain.tolist()))}
    )
    events = drawn.draw_events(silent, weak, generator(1))
    assert not events[..., 0].any()
    assert events.any()


def test_copying_takes_whole_videos_or_single_classes() -> None:
    # Five annotated videos of labels {0, 1}, each with its own events; one of {2}.
    events = np.zeros((6, 4, 2, 3), bool)
    for video in range(5):
        events[video, video % 4, 0, 0] = True
        events[video, 3 - video % 4, 1, 2] = True  # an event that no label names
    events[5, :2, 0, 2] = True
    annotated = np.array([[1, 1, 0]] * 5 + [[0, 0, 1]], np.uint8)
    weak = np.array([[1, 1, 0]] * 200 + [[1, 0, 1]] * 200, np.uint8)
    copied = copy_events(weak, annotated, events, np.random.default_rng(0))
    whole = {events[video].tobytes() for video in range(5)}
    whole |= {events[video, ::-1].tobytes() for video in range(5)}
    assert {video.tobytes() for video in copied[:200]} <= whole
    assert (copied[:200, :, 1, 2].any(1)).all()
    # Class by class: class 2 comes from the one donor, and nothing comes with class 0.
    assert not copied[200:, :, 1, 2].any()
    forward, backward = events[5, :, 0, 2], events[5, ::-1, 0, 2]
    reversed_ = (copied[200:, :, 0, 2] == backward).all(1)
    assert (reversed_ | (copied[200:, :, 0, 2] == forward).all(1)).all()
    assert 60 < reversed_.sum() < 140


def test_streams_of_random_numbers_are_independent() -> None:
    same = generator(3, 1, 2).random(4)
    assert (generator(3, 1, 2).random(4) == same).all()
    assert (generator(3, 2, 1).random(4) != same).all()
    assert (generator(4, 1, 2).random(4) != same).all()
