"""CMPAE's mutual learning against its rule, spelled out cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rlld.data.dataset import load_data
from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.objectives._contrastive import Contrastive
from rlld.objectives.cmpae import CMPAEObjective, Config, Mutual
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute

FIELDS = ("video", "audio", "visual")


def draw(seed: int, videos: int = 3, classes: int = 4) -> Prediction:
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    extras = {
        "audio_uncertainty": leaf(videos, classes),
        "visual_uncertainty": leaf(videos, classes),
        "video_uncertainty": leaf(videos),
    }
    audio, visual, video = (leaf(videos, classes) for _ in range(3))
    return Prediction(torch.zeros(videos, 1, 2, classes), audio, visual, video, extras)


def plain(found: Prediction, labels: Tensor, lamb: float, odd: bool) -> tuple[float, list[Tensor]]:
    """The loss, and its gradients by the video, audio and visual probabilities."""
    videos, classes = labels.shape
    value, cells = 0.0, videos * classes
    gradients = [torch.zeros(videos, classes, dtype=torch.float64) for _ in FIELDS]
    for i in range(videos):
        own = max(0.9, float(found.extras["video_uncertainty"].detach()[i]))
        for c in range(classes):
            g, a, v = (float(getattr(found, name).detach()[i, c]) for name in FIELDS)
            doubt = [
                float(found.extras[f"{m}_uncertainty"].detach()[i, c]) for m in ("audio", "visual")
            ]
            if labels[i, c]:
                teacher, doubtful = max(a, v), doubt[0] if a >= v else doubt[1]
                share, factor = ((1.0, 0.0) if a >= v else (0.0, 1.0)), 1.0
            else:
                teacher, doubtful = (a + v) / 2, sum(doubt) / 2
                share, factor = (0.5, 0.5), lamb
            weight = factor * (1 - doubtful) * (own if odd else 1 - own) / cells
            value += weight * (g - teacher) ** 2
            slope = 2 * weight * (g - teacher)
            if odd:
                gradients[0][i, c] += slope
            else:
                gradients[1][i, c] -= slope * share[0]
                gradients[2][i, c] -= slope * share[1]
    return value, gradients


@given(seed=st.integers(0, 10_000), lamb=st.sampled_from([0.0, 0.5, 1.0]), odd=st.booleans())
def test_equals_the_rule_cell_by_cell(seed: int, lamb: float, odd: bool) -> None:
    found = draw(seed)
    labels = (torch.rand(3, 4, generator=torch.Generator().manual_seed(seed)) < 0.4).double()
    value = Mutual(negative_weight=lamb).loss(found, labels, torch.tensor(odd))
    expected, gradients = plain(found, labels, lamb, odd)
    assert value.item() == pytest.approx(expected, rel=1e-9, abs=1e-15)
    value.backward()
    for name, gradient in zip(FIELDS, gradients, strict=True):
        torch.testing.assert_close(getattr(found, name).grad, gradient, rtol=1e-9, atol=1e-15)


def test_disagreement_raises_the_uncertainty_of_the_modality_that_was_listened_to() -> None:
    found = draw(0, 1, 1)
    Mutual().loss(found, torch.ones(1, 1), torch.tensor(True)).backward()
    louder = "audio" if found.audio.item() >= found.visual.item() else "visual"
    for modality in ("audio", "visual"):
        gradient = float(found.extras[f"{modality}_uncertainty"].grad)
        assert gradient < 0 if modality == louder else gradient == 0


def objective() -> CMPAEObjective:
    return Config(contrastive=Contrastive(0.0)).build(LLP_SPEC)


def directions(made: CMPAEObjective, steps: int) -> str:
    """Which way learning goes in each step: to the Fused branch or to the Modalities."""
    found, labels = draw(1), torch.ones(3, 4, dtype=torch.float64)
    targets = ModalityLabels(labels, labels, labels)
    batch = Batch({}, labels, torch.arange(3))
    names = ""
    for _ in range(steps):
        losses = made(found, targets, batch)
        (gradient,) = torch.autograd.grad(losses["mutual"], [found.video])
        names += "F" if gradient.any() else "M"
    return names


def test_directions_take_turns_and_start_anew_in_each_epoch() -> None:
    made = objective()
    made.start_round(0)
    assert directions(made, 5) == "MFMFM"
    made.start_round(1)
    assert directions(made, 3) == "MFM"


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    made, again = objective(), objective()
    made.start_round(2)
    directions(made, 3)
    again.load_state_dict(made.state_dict())
    again.start_round(2)  # the loop says so also after a resume
    assert directions(again, 2) == directions(made, 2) == "FM"


def test_loss_is_the_weighted_sum_of_its_parts() -> None:
    found, labels = draw(3), torch.tensor([[1.0, 0, 0, 1]] * 3).double()
    targets = ModalityLabels(labels, 0.9 * labels + 0.05, labels)
    made = Config(contrastive=Contrastive(0.0), mutual=Mutual(weight=0.5)).build(LLP_SPEC)
    losses = made(found, targets, Batch({}, labels, torch.arange(3)))
    expected = 2 * losses["audio"] + 0.6 * (losses["visual"] + losses["video"])
    torch.testing.assert_close(losses["loss"], expected + 0.5 * losses["mutual"])
    made = Config(contrastive=Contrastive(0.0), mutual=Mutual(weight=0)).build(LLP_SPEC)
    assert "mutual" not in made(found, targets, Batch({}, labels, torch.arange(3)))


def test_wrong_options_are_named() -> None:
    with pytest.raises(RlldError, match="weights of mutual must not be negative"):
        Mutual(weight=-1)


def test_recipe_has_the_published_settings() -> None:
    recipe = load_recipe("cmpae")
    rates = [recipe.schedule.rate(number, 10_000) for number in range(20)]
    expected = [5e-4] * 6 + [1.25e-4] * 6 + [3.125e-5] * 6 + [7.8125e-6] * 2
    assert rates == pytest.approx(expected)
    assert recipe.selection.score == "mean"
    assert recipe.gate.segment_threshold == 0.25
    assert recipe.denoiser.config.warm_up == "released"


@pytest.mark.parametrize("stacked", ["on", "off"])
def test_steps_that_are_only_tried_do_not_count(tiny_data: Path, stacked: str) -> None:
    data = load_data(tiny_data)
    settings = {"denoiser": "reinforced", "denoiser.credit": "counterfactual"}
    recipe = load_recipe("cmpae", settings, data.spec.overrides)
    compute = Compute(device="cpu", threads=1, stacked=stacked)  # type: ignore[arg-type]
    trainer = Trainer(recipe, data.train, data.validation, 0, compute)
    steps = trainer.steps()
    next(steps)
    next(steps)
    assert int(trainer.objective.step) == 2
