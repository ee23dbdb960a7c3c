"""CPSP's contrast between videos against the published rule, spelled out in loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.objectives import mil
from rlld.objectives.cpsp import Config, VideoContrast
from rlld.recipes.recipe import load_recipe
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.registry import OBJECTIVES


def plain_rows(features: Tensor, labels: Tensor, ratio: float, eta: float) -> list[float | None]:
    """The loss of each video, None where it is undefined."""
    unit = features / features.norm(dim=1, keepdim=True)
    rows: list[float | None] = []
    for i, own in enumerate(labels):
        positive, negative = [], []
        for j, other in enumerate(labels):
            likeness = math.exp(float(unit[i] @ unit[j]) / eta)
            shared = float(own @ other)
            if shared == 0:
                negative.append(likeness)
            if own.any() and shared / float(own.sum()) >= ratio:
                positive.append(likeness)
        if not positive or not negative:
            rows.append(None)
            continue
        p, n = sum(positive) / len(positive), sum(negative) / len(negative)
        rows.append(-math.log(p / (p + n)))
    return rows


@given(
    seed=st.integers(0, 10_000),
    videos=st.integers(2, 9),
    share=st.floats(0.05, 0.6),
    ratio=st.sampled_from([0.3, 0.5, 0.9, 1.0]),
    eta=st.sampled_from([0.2, 1.0]),
)
def test_equals_the_loops(seed: int, videos: int, share: float, ratio: float, eta: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(videos, 5, generator=generator, dtype=torch.float64)
    labels = (torch.rand(videos, 6, generator=generator) < share).double()
    rows = plain_rows(features, labels, ratio, eta)
    known = [row for row in rows if row is not None]
    batchwise = sum(known) / videos if len(known) == videos else 0.0
    videowise = sum(known) / len(known) if known else 0.0
    for rule, expected in (("skip_batch", batchwise), ("skip_video", videowise)):
        leaf = features.clone().requires_grad_()
        options = VideoContrast(ratio=ratio, temperature=eta, undefined=rule)  # type: ignore[arg-type]
        found = options.loss(leaf, labels)
        assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
        found.backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert bool(leaf.grad.any()) == (expected != 0)


def test_one_video_without_negatives_by_hand() -> None:
    # Videos 0 and 1 have no class in common; video 2 shares one with each, so it has no negative.
    features = torch.eye(3)
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    # Video 0: positives 0 and 2 (e^5, 1), negative 1 (1); video 1 alike.
    pull = (math.exp(5) + 1) / 2
    expected = -math.log(pull / (pull + 1))
    rule = VideoContrast(undefined="skip_video")
    assert rule.loss(features, labels).item() == pytest.approx(expected, rel=1e-5)
    assert VideoContrast().loss(features, labels).item() == 0


def test_small_temperatures_do_not_overflow() -> None:
    features = torch.randn(4, 3, requires_grad=True)
    labels = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    found = VideoContrast(temperature=1e-3).loss(features, labels)
    found.backward()
    assert found.isfinite()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def prediction(**extras: Tensor) -> Prediction:
    generator = torch.Generator().manual_seed(0)
    shape = (4, 3)
    probabilities = [torch.rand(*shape, generator=generator) for _ in range(3)]
    return Prediction(torch.rand(4, 5, 2, 3), *probabilities, extras)


def embeddings() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    names = ("audio_after", "visual_after", "visual_before")
    return {name: torch.randn(4, 5, 6, generator=generator) for name in names}


def test_loss_is_the_weighted_sum_of_five_parts() -> None:
    weak = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]])
    revised = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    labels = ModalityLabels(revised, revised, revised)
    batch, found = Batch({}, weak, torch.arange(4)), prediction(**embeddings())
    features = (found.extras["audio_after"].mean(1) + found.extras["visual_after"].mean(1)) / 2
    plain = mil.MILObjective(mil.Config(2, 1, 1, Config().contrastive))(found, labels, batch)
    for source, target in (("revised", revised), ("weak", weak)):
        options = VideoContrast(weight=0.5, labels=source)  # type: ignore[arg-type]
        losses = Config(audio_weight=2, video_contrast=options).build(LLP_SPEC)(
            found, labels, batch
        )
        expected = plain_rows(features, target, 0.9, 0.2)
        mean = sum(row for row in expected if row is not None) / 4
        assert losses["video_contrast"].item() == pytest.approx(mean, rel=1e-5)
        torch.testing.assert_close(losses["loss"], plain["loss"] + 0.5 * mean)
    without = Config(video_contrast=VideoContrast(weight=0)).build(LLP_SPEC)
    assert "video_contrast" not in without(prediction(**embeddings()), labels, batch)


def test_bad_options_are_refused() -> None:
    with pytest.raises(RlldError, match="positive temperature"):
        VideoContrast(temperature=0)
    with pytest.raises(RlldError, match="one of skip_batch, skip_video"):
        OBJECTIVES.config({"name": "cpsp", "video_contrast": {"undefined": "x"}}, "recipe")


def test_recipes_have_the_published_settings() -> None:
    recipe = load_recipe("cpsp")
    rates = [recipe.schedule.rate(number, 10_000) for number in range(12)]
    assert rates == pytest.approx([3e-4] * 10 + [3e-5] * 2)
    assert recipe.schedule.total_updates(10_000) == 12 * 625
    assert recipe.selection.score == "last"
    ours = load_recipe("cpsp+rlld")
    assert ours.network == recipe.network
    assert ours.denoiser.name == "reinforced"
    assert ours.denoiser.config.credit == "paper"
