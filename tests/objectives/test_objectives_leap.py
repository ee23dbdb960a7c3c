"""LEAP's loss cell by cell, and what it leaves alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.networks._sight import WINDOW
from rlld.objectives.leap import Config, similarity_loss
from rlld.types import Batch, ModalityLabels, Prediction

VIDEOS, SEGMENTS, CLASSES, WIDTH = 3, 4, 5, 6


def made(mask=None, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    segment = drawn(VIDEOS, SEGMENTS, 2, CLASSES)
    audio, visual = drawn(VIDEOS, CLASSES), drawn(VIDEOS, CLASSES)
    video = ((audio >= 0.5) | (visual >= 0.5)).double()
    extras = {f"{m}_after": drawn(VIDEOS, SEGMENTS, WIDTH) - 0.4 for m in ("audio", "visual")}
    prediction = Prediction(segment, audio, visual, video, extras).within(mask)
    tags = (drawn(VIDEOS, CLASSES) < 0.6).double()
    target = (drawn(VIDEOS, SEGMENTS, 2, CLASSES) < 0.5) * tags[:, None, None]
    if mask is not None:
        target = target * mask[..., None, None]
    target[1] = 0
    labels = ModalityLabels(*target.amax(1).unbind(1), tags, target)
    return prediction, labels, Batch({}, tags, torch.arange(VIDEOS), mask)


def bce(probability, target):
    probability = min(max(float(probability), 1e-7), 1 - 1e-7)
    return -(target * math.log(probability) + (1 - target) * math.log(1 - probability))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def slow_similarity(prediction, target, inside, margin=0.01):
    errors = []
    for video in range(len(target)):
        rows = [t for t in range(target.shape[1]) if inside[video][t]]
        most = max(float(target[video, t, m].sum()) for t in rows for m in (0, 1))
        for i in rows:
            for j in rows:
                heard, seen = (
                    prediction.extras[f"{m}_after"][video, t]
                    for m, t in (("audio", i), ("visual", j))
                )
                cosine = float(heard @ seen / (heard.norm() * seen.norm()))
                shared = float((target[video, i, 0] * target[video, j, 1]).sum())
                ratio = shared / most if most else 0.0
                wanted = (1 / (1 + 1 / ratio) if ratio else 0.0) + margin
                errors.append((max(cosine, 0.0) - wanted) ** 2)
    return mean(errors)


RAGGED = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()


@pytest.mark.parametrize("mask", [None, RAGGED], ids=["whole", "ragged"])
def test_the_loss_is_the_sum_of_its_cells(mask):
    prediction, labels, batch = made(mask)
    found = Config().build(None)(prediction, labels, batch)
    inside = torch.ones(VIDEOS, SEGMENTS) if mask is None else mask
    for name in ("audio", "visual", "video"):
        pairs = zip(
            getattr(prediction, name).flatten(), getattr(labels, name).flatten(), strict=True
        )
        assert float(found[name]) == pytest.approx(mean(bce(p, float(y)) for p, y in pairs))
    places = [(v, t) for v in range(VIDEOS) for t in range(SEGMENTS) if inside[v, t]]
    wanted = sum(
        mean(
            bce(prediction.segment[v, t, m, c], float(labels.segment[v, t, m, c]))
            for v, t in places
            for c in range(CLASSES)
        )
        for m in (0, 1)
    )
    assert float(found["segment"]) == pytest.approx(wanted)
    wanted = slow_similarity(prediction, labels.segment, inside)
    assert float(found["similarity"]) == pytest.approx(wanted)
    names = ("audio", "visual", "video", "segment", "similarity")
    assert float(found["loss"]) == pytest.approx(sum(float(found[name]) for name in names))


def test_the_term_of_the_video_moves_nothing():
    prediction, labels, batch = made()
    prediction.audio.requires_grad_()
    video = ((prediction.audio >= 0.5) | (prediction.visual >= 0.5)).double()
    given_ = Prediction(
        prediction.segment, prediction.audio, prediction.visual, video, prediction.extras
    )
    gradients = []
    for weight in (0.0, 1.0, 7.0):
        loss = Config(video_weight=weight).build(None)(given_, labels, batch)["loss"]
        gradients.append(torch.autograd.grad(loss, prediction.audio)[0])
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])


@given(st.integers(0, 10_000))
def test_what_tracks_shall_share_lies_between_the_margin_and_one_half_more(seed):
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(1, SEGMENTS, 2, CLASSES, generator=generator) < 0.6).double()
    target[:, 0] = 1  # both tracks hold all classes at once: they share all there
    # Of embeddings at right angles, the error is the square of what they shall be.
    audio = torch.eye(2 * SEGMENTS, dtype=torch.float64)[:SEGMENTS][None]
    visual = torch.eye(2 * SEGMENTS, dtype=torch.float64)[SEGMENTS:][None]
    loss = float(similarity_loss(audio, visual, target, 0.01))
    assert 0.01**2 <= loss <= 0.51**2
    every = float(similarity_loss(audio, visual, torch.ones_like(target), 0.01))
    assert every == pytest.approx(0.51**2)
    none = float(similarity_loss(audio, visual, torch.zeros_like(target), 0.01))
    assert none == pytest.approx(0.01**2)


def test_labels_of_the_video_stand_in_where_segments_have_none():
    prediction, labels, batch = made()
    lent = torch.stack([labels.audio, labels.visual], 1)[:, None].repeat(1, SEGMENTS, 1, 1)
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    given_ = ModalityLabels(labels.audio, labels.visual, labels.video, lent)
    objective = Config().build(None)
    found, wanted = (objective(prediction, each, batch) for each in (bare, given_))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in found)


def test_networks_without_embeddings_learn_without_the_term_that_needs_them():
    assert Config().needs == {"audio_after", "visual_after"}
    without = Config(similarity_weight=0)
    assert without.needs == frozenset()
    prediction, labels, batch = made()
    bare = Prediction(prediction.segment, prediction.audio, prediction.visual, prediction.video)
    assert "similarity" not in without.build(None)(bare, labels, batch)


def test_of_long_videos_near_segments_are_compared():
    segments = 2 * WINDOW + 3
    generator = torch.Generator().manual_seed(0)
    audio, visual = torch.randn(2, 1, segments, WIDTH, generator=generator)
    target = (torch.rand(1, segments, 2, CLASSES, generator=generator) < 0.3).float()
    found = float(similarity_loss(audio, visual, target, 0.01))
    apart = (torch.arange(segments)[:, None] - torch.arange(segments)).abs()
    shared = target[0, :, 0] @ target[0, :, 1].T / target.sum(-1).max()
    cosines = torch.cosine_similarity(audio[0, :, None], visual[0, None], dim=-1).relu()
    errors = (cosines - shared / (1 + shared) - 0.01).square()
    assert found == pytest.approx(float(errors[apart <= WINDOW // 2].mean()), rel=1e-4)
