"""Known answers: the table of the published evaluation functions, and one computed by hand."""

from __future__ import annotations

import shutil
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from llp_kit import AUDIO, DAMAGED
from rlld.data.annotations import read_weak
from rlld.data.spec import LLP_SPEC
from rlld.metrics import event_counts, exclusive_scores, per_video, scores

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
from cases_metrics import real_truth

truth_of = cache(real_truth)

KNOWN = {
    "val": {
        "nothing": "0.616 10.786 14.330 8.577 0.000 0.616 10.786 14.330 8.577 0.000",
        "weak": "77.075 58.654 52.073 62.601 71.534 63.849 53.475 44.149 53.824 61.121",
        "classes": "81.105 89.353 83.246 84.568 82.579 67.119 82.349 71.833 73.767 68.495",
        "swapped": "57.288 57.288 100.000 71.525 57.288 52.648 52.648 100.000 68.432 52.648",
        "union": "92.851 64.583 57.288 71.574 85.231 89.938 63.000 52.520 68.486 81.917",
    },
    "test": {
        "nothing": "0.500 10.083 14.500 8.361 0.000 0.500 10.083 14.500 8.361 0.000",
        "weak": "76.118 60.348 52.610 63.025 71.726 63.027 55.753 44.692 54.491 61.601",
        "classes": "80.144 89.803 82.778 84.242 81.963 66.113 83.685 71.414 73.737 68.272",
        "swapped": "57.398 57.398 100.000 71.598 57.398 52.850 52.850 100.000 68.566 52.850",
        "union": "91.299 66.219 57.398 71.639 85.217 87.966 65.018 52.831 68.605 81.711",
    },
}
BY_HAND = {
    # The six invented validation videos; audio, visual, audio-visual and Event of the segments,
    # then of the events. Heard and seen are: Speech 0-10 and Dog 0-10; Violin 0-10 and 1-10;
    # nothing; nothing and Car 4-8; Singing 2-4, 6-9 and nothing; Dog 1-3, Speech 5-9 and Dog 1-4,
    # Accordion 0-10.
    "nothing": (
        "0 0 1 0  0 0 1 0",
        "0 0 0 0  0 0 0 0",
        "1 1 1 1  1 1 1 1",
        "1 0 1 0  1 0 1 0",
        "0 1 1 0  0 1 1 0",
        "0 0 0 0  0 0 0 0",
    ),
    "weak": (
        "1/2 1/2 0 2/3  1/2 1/2 0 2/3",
        "1 18/19 18/19 38/39  1 1 1 1",
        "0 0 0 0  0 0 0 0",
        "0 2/7 0 1/6  0 0 0 0",
        "2/3 0 0 2/5  0 0 0 0",
        "19/63 3/26 1/9 11/60  0 0 0 0",
    ),
    "classes": (
        "1 1 1 1  1 1 1 1",
        "1 18/19 18/19 38/39  1 1 1 1",
        "1 1 1 1  1 1 1 1",
        "1 4/7 1 4/7  1 0 1 0",
        "2/3 1 1 2/3  0 1 1 0",
        "19/42 19/26 1/3 23/35  0 1/2 0 1/3",
    ),
    "swapped": (
        "0 0 1 0  0 0 1 0",
        "18/19 18/19 1 18/19  1 1 1 1",
        "1 1 1 1  1 1 1 1",
        "0 0 1 0  0 0 1 0",
        "0 0 1 0  0 0 1 0",
        "4/15 4/15 1 4/15  1/3 1/3 1 1/3",
    ),
    "union": (
        "1/2 1/2 0 2/3  1/2 1/2 0 2/3",
        "1 18/19 18/19 38/39  1 1 1 1",
        "1 1 1 1  1 1 1 1",
        "0 1 0 2/3  0 1 0 2/3",
        "1 0 0 2/3  1 0 0 2/3",
        "3/5 2/3 4/15 74/99  2/3 2/3 1/3 7/9",
    ),
}


def predictions(folder: Path, split: str) -> dict[str, Tensor]:
    truth = truth_of(folder, split)
    weak = read_weak(folder / f"AVVP_{split}_pd.csv", LLP_SPEC.taxonomy).labels
    return {
        "nothing": torch.zeros_like(truth),
        "weak": torch.from_numpy(weak).bool()[:, None, None].expand_as(truth),
        "classes": truth.any(1, keepdim=True).expand_as(truth),
        "swapped": truth.flip(2),
        "union": truth.any(2, keepdim=True).expand_as(truth),
    }


def shown(values: object, digits: int = 3) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


@pytest.mark.parametrize("split", list(KNOWN))
@pytest.mark.parametrize("name", list(KNOWN["val"]))
def test_known_answer(shared_llp: Path, split: str, name: str) -> None:
    predicted = predictions(shared_llp, split)[name]
    found = scores(predicted, truth_of(shared_llp, split)).as_dict().values()
    assert shown(found) == KNOWN[split][name]


@pytest.mark.parametrize("name", list(BY_HAND))
def test_answers_by_hand(invented_llp: Path, name: str) -> None:
    predicted, truth = predictions(invented_llp, "val")[name], truth_of(invented_llp, "val")
    rows = [[float(Fraction(value)) for value in row.split()] for row in BY_HAND[name]]
    found = per_video(predicted, truth)
    torch.testing.assert_close(found, torch.tensor(rows, dtype=torch.float64), rtol=0, atol=1e-12)
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    ten = []
    for level in (means[:4], means[4:]):
        ten += [*level[:3], sum(level[:3]) / 3, level[3]]
    assert shown(scores(predicted, truth).as_dict().values()) == shown(100 * x for x in ten)


@pytest.mark.parametrize(
    ("split", "videos", "silent", "unseen", "apart"),
    [("val", 649, 4, 70, 93), ("test", 1200, 6, 121, 174)],
)
def test_nothing_scores_the_share_of_empty_videos(
    split: str, videos: int, silent: int, unseen: int, apart: int
) -> None:
    """LLP's videos without audible, visible and audio-visual events give a line of its table."""
    truth = torch.zeros(videos, 10, 2, 25, dtype=torch.bool)
    truth[silent:, 4, 0, 0] = True
    truth[: videos - unseen, 4, 1, 0] = True
    both = videos - silent - unseen
    truth[silent : silent + both - (videos - apart), :, 1, :] = False
    truth[silent : silent + both - (videos - apart), 5, 1, 0] = True
    found = scores(torch.zeros_like(truth), truth).as_dict().values()
    assert shown(found) == KNOWN[split]["nothing"]


@pytest.mark.parametrize("split", list(KNOWN))
def test_perfect_prediction(shared_llp: Path, split: str) -> None:
    truth = truth_of(shared_llp, split)
    assert set(scores(truth, truth).as_dict().values()) == {100.0}


@pytest.mark.parametrize(("split", "audio", "visual"), [("val", 1440, 856), ("test", 2638, 1625)])
def test_true_events_are_runs_not_rows(
    shared_llp: Path, split: str, audio: int, visual: int
) -> None:
    has_events(truth_of(shared_llp, split), audio, visual)


@pytest.mark.parametrize(("split", "audio", "visual"), [("val", 6, 5), ("test", 12, 9)])
def test_invented_events_are_runs_not_rows(
    invented_llp: Path, split: str, audio: int, visual: int
) -> None:
    has_events(truth_of(invented_llp, split), audio, visual)


def has_events(truth: Tensor, audio: int, visual: int) -> None:
    events = event_counts(truth, truth).sum((0, 2))
    assert events[0].tolist() == [audio, 0, 0]
    assert events[1].tolist() == [visual, 0, 0]


def exclusive_of_nothing(truth: Tensor) -> str:
    found = exclusive_scores(torch.zeros_like(truth), truth)
    return shown(found.nested()["segment"].values(), 2)


def test_exclusive_scores_of_nothing(shared_llp: Path) -> None:
    assert exclusive_of_nothing(truth_of(shared_llp, "val")) == "36.67 67.33 14.33 39.45 26.35"


def test_exclusive_scores_of_nothing_by_hand(invented_llp: Path) -> None:
    """Videos 3 and 4 are silent, 2, 3 and 5 show nothing unheard, 1, 3, 4 and 5 nothing as both."""
    assert exclusive_of_nothing(truth_of(invented_llp, "val")) == "33.33 50.00 66.67 50.00 16.67"


def lost(fixed: Tensor, damaged: Tensor) -> str:
    return shown(value - 100 for value in scores(fixed, damaged).as_dict().values())


def test_damaged_audio_file_moves_only_test_scores(shared_llp: Path) -> None:
    fixed, damaged = (truth_of(shared_llp, "test", damaged=bad) for bad in (False, True))
    assert lost(fixed, damaged) == (
        "-0.045 0.000 -0.006 -0.017 -0.043 -0.050 0.000 -0.017 -0.022 -0.048"
    )
    assert torch.equal(truth_of(shared_llp, "val"), truth_of(shared_llp, "val", damaged=True))


def test_damaged_audio_file_by_hand(invented_llp: Path, tmp_path: Path) -> None:
    """One of eight videos loses Speech beside Dog, one a second of Cat, which is seen too."""
    shutil.copytree(invented_llp, tmp_path, dirs_exist_ok=True)
    shutil.copy(invented_llp / DAMAGED, tmp_path / AUDIO)
    assert lost(real_truth(invented_llp, "test"), real_truth(tmp_path, "test")) == (
        "-8.750 0.000 -2.500 -3.750 -6.500 -10.417 0.000 -4.167 -4.861 -7.500"
    )
    assert torch.equal(real_truth(invented_llp, "val"), real_truth(tmp_path, "val"))
