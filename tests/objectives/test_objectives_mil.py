"""The losses against values worked out by hand and against independent formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.spec import LLP_SPEC
from rlld.denoisers import weak
from rlld.errors import RlldError
from rlld.objectives._bce import clamped_bce
from rlld.objectives._contrastive import Contrastive, matching_loss, similarity
from rlld.objectives.mil import Config
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.registry import DENOISERS, OBJECTIVES


def prediction(videos: int = 4, segments: int = 3, classes: int = 5) -> Prediction:
    generator = torch.Generator().manual_seed(videos)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    extras = {
        f"{modality}_{when}": torch.randn(videos, segments, 8, generator=generator)
        for modality in ("audio", "visual")
        for when in ("before", "after")
    }
    shape = (videos, classes)
    segment = draw(videos, segments, 2, classes)
    return Prediction(segment, draw(*shape), draw(*shape), draw(*shape), extras)


def batch(labels: torch.Tensor) -> Batch:
    return Batch({}, labels, torch.arange(len(labels)))


def test_bce_by_hand() -> None:
    probability = torch.tensor([[0.25, 0.5], [0.9, 1.0]], requires_grad=True)
    target = torch.tensor([[1.0, 0.5], [0.0, 1.0]])
    found = clamped_bce(probability, target)
    clamp = -math.log(float(torch.tensor(1 - 1e-7)))
    expected = (-math.log(0.25) - math.log(0.5) - math.log(0.1) + clamp) / 4
    assert found.item() == pytest.approx(expected, rel=1e-6)
    found.backward()
    slope = [[-4 / 4, 0.0], [10 / 4, 0.0]]  # the last one lies outside the clamp
    torch.testing.assert_close(probability.grad, torch.tensor(slope), rtol=1e-5, atol=1e-6)


def test_bce_is_finite_for_certain_mistakes() -> None:
    probability = torch.tensor([0.0, 1.0], requires_grad=True)
    found = clamped_bce(probability, torch.tensor([1.0, 0.0]))
    assert 15 < found.item() < 17  # -log(1e-7) is 16.1
    found.backward()
    assert probability.grad is not None
    assert not probability.grad.any()


def test_bce_works_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = clamped_bce(torch.full((2, 3), 0.3), torch.zeros(2, 3))
    assert found.item() == pytest.approx(-math.log(0.7), rel=1e-6)


@given(weights=st.tuples(*[st.floats(0, 3)] * 4), flavour=st.sampled_from(["jomold", "ma"]))
def test_loss_is_the_weighted_sum_of_its_parts(weights: tuple[float, ...], flavour: str) -> None:
    *three, contrast = weights
    objective = Config(*three, Contrastive(contrast, flavour)).build(LLP_SPEC)  # type: ignore[arg-type]
    given_prediction = prediction()
    labels = ModalityLabels(*((torch.rand(3, 4, 5) > 0.5).float()))
    losses = objective(given_prediction, labels, batch(labels.video))
    assert ("contrastive" in losses) == (contrast > 0)
    total = sum(w * losses[n] for w, n in zip(three, ("audio", "visual", "video"), strict=True))
    total = total + contrast * losses.get("contrastive", torch.tensor(0.0))
    torch.testing.assert_close(losses["loss"], total)
    torch.testing.assert_close(
        losses["audio"], torch.nn.BCELoss()(given_prediction.audio, labels.audio)
    )


@pytest.mark.parametrize("segments", [2, 10, 13])
@pytest.mark.parametrize("formula", ["cross_entropy", "log_mixture"])
def test_equal_rows_cost_the_log_of_the_segments(segments: int, formula: str) -> None:
    found = matching_loss(torch.zeros(2, segments, segments), formula, 0.1)  # type: ignore[arg-type]
    assert found.item() == pytest.approx(math.log(segments), rel=1e-6)


def test_limits_of_both_formulas() -> None:
    perfect, wrong = 50 * torch.eye(10), 50 * torch.eye(10).roll(1, 0)
    assert matching_loss(perfect, "log_mixture", 0.1).item() == pytest.approx(0.1054, abs=1e-4)
    assert matching_loss(wrong, "log_mixture", 0.1).item() == pytest.approx(4.4998, abs=1e-3)
    best = math.log(81) * torch.eye(10)
    assert matching_loss(best, "cross_entropy", 0.1).item() == pytest.approx(0.5448, abs=1e-4)
    assert matching_loss(wrong, "cross_entropy", 0.1).item() > 40


def test_without_smoothing_both_are_infonce_with_finite_gradients() -> None:
    logits = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(0))
    target = torch.arange(6).repeat(3)
    expected = torch.nn.CrossEntropyLoss()(logits.flatten(0, 1), target)
    for formula in ("cross_entropy", "log_mixture"):
        leaf = logits.clone().requires_grad_()
        found = matching_loss(leaf, formula, 0.0)  # type: ignore[arg-type]
        torch.testing.assert_close(found, expected)
        found.backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_one_segment_cannot_be_confused() -> None:
    logits = torch.randn(4, 1, 1, requires_grad=True)
    found = matching_loss(logits, "log_mixture", 0.1)
    found.backward()
    assert found.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_similarity_is_the_cosine_over_temperature() -> None:
    audio = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])
    visual = torch.tensor([[[1.0, 0.0], [0.0, 0.5]]])
    expected = torch.tensor([[[3.0, 4.0], [0.0, 5.0]]])
    torch.testing.assert_close(similarity(audio, visual, 0.2), expected)


def test_flavours_look_at_their_own_embeddings() -> None:
    full = prediction()
    for flavour, unused in (("jomold", "visual_before"), ("ma", "visual_after")):
        options = Contrastive(1.0, flavour)  # type: ignore[arg-type]
        before = options.loss(full)
        full.extras[unused].mul_(-1)  # type: ignore[attr-defined]
        torch.testing.assert_close(options.loss(full), before, rtol=0, atol=0)


def test_weak_labels_are_smoothed_per_modality() -> None:
    labels = torch.tensor([[1.0, 0.0]])
    revised = (
        weak.Config(audio_smoothing=0.8, visual_smoothing=0.9)
        .build(LLP_SPEC)
        .revise(batch(labels), None)
    )
    torch.testing.assert_close(revised.audio, torch.tensor([[0.9, 0.1]]))
    torch.testing.assert_close(revised.visual, torch.tensor([[0.95, 0.05]]))
    assert revised.video.equal(labels)
    hard = weak.Config().build(LLP_SPEC).revise(batch(labels), None)
    assert hard.audio.equal(labels)
    assert hard.visual.equal(labels)


def test_options_are_checked_and_read_from_recipes() -> None:
    section = {"name": "mil", "audio_weight": 2, "contrastive": {"weight": 1, "flavour": "ma"}}
    assert OBJECTIVES.config(section, "recipe") == Config(2.0, contrastive=Contrastive(1.0, "ma"))
    with pytest.raises(RlldError, match="one of jomold, ma"):
        OBJECTIVES.config({"name": "mil", "contrastive": {"flavour": "mo"}}, "recipe")
    with pytest.raises(RlldError, match="temperature must be positive"):
        Contrastive(temperature=0)
    with pytest.raises(RlldError, match="visual_smoothing"):
        DENOISERS.config({"name": "weak", "visual_smoothing": 1.5}, "recipe")
