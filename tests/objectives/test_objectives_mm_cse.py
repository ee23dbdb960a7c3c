"""MM-CSE's loss against plain sums, cell by cell."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.data.spec import DataSpec, StreamSpec
from rlld.networks import mm_cse as network
from rlld.objectives import mil, mm_cse
from rlld.objectives import segment as segments
from rlld.types import Batch, ModalityLabels, Prediction

VIDEOS, SEGMENTS, CLASSES, WIDTH = 2, 3, 4, 5
RAGGED = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()


def made(mask=None, soft=False):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(VIDEOS, *shape, generator=generator)

    logits = drawn(SEGMENTS, 2, CLASSES)
    pooled = [drawn(CLASSES).sigmoid() for _ in range(3)]
    extras = {
        "segment_logits": logits,
        "embedded": drawn(SEGMENTS, 2, WIDTH),
        "reconstructed": drawn(SEGMENTS, 2, WIDTH),
        "parts": drawn(SEGMENTS, 2, CLASSES + 1, WIDTH),
        "maps": drawn(SEGMENTS, 2, 2, CLASSES, CLASSES).softmax(-1),
    }
    tags = (drawn(CLASSES) > 0).float()
    known = drawn(SEGMENTS, 2, CLASSES).sigmoid()
    known = (known if soft else known.round()) * tags[:, None, None]
    if mask is not None:
        known = known * mask[..., None, None]
    prediction = Prediction(logits.sigmoid(), *pooled, extras).within(mask)
    labels = ModalityLabels(*known.amax(1).unbind(1), tags, known)
    return prediction, labels, Batch({}, tags, torch.arange(VIDEOS), mask)


def cosine(one, other):
    return float(one @ other / (one.norm() * other.norm()))


def mean(values):
    return sum(values) / len(values)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mask", [None, RAGGED], ids=["whole", "ragged"])
def test_terms_are_the_plain_sums(mask, soft):
    prediction, labels, batch = made(mask, soft)
    found = mm_cse.Config().build(None)(prediction, labels, batch)
    places = [
        (video, segment)
        for video in range(VIDEOS)
        for segment in range(SEGMENTS)
        if mask is None or mask[video, segment]
    ]
    extras, lost, like, far = prediction.extras, 0.0, 0.0, 0.0
    for modality in range(2):
        pairs = [
            (
                float(extras["embedded"][p][modality, n]),
                float(extras["reconstructed"][p][modality, n]),
            )
            for p in places
            for n in range(WIDTH)
        ]
        lost += mean([(one - other) ** 2 for one, other in pairs])
        for other in range(2):
            cells = []
            for place in places:
                own, seen = labels.segment[place][modality], labels.segment[place][other]
                shown = extras["maps"][place][modality, int(other != modality)]
                for i in range(CLASSES):
                    for j in range(CLASSES):
                        cells.append(float(shown[i, j] - own[i] * seen[j]) ** 2)
            far += mean(cells)
    heard, seen = [], []
    for place in places:
        audio, visual = extras["parts"][place]
        heard += [cosine(row, audio[-1]) for row in audio[:-1]]
        seen.append(cosine(sum(visual[:-1]) / CLASSES, visual[-1]))
    like = mean(heard) + mean(seen)
    wanted = {"reconstruction": lost, "orthogonality": like, "maps": far}
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5), name
    plain = segments.Config().build(None)(prediction, labels, batch)
    total = float(plain["loss"]) + 0.5 * lost + 0.1 * like + 0.1 * far
    assert float(found["loss"]) == pytest.approx(total, rel=1e-5)
    assert found.keys() == plain.keys() | wanted.keys()


def test_likeness_of_sounds_and_pictures_is_not_the_same():
    prediction, _, _ = made()
    parts = prediction.extras["parts"].flatten(0, 1)
    assert float(mm_cse.likeness(parts)) != pytest.approx(float(mm_cse.likeness(parts.flip(1))))


def test_without_segment_labels_it_is_the_multiple_instance_loss_and_no_maps():
    prediction, labels, batch = made()
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    found = mm_cse.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    wanted = mil.Config(3.0, 2.0, 0.5).build(None)(prediction, bare, batch)
    own = 0.5 * found["reconstruction"] + 0.1 * found["orthogonality"]
    assert float(found["loss"]) == pytest.approx(float(wanted["loss"] + own), rel=1e-5)
    assert "maps" not in found


def test_terms_of_no_weight_need_nothing():
    prediction, labels, batch = made()
    config = mm_cse.Config(reconstruction_weight=0, orthogonality_weight=0, maps_weight=0)
    assert not config.needs
    found = config.build(None)(prediction, labels, batch)
    wanted = segments.Config().build(None)(prediction, labels, batch)
    assert found.keys() == wanted.keys()
    assert torch.equal(found["loss"], wanted["loss"])


def test_the_target_of_the_reconstruction_learns_too():
    streams = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7)}
    spec = DataSpec("small", ("a", "b"), 6, 0.5, streams)
    torch.manual_seed(0)
    net = network.Config(hidden=8, layers=1).build(spec)
    given = {name: torch.randn(2, 6, stream.dim) for name, stream in streams.items()}
    made_of = net(given).extras
    prediction, labels, batch = made()
    extras = {**made_of, "reconstructed": made_of["reconstructed"].detach()}
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    alone = replace(prediction, extras=extras)
    config = mm_cse.Config(orthogonality_weight=0, maps_weight=0)
    config.build(None)(alone, bare, batch)["reconstruction"].backward()
    assert net.fc_a.weight.grad.abs().sum() > 0
    assert net.fc_v.weight.grad.abs().sum() > 0
