"""NREP's loss in plain loops, as released and evidential."""

from __future__ import annotations

import math

import pytest
import torch

from rlld.networks.nrep import NETS
from rlld.objectives import nrep
from rlld.objectives._contrastive import Contrastive, matching_loss, similarity
from rlld.types import Batch, ModalityLabels, Prediction

VIDEOS, SEGMENTS, CLASSES, WIDTH = 3, 4, 2, 5
LENGTHS = (4, 2, 1)
MASK = torch.arange(SEGMENTS) < torch.tensor(LENGTHS)[:, None]


def made(mask=None):
    """What both networks may say, and labels."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    extras = {}
    for net in NETS:
        said = {
            "segment_evidence": drawn(VIDEOS, SEGMENTS, 2, CLASSES, 2),
            "modality_evidence": drawn(VIDEOS, 2, CLASSES, 2),
            "joint_evidence": drawn(VIDEOS, SEGMENTS, CLASSES, 2),
            "video_evidence": drawn(VIDEOS, CLASSES, 2),
            "segment_weights": drawn(VIDEOS, SEGMENTS, 2, CLASSES, 2).softmax(1),
            "joint_weights": drawn(VIDEOS, SEGMENTS, CLASSES, 2).softmax(1),
            "audio_after": drawn(VIDEOS, SEGMENTS, WIDTH),
            "visual_after": drawn(VIDEOS, SEGMENTS, WIDTH),
        }
        extras |= {f"{net}.{name}": value for name, value in said.items()}
    tags = torch.tensor([[1.0, 1], [0, 1], [1, 0]]).double()
    segment = (drawn(VIDEOS, SEGMENTS, 2, CLASSES) > -0.5).double() * tags[:, None, None]
    if mask is not None:
        segment = segment * mask[..., None, None]
    nothing = torch.zeros(VIDEOS, CLASSES)
    prediction = Prediction(nothing[:, None, None], nothing, nothing, nothing, extras, mask)
    return prediction, ModalityLabels(*segment.amax(1).unbind(1), tags, segment)


def slow_cell(pair, target, evidential, alone):
    """The loss of one pair of logits."""
    present, absent = (math.exp(value) for value in pair.tolist())
    target = float(target)
    if evidential:
        total = math.log(present + absent + 2)
        return target * (total - math.log(present + 1)) + (1 - target) * (
            total - math.log(absent + 1)
        )
    p = present / (present + absent)
    loss = -target * math.log(p) - (1 - target) * math.log(1 - p)
    return loss if alone else 2 * loss


def slow_loss(rows, evidential, alone=False):
    """The loss of pairs of logits and targets (each of all classes), row by row."""
    sums = [
        sum(slow_cell(pair, y, evidential, alone) for pair, y in zip(*row, strict=True))
        for row in rows
    ]
    return sum(sums) / len(sums) / (1 if evidential else CLASSES)


def slow_total(net, prediction, labels, config, lengths, segments=True):
    said = {name: prediction.extras[f"{net}.{name}"] for name in nrep.SAID}
    places = [(v, t) for v, length in enumerate(lengths) for t in range(length)]
    loss = 0.0
    if segments:
        for modality, weight in ((0, 2.0), (1, 1.0)):
            rows = [
                (said["segment_evidence"][v, t, modality], labels.segment[v, t, modality])
                for v, t in places
            ]
            loss += weight * slow_loss(rows, config.evidential, alone=True)
        rows = [
            (
                said["joint_evidence"][v, t],
                labels.segment[v, t, 0] * labels.segment[v, t, 1] * labels.video[v],
            )
            for v, t in places
        ]
        loss += 0.01 * slow_loss(rows, config.evidential)
    weights = (2.0, 1.0) if net == "audio_net" else (1.0, 3.0)
    for modality, target in enumerate((labels.audio, labels.visual)):
        rows = list(zip(said["modality_evidence"][:, modality], target, strict=True))
        loss += weights[modality] * slow_loss(rows, config.evidential)
    rows = list(zip(said["video_evidence"], labels.video, strict=True))
    loss += 0.01 * slow_loss(rows, config.evidential)
    for place in (0, 1):
        distances = []
        for v, t in places:
            for number in range(CLASSES):
                q = max(said["segment_weights"][v, t, :, number, place].tolist())
                p = float(said["joint_weights"][v, t, number, place])
                negative = math.log1p(math.exp(-q)) + q - math.log(2)
                positive = math.log(2) - math.log1p(math.exp(-p))
                distances.append(negative - positive)
        loss += 0.01 * sum(distances) / len(distances)
    embeddings = (prediction.extras[f"{net}.{name}_after"] for name in ("audio", "visual"))
    cosines = similarity(*embeddings, 0.2)
    return loss + float(matching_loss(cosines, "log_mixture", 0.1, prediction.mask))


@pytest.mark.parametrize("evidential", [False, True])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "ragged"])
def test_the_loss_is_the_sum_of_its_cells(evidential, mask):
    prediction, labels = made(mask)
    config = nrep.Config(evidential=evidential)
    batch = Batch({}, labels.video, torch.arange(VIDEOS), mask)
    found = config.build(None)(prediction, labels, batch)
    lengths = (SEGMENTS,) * VIDEOS if mask is None else LENGTHS
    wanted = sum(slow_total(net, prediction, labels, config, lengths) for net in NETS)
    assert float(found["loss"]) == pytest.approx(wanted, rel=1e-6)
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    found = config.build(None)(prediction, bare, batch)
    wanted = sum(slow_total(net, prediction, bare, config, lengths, False) for net in NETS)
    assert float(found["loss"]) == pytest.approx(wanted, rel=1e-6)
    assert "segment" not in found


def test_a_cell_by_hand():
    """Evidence 3 against 1, where the event is: p = 3/4 of a softmax, alpha 4 of 6."""
    evidence, target = torch.tensor([[[math.log(3), 0.0]]]), torch.tensor([[1.0]])
    released, paper = nrep.Config().build(None), nrep.Config(evidential=True).build(None)
    alone = released.loss(evidence, target, presence_alone=True)
    assert float(alone) == pytest.approx(math.log(4 / 3))
    assert float(released.loss(evidence, target)) == pytest.approx(2 * math.log(4 / 3))
    for presence_alone in (False, True):
        found = paper.loss(evidence, target, presence_alone)
        assert float(found) == pytest.approx(math.log(6 / 4))
    assert float(paper.loss(evidence, 1 - target)) == pytest.approx(math.log(6 / 2))


def test_attention_that_is_spread_alike_costs_least():
    even = torch.full((1, 4, 2, 1, 2), 0.25)
    same = nrep.inconsistency(even, even[:, :, 0], None)
    peaked = torch.zeros(1, 4, 2, 1, 2)
    peaked[:, 0] = 1
    assert nrep.inconsistency(peaked, even[:, :, 0], None) > same
    assert nrep.inconsistency(even, peaked[:, :, 0], None) > same


def test_options_say_what_is_needed():
    assert nrep.Config().needs == frozenset(made()[0].extras)
    quiet = nrep.Config(contrastive=Contrastive(0))
    assert {name.partition(".")[2] for name in quiet.needs} == nrep.SAID
    prediction, labels = made()
    batch = Batch({}, labels.video, torch.arange(VIDEOS))
    assert "contrastive" not in quiet.build(None)(prediction, labels, batch)
