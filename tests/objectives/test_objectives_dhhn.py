"""DHHN's loss on values that can be worked out by hand."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from rlld.objectives.dhhn import Config, DHHNObjective
from rlld.types import Batch, ModalityLabels, Prediction


def one(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def losses(config: Config, **guides: float) -> dict[str, float]:
    """A video with one class, heard but not seen."""
    said = {f"{name}_guide": one(value) for name, value in guides.items()}
    prediction = Prediction(torch.zeros(1, 1, 2, 1), one(0.8), one(0.5), one(0.6), said)
    labels = ModalityLabels(one(1), one(0), one(1))
    found = DHHNObjective(config)(prediction, labels, Batch({}, one(1), torch.arange(1)))
    return {name: float(value) for name, value in found.items()}


def test_all_terms() -> None:
    found = losses(Config(), audio=0.9, visual=0.2)
    wanted = {
        "audio": -log(0.8),
        "visual": -log(0.5),
        "video": -log(0.6),
        "audio_guide": -log(0.9),
        "audio_lesson": 0.01,
        "visual_guide": -log(0.8),
        "visual_lesson": 0.09,
        "reverse": -0.09,
        "guide_reverse": -0.49,
    }
    assert found == pytest.approx({"loss": sum(wanted.values()), **wanted})


def test_guides_may_learn_the_weak_labels() -> None:
    found = losses(Config(guide_targets="weak"), audio=0.9, visual=0.2)
    assert found["visual_guide"] == pytest.approx(-log(0.2))
    assert found["visual"] == pytest.approx(-log(0.5))


def test_terms_of_absent_guides_are_left_out() -> None:
    plain = {"loss", "audio", "visual", "video"}
    assert losses(Config(reverse=False)).keys() == plain
    assert losses(Config()).keys() == plain | {"reverse"}
    alone = losses(Config(), audio=0.9).keys()
    assert alone == plain | {"reverse", "audio_guide", "audio_lesson"}
