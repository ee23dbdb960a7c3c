"""UWAV's loss against plain sums, and its mixup against mixed features."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from rlld.errors import RlldError
from rlld.objectives import mil, uwav
from rlld.types import Batch, ModalityLabels, Prediction

VIDEOS, SEGMENTS, CLASSES, WIDTH = 3, 4, 5, 6
EVENTS = torch.tensor([0.7, 1.9])


def made(seed=0, mask=None):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(VIDEOS, SEGMENTS, 2, CLASSES, generator=generator)
    pooled = [torch.rand(VIDEOS, CLASSES, generator=generator) for _ in range(3)]
    prediction = Prediction(logits.sigmoid(), *pooled, {"segment_logits": logits}).within(mask)
    tags = (torch.rand(VIDEOS, CLASSES, generator=generator) < 0.5).float()
    soft = torch.rand(logits.shape, generator=generator) * tags[:, None, None]
    labels = ModalityLabels(*soft.amax(1).unbind(1), tags, soft, {"events": EVENTS})
    return prediction, labels, Batch({}, tags, torch.arange(VIDEOS), mask)


def plain_bce(logit, target):
    probability = 1 / (1 + math.exp(-float(logit)))
    target = float(target)
    return -(target * math.log(probability) + (1 - target) * math.log(1 - probability))


def slow_segments(prediction, labels, batch, modality, events, inside=None):
    losses = []
    for video in range(VIDEOS):
        for segment in range(SEGMENTS):
            if inside is not None and not inside[video, segment]:
                continue
            for number in range(CLASSES):
                place = video, segment, modality, number
                loss = plain_bce(prediction.extras["segment_logits"][place], labels.segment[place])
                positive = batch.labels[video, number] == 1
                losses.append(loss * (0.5 * (CLASSES - events) if positive else events))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("ragged", [False, True])
def test_segment_terms_are_the_weighted_sums(ragged):
    mask = None
    if ragged:
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    prediction, labels, batch = made(mask=mask)
    found = uwav.Config().build(None)(prediction, labels, batch)
    for modality, name in enumerate(("audio", "visual")):
        events = float(EVENTS[modality])
        wanted = slow_segments(prediction, labels, batch, modality, events, mask)
        assert float(found[name]) == pytest.approx(wanted, rel=1e-5)
    pairs = zip(prediction.video.flatten().tolist(), labels.video.flatten().tolist(), strict=True)
    video = [-(y * math.log(p) + (1 - y) * math.log(1 - p)) for p, y in pairs]
    assert float(found["video"]) == pytest.approx(sum(video) / len(video), rel=1e-5)
    total = sum(found[name] for name in ("audio", "visual", "video", "mixup"))
    assert float(found["loss"]) == pytest.approx(float(total))


def test_weights_follow_the_tag_and_not_the_soft_label():
    tagged = torch.tensor([[True, False, False]])
    weights = uwav.balanced(tagged, torch.tensor([0.5, 2.0]), 0.5)
    assert weights[0].tolist() == [[1.25, 0.5, 0.5], [0.5, 2.0, 2.0]]
    prediction, labels, batch = made()
    silent = ModalityLabels(*[labels.audio] * 2, labels.video, 0 * labels.segment, labels.extras)
    found = uwav.Config(mixup_weight=0).build(None)(prediction, silent, batch)
    wanted = slow_segments(prediction, silent, batch, 0, float(EVENTS[0]))
    assert float(found["audio"]) == pytest.approx(wanted, rel=1e-5)
    assert "mixup" not in found


def test_a_source_that_counts_no_events_is_counted_in_the_batch():
    prediction, labels, batch = made()
    bare = ModalityLabels(labels.audio, labels.visual, labels.video, labels.segment)
    found = uwav.Config(mixup_weight=0).build(None)(prediction, bare, batch)
    events = float((labels.segment[:, :, 0] > 0.5).sum()) / (VIDEOS * SEGMENTS)
    wanted = slow_segments(prediction, labels, batch, 0, events)
    assert float(found["audio"]) == pytest.approx(wanted, rel=1e-5)


def test_mixup_is_that_of_mixed_features():
    """Row by row through the head, each modality by its own share and its own order."""
    torch.manual_seed(0)
    rows = VIDEOS * SEGMENTS
    features, head = torch.randn(rows, 2, WIDTH), nn.Linear(WIDTH, CLASSES)
    soft = torch.rand(rows, 2, CLASSES)
    share, places = uwav.draw(soft, 1.7)
    total = 0.0
    for modality in range(2):
        kept, losses = float(share[modality]), []
        for row in range(rows):
            other = int(places[modality, row])
            mixed = kept * features[row, modality] + (1 - kept) * features[other, modality]
            for number, logit in enumerate(head(mixed).tolist()):
                own = plain_bce(logit, soft[row, modality, number])
                theirs = plain_bce(logit, soft[other, modality, number])
                losses.append(kept * own + (1 - kept) * theirs)
        total += sum(losses) / len(losses)
    found = uwav.mixup_loss(head(features), soft, share, places)
    assert found.item() == pytest.approx(total, rel=1e-5)


def test_mixup_that_keeps_everything_is_the_plain_cross_entropy():
    prediction, labels, _ = made()
    logits, soft = (v.flatten(0, 1) for v in (prediction.extras["segment_logits"], labels.segment))
    places = torch.randperm(len(logits)).expand(2, -1)
    found = uwav.mixup_loss(logits, soft, torch.ones(2), places)
    each = [functional.binary_cross_entropy_with_logits(logits[:, m], soft[:, m]) for m in range(2)]
    assert float(found) == pytest.approx(float(sum(each)), rel=1e-6)


def test_draws_are_permutations_and_shares_of_a_symmetric_beta():
    torch.manual_seed(0)
    logits = torch.zeros(7, 2, 3)
    shares = torch.stack([uwav.draw(logits, 1.7)[0] for _ in range(4000)])
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)); five standard errors of either moment.
    spread = 1 / (4 * (2 * 1.7 + 1))
    assert shares.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=5 * (spread / 4000) ** 0.5)
    assert shares.var(0).tolist() == pytest.approx([spread] * 2, rel=0.1)
    share, places = uwav.draw(logits, 1.7)
    assert share[0] != share[1]
    assert [sorted(row) for row in places.tolist()] == [list(range(7))] * 2
    assert not torch.equal(*places)


def test_what_lies_behind_the_end_of_a_video_is_mixed_into_nothing():
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    losses = []
    for beyond in (0.0, 50.0):
        prediction, labels, batch = made(mask=mask)
        prediction.extras["segment_logits"][~mask] = beyond
        torch.manual_seed(0)
        losses.append(uwav.Config().build(None)(prediction, labels, batch))
    for name, value in losses[0].items():
        assert torch.equal(value, losses[1][name]), name


def test_unweighted_without_balance_and_without_logits_from_probabilities():
    prediction, labels, batch = made()
    found = uwav.Config(balance=False, mixup_weight=0).build(None)(prediction, labels, batch)
    logits = prediction.extras["segment_logits"]
    wanted = functional.binary_cross_entropy_with_logits(logits[:, :, 1], labels.segment[:, :, 1])
    assert float(found["visual"]) == pytest.approx(float(wanted))
    bare = Prediction(*[getattr(prediction, n) for n in ("segment", "audio", "visual", "video")])
    again = uwav.Config(balance=False, mixup_weight=0).build(None)(bare, labels, batch)
    assert float(again["visual"]) == pytest.approx(float(wanted), rel=1e-5)


def test_without_segment_labels_it_is_the_multiple_instance_loss():
    prediction, labels, batch = made()
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    found = uwav.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    wanted = mil.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    assert float(found["loss"]) == pytest.approx(float(wanted["loss"]))
    with pytest.raises(RlldError, match="objective uwav: alpha"):
        uwav.Config(alpha=0)
