"""Every registered objective on videos of different lengths: padding teaches nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models_kit import shaken
from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.objectives._contrastive import matching_loss
from rlld.objectives.base import Objective
from rlld.objectives.segment import segment_bce
from rlld.objectives.vaplan import richness_loss
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.registry import NETWORKS, OBJECTIVES

LENGTHS = (5, 1, 8, 3)
LONGEST = 12
STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(6), "visual_3d": StreamSpec(4)}
SPEC = DataSpec("ragged", ("a", "b", "c"), LONGEST, 1.0, STREAMS)
CHOICES = [
    *((name, {}) for name in OBJECTIVES.names()),
    *(("mil", {"contrastive": {"weight": 1.0, "flavour": name}}) for name in ("ma", "jomold")),
    ("cvcms", {"audio_original": True, "visual_original": True}),
    *(
        ("poibin", {"form": form, "estimate": estimate, "soft": soft, "growth": 3})
        for form in ("joint", "split")
        for estimate, soft in (("mean", False), ("mode", True), ("fixed", True))
    ),
    ("poibin", {"estimate": "fixed", "count": 7}),
]


def network_for(needs: frozenset[str]) -> Network:
    """A network that gives what an objective needs; VALOR's where any does, for its logits."""
    names = ["valor", *NETWORKS.names()]
    for name in names:
        width = {"hidden": 8} | ({"dropout": 0.0, "token_dropout": 0.0} if name == "cvcms" else {})
        config = NETWORKS.config({"name": name, **width}, "test")
        if needs <= config.gives:
            torch.manual_seed(0)
            return shaken(config.build(SPEC), 1).double()
    raise AssertionError(f"no network gives {sorted(needs)}")


def batch_of(lengths: tuple[int, ...], longest: int, first: int = 0) -> Batch:
    """Videos of one another's features whatever they are padded to, and with whatever else."""
    streams = {name: torch.zeros(len(lengths), longest, each.dim) for name, each in STREAMS.items()}
    streams = {name: value.double() for name, value in streams.items()}
    labels = []
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(first + row)
        labels.append(torch.rand(3, generator=generator) > 0.4)
        for value in streams.values():
            shape = (length, value.shape[-1])
            value[row, :length] = torch.randn(shape, generator=generator, dtype=torch.float64)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    index = torch.arange(first, first + len(lengths))
    return Batch(streams, torch.stack(labels).double(), index, mask)


def targets_of(batch: Batch, segments: bool) -> ModalityLabels:
    labels, known = batch.labels, None
    if segments:
        generator = torch.Generator().manual_seed(9)
        everything = torch.rand(9, LONGEST, 2, 3, generator=generator, dtype=torch.float64).round()
        known = everything[batch.index, : batch.segments] * labels[:, None, None]
        if batch.mask is not None:
            known = known * batch.mask[..., None, None]
    flipped = labels * torch.arange(3).eq(1)
    return ModalityLabels(labels - flipped, labels, labels, known)


def objective_of(name: str, options: dict) -> Objective:
    config = OBJECTIVES.config({"name": name, **options}, "test")
    if hasattr(config, "hidden"):
        config = replace(config, hidden=8)
    objective = config.build(SPEC).double().eval()
    objective.prepare(9)
    objective.start_round(10)
    return objective


def losses(name: str, options: dict, batch: Batch, segments: bool) -> dict[str, torch.Tensor]:
    config = OBJECTIVES.config({"name": name, **options}, "test")
    network = network_for(config.needs)
    with torch.no_grad():
        prediction = network(batch.streams, batch.mask)
    return objective_of(name, options)(prediction, targets_of(batch, segments), batch)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_a_padded_video_costs_what_it_costs_alone(name, options, segments):
    for video, length in enumerate(LENGTHS):
        padded = batch_of((length,), LONGEST, video)
        cut = {key: value[:, :length] for key, value in padded.streams.items()}
        found = losses(name, options, padded, segments)
        wanted = losses(name, options, replace(padded, streams=cut, mask=None), segments)
        assert found.keys() == wanted.keys()
        for part, value in found.items():
            assert float(value) == pytest.approx(float(wanted[part]), rel=1e-7, abs=1e-9), part


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_more_padding_of_a_batch_changes_no_loss(name, options, segments):
    short = losses(name, options, batch_of(LENGTHS, max(LENGTHS)), segments)
    long = losses(name, options, batch_of(LENGTHS, LONGEST), segments)
    for part, value in short.items():
        assert float(value) == pytest.approx(float(long[part]), rel=1e-7, abs=1e-9), part


@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_nothing_behind_the_end_of_a_video_gets_a_gradient(name, options):
    config = OBJECTIVES.config({"name": name, **options}, "test")
    batch = batch_of(LENGTHS, LONGEST)
    with torch.no_grad():
        found = network_for(config.needs)(batch.streams, batch.mask)
    segment = found.segment.requires_grad_()
    extras = {key: value.clone().requires_grad_() for key, value in found.extras.items()}
    prediction = replace(found, segment=segment, extras=extras, video=found.video.requires_grad_())
    loss = objective_of(name, options)(prediction, targets_of(batch, True), batch)["loss"]
    loss.backward()
    outside = ~batch.mask
    for key, value in {"segment": segment, **extras}.items():
        if value.grad is None:
            continue
        assert value.grad.isfinite().all(), key
        if value.shape[:2] == outside.shape:
            assert not value.grad[outside].any(), key


def test_mixed_pairs_of_cvcms_keep_their_lengths():
    network = network_for(OBJECTIVES.config({"name": "cvcms"}, "test").needs).train()
    found = []
    for longest in (max(LENGTHS), LONGEST):
        batch = batch_of(LENGTHS, longest)
        torch.manual_seed(4)
        prediction = network(batch.streams, batch.mask)
        assert "partner" in prediction.extras
        found.append(objective_of("cvcms", {})(prediction, targets_of(batch, False), batch))
    one, other = (float(each["loss"].detach()) for each in found)
    assert one == pytest.approx(other, rel=1e-9)


def test_videos_too_long_to_be_counted_are_refused():
    config = OBJECTIVES.config({"name": "poibin"}, "test")
    with pytest.raises(RlldError, match="has 257 segments, expected at most 256"):
        config.build(replace(SPEC, segments=257, any_length=True))
    config.build(replace(SPEC, segments=257))


def prediction_of(segment: torch.Tensor, mask: torch.Tensor | None) -> Prediction:
    nothing = segment.new_zeros(len(segment), segment.shape[-1])
    return Prediction(segment, nothing, nothing, nothing).within(mask)


def test_segment_terms_are_means_over_the_segments_that_there_are():
    generator = torch.Generator().manual_seed(0)
    segment = torch.rand(3, 6, 2, 4, generator=generator)
    target = torch.rand(3, 6, 2, 4, generator=generator)
    lengths = torch.tensor([6, 2, 1])
    mask = torch.arange(6) < lengths[:, None]
    found = torch.stack(segment_bce(prediction_of(segment, mask), target * mask[..., None, None]))
    each = [
        torch.stack(segment_bce(prediction_of(segment[v : v + 1, :n], None), target[v : v + 1, :n]))
        for v, n in enumerate(lengths.tolist())
    ]
    wanted = sum(n * loss for n, loss in zip(lengths, each, strict=True)) / lengths.sum()
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("formula", ["cross_entropy", "log_mixture"])
def test_matching_is_a_mean_over_the_segments_that_there_are(formula):
    logits = torch.randn(4, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    lengths = [5, 3, 1, 2]
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    each = [matching_loss(logits[v, :n, :n], formula, 0.1) for v, n in enumerate(lengths)]
    wanted = sum(n * float(loss) for n, loss in zip(lengths, each, strict=True)) / sum(lengths)
    found = matching_loss(logits, formula, 0.1, mask)
    assert float(found) == pytest.approx(wanted, rel=1e-12)


def test_richness_counts_labels_of_videos_and_segments_that_there_are():
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 0]]).double()
    lengths = [4, 2, 3]
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    inside = mask[..., None, None].double()
    probability = torch.rand(3, 4, 2, 3, generator=generator, dtype=torch.float64) * inside
    segment = torch.rand(3, 4, 2, 3, generator=generator).round().double() * inside
    segment = segment * labels[:, None, None]

    def bce(found: float, wanted: float) -> float:
        found = min(max(found, 1e-7), 1 - 1e-7)
        logs = torch.tensor([found, 1 - found], dtype=torch.float64).log()
        return float(-wanted * logs[0] - (1 - wanted) * logs[1])

    total = 0.0
    for modality in (0, 1):
        by_category, by_segment = [], []
        for video, length in enumerate(lengths):
            own = labels[video].bool()
            count = int(own.sum())
            for place in range(length if count else 0):
                said = probability[video, place, modality, own].sum() / count
                there = segment[video, place, modality, own].sum() / count
                by_category.append(bce(float(said), float(there)))
            for label in own.nonzero()[:, 0].tolist():
                said = probability[video, :length, modality, label].mean()
                there = segment[video, :length, modality, label].mean()
                by_segment.append(bce(float(said), float(there)))
        total += sum(by_category) / len(by_category) + sum(by_segment) / len(by_segment)
    found = richness_loss(probability, segment, labels, mask)
    assert float(found) == pytest.approx(total, rel=1e-5)
