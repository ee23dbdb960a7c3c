"""Segment losses and richness against plain sums."""

from __future__ import annotations

import math

import pytest
import torch

from rlld.objectives import mil, segment, vaplan
from rlld.types import Batch, ModalityLabels, Prediction

VIDEOS, SEGMENTS, CLASSES = 3, 4, 5


def made(with_logits: bool = False, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(VIDEOS, SEGMENTS, 2, CLASSES, generator=generator)
    pooled = [torch.rand(VIDEOS, CLASSES, generator=generator) for _ in range(3)]
    extras = {"segment_logits": logits} if with_logits else {}
    prediction = Prediction(logits.sigmoid(), *pooled, extras)
    video = (torch.rand(VIDEOS, CLASSES, generator=generator) < 0.5).float()
    video[0] = 0
    target = (torch.rand(logits.shape, generator=generator) < 0.5) * video[:, None, None]
    labels = ModalityLabels(*target.amax(1).unbind(1), video, target)
    return prediction, labels, Batch({}, video, torch.arange(VIDEOS))


def plain_bce(probability, target):
    return -(target * math.log(probability) + (1 - target) * math.log(1 - probability))


@pytest.mark.parametrize("with_logits", [True, False])
def test_segment_losses_are_means_over_all_cells(with_logits):
    prediction, labels, batch = made(with_logits)
    found = segment.Config(3.0, 2.0, 0.5).build(None)(prediction, labels, batch)
    for place, name in enumerate(("audio", "visual")):
        cells = zip(
            prediction.segment[:, :, place].flatten().tolist(),
            labels.segment[:, :, place].flatten().tolist(),
            strict=True,
        )
        losses = [plain_bce(*cell) for cell in cells]
        assert float(found[name]) == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    total = 3 * found["audio"] + 2 * found["visual"] + 0.5 * found["video"]
    assert float(found["loss"]) == pytest.approx(float(total))


def test_saturated_probabilities_are_bounded_as_published():
    prediction, labels, _ = made()
    prediction.segment[0, 0, 0, 0] = 1.0
    found = segment.segment_bce(prediction, labels.segment)[0]
    probability = prediction.segment[:, :, 0].double()
    wanted = torch.nn.BCELoss()(probability, labels.segment[:, :, 0].double())
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
    assert float(found) > 100 / (VIDEOS * SEGMENTS * CLASSES)


def test_without_segment_labels_it_is_the_multiple_instance_loss():
    prediction, labels, batch = made(with_logits=True)
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    found = segment.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    wanted = mil.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    assert float(found["loss"]) == pytest.approx(float(wanted["loss"]))
    again = vaplan.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    assert float(again["loss"]) == pytest.approx(float(wanted["loss"]))


def test_richness_is_that_of_the_worked_sums():
    prediction, labels, _ = made()
    total = 0.0
    for place in range(2):
        by_category, by_segment = [], []
        for video in range(1, VIDEOS):
            own = labels.video[video].nonzero()[:, 0]
            for time in range(SEGMENTS):
                found = float(prediction.segment[video, time, place, own].mean())
                by_category.append(
                    plain_bce(found, float(labels.segment[video, time, place, own].mean()))
                )
            for number in own:
                found = float(prediction.segment[video, :, place, number].mean())
                wanted = float(labels.segment[video, :, place, number].mean())
                by_segment.append(plain_bce(found, wanted))
        total += sum(by_category) / len(by_category) + sum(by_segment) / len(by_segment)
    found = vaplan.richness_loss(prediction.segment, labels.segment, labels.video)
    assert float(found) == pytest.approx(total, rel=1e-5)


def test_vaplan_adds_its_weighted_terms():
    prediction, labels, batch = made()
    found = vaplan.Config(1, 1, 1, 0.7, 0.5).build(None)(prediction, labels, batch)
    wanted = found["audio"] + found["visual"] + found["video"]
    wanted = wanted + 0.7 * found["segment"] + 0.5 * found["richness"]
    assert float(found["loss"]) == pytest.approx(float(wanted))


def test_the_gradient_is_finite_at_saturation():
    _, labels, _ = made()
    probability = labels.segment.clone().requires_grad_()
    vaplan.richness_loss(probability, labels.segment, labels.video).backward()
    assert probability.grad.isfinite().all()
