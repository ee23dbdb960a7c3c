"""Known answers on the real LLP annotation: the table of the published evaluation functions."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlld.data.annotations import read_weak
from rlld.data.spec import LLP_SPEC
from rlld.metrics import event_counts, exclusive_scores, scores

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
from cases_metrics import DAMAGED, real_truth

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


@pytest.mark.parametrize("split", list(KNOWN))
@pytest.mark.parametrize("name", list(KNOWN["val"]))
def test_known_answer(shared_llp: Path, split: str, name: str) -> None:
    predicted = predictions(shared_llp, split)[name]
    found = scores(predicted, truth_of(shared_llp, split)).as_dict().values()
    assert " ".join(f"{value:.3f}" for value in found) == KNOWN[split][name]


@pytest.mark.parametrize("split", list(KNOWN))
def test_perfect_prediction(shared_llp: Path, split: str) -> None:
    truth = truth_of(shared_llp, split)
    assert set(scores(truth, truth).as_dict().values()) == {100.0}


@pytest.mark.parametrize(("split", "audio", "visual"), [("val", 1440, 856), ("test", 2638, 1625)])
def test_true_events_are_runs_not_rows(
    shared_llp: Path, split: str, audio: int, visual: int
) -> None:
    truth = truth_of(shared_llp, split)
    events = event_counts(truth, truth).sum((0, 2))
    assert events[0].tolist() == [audio, 0, 0]
    assert events[1].tolist() == [visual, 0, 0]


def test_exclusive_scores_of_nothing(shared_llp: Path) -> None:
    truth = truth_of(shared_llp, "val")
    found = exclusive_scores(torch.zeros_like(truth), truth).nested()["segment"].values()
    assert [f"{value:.2f}" for value in found] == ["36.67", "67.33", "14.33", "39.45", "26.35"]


def test_damaged_audio_file_moves_only_test_scores(shared_llp: Path) -> None:
    fixed, damaged = truth_of(shared_llp, "test"), truth_of(shared_llp, "test", DAMAGED)
    perfect = scores(fixed, damaged).as_dict().values()
    assert [f"{value - 100:.3f}" for value in perfect] == [
        "-0.045",
        "0.000",
        "-0.006",
        "-0.017",
        "-0.043",
        "-0.050",
        "0.000",
        "-0.017",
        "-0.022",
        "-0.048",
    ]
    assert torch.equal(truth_of(shared_llp, "val"), truth_of(shared_llp, "val", DAMAGED))
