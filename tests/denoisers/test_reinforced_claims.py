"""Which claimed segments are believed: what is read, what is learned, what nobody can say."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.data.similarities import scores_path
from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.split import Split
from rlld.denoisers.reinforced.claims import Claims, SegmentEvidence, answered, believed
from rlld.recipes.composition import composed
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

STREAMS = {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)}
SPEC = DataSpec("two", ("Bell", "Drum"), 5, 1.0, STREAMS)
QUICK = {
    "schedule.updates": 4,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.judges": 1,
    "denoiser.labelwise.steps": 4,
}


def videos(events: torch.Tensor) -> Split:
    """Videos that are all tagged with the first class alone."""
    count = len(events)
    labels = torch.tensor([[1.0, 0.0]]).repeat(count, 1)
    ids = tuple(map(str, range(count)))
    streams = {"audio": torch.zeros(count, 5, 1)}
    return Split("validation", SPEC, ids, streams, labels, events)


def uninformed(share: float) -> Claims:
    """Two videos of whose segments none is claimed, though a share of them has the event."""
    events = torch.zeros(2, 5, 2, 2, dtype=torch.bool)
    events.view(10, 2, 2)[: round(10 * share), :, 0] = True
    nothing = torch.zeros(2, 5, 2, 2)
    return Claims(videos(events), nothing, nothing, torch.full((2, 2, 2), 0.5))


def test_what_is_read_of_a_segment():
    claimed, evidence = torch.zeros(2, 1, 5, 2, 2).unbind()
    claimed[0, 1:4, 0, 0] = torch.tensor([1.0, 0.4, 0.8])
    evidence[0, :, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0, 0.0])
    keep = torch.full((1, 2, 2), 0.75)
    none = torch.zeros(1, 5, 2, 2, dtype=torch.bool)
    found = Claims(videos(none), claimed, evidence, keep).inputs(0)[0, :, 0]
    odds = torch.tensor(3.0).log().item()
    expected = [
        [0, 1, 0.4, 1, 2, odds, 1],
        [1, 0, 0.4, 2, 2, odds, 1],
        [0, 2, 0.4, 3, 2, odds, 1],
        [1, 0, 0.4, 4, 2, odds, 1],
        [0, 1, 0.4, 0, 2, odds, 1],
    ]
    assert torch.allclose(found, torch.tensor(expected))


@pytest.mark.parametrize(("share", "odds"), [(0.4, 14 / 9), (0.2, 7 / 12)])
def test_claims_are_believed_from_a_probability_of_0_3_on(share, odds):
    # Nothing that is read differs, so that the offset alone is fitted: to the share itself.
    found = believed(uninformed(share), uninformed(share))
    assert torch.allclose(found[..., 0], torch.tensor(odds / (1 + odds)), atol=1e-3)
    assert not found[..., 1].any()
    assert bool((found[..., 0] >= 0.5).all()) == (share == 0.4)


def test_a_source_that_was_always_right_is_believed_to_the_letter():
    generator = torch.Generator().manual_seed(0)
    events = torch.rand(40, 5, 2, 2, generator=generator) < 0.5
    events[..., 1] = False
    nothing, keep = torch.zeros(40, 5, 2, 2), torch.full((40, 2, 2), 0.5)
    annotated = Claims(videos(events), events.float(), nothing, keep)
    other = events.roll(1, 0)
    found = believed(annotated, replace(annotated, claimed=other.float()))
    assert torch.equal(found >= 0.5, other)


def test_what_a_person_answered_is_final():
    keep = torch.tensor([[0.1, 0.3], [0.2, 0.9]])[None, :, None].expand(1, 2, 2, 2)
    answers = torch.tensor([[[1, -1], [-1, 0]]], dtype=torch.int8)
    expected = torch.tensor([[[0.1, 0.3], [0.1, 0.0]], [[0.5, 0.9], [0.2, 0.0]]])
    assert torch.equal(answered(keep, answers)[0], expected)


def test_videos_are_judged_by_networks_that_did_not_learn_from_them(tiny_data):
    data = load_data(tiny_data)
    recipe = load_recipe("weak", {"fit": False}, data.spec.overrides)
    evidence = SegmentEvidence(data.train, data.validation)
    assert not evidence.known
    networks = [recipe.build_network(data.spec).eval() for _ in range(2)]
    everyone = torch.arange(len(data.train))
    for number, network in enumerate(networks):
        evidence.see(network, everyone[everyone % 2 != number])
    for number, network in enumerate(networks):
        own = everyone[everyone % 2 == number]
        with torch.no_grad():
            said = network.unimodal(data.train.batch(own).streams).segment.logit()
        assert torch.allclose(evidence.train[own], said, atol=1e-4)
    with torch.no_grad():
        streams = data.validation.all().streams
        both = [network.unimodal(streams).segment.logit() for network in networks]
    assert torch.allclose(evidence.reward, (both[0] + both[1]) / 2, atol=1e-4)
    # An annotated video that taught one of them is judged by the other alone.
    taught = torch.arange(0, len(data.validation), 2)
    evidence.see(networks[0], everyone[1::2], data.validation.subset(taught))
    assert torch.allclose(evidence.reward[::2], both[1][::2], atol=1e-4)
    assert torch.allclose(evidence.reward[1::2], (both[0] + both[1])[1::2] / 2, atol=1e-4)


def test_without_scores_of_annotated_videos_claims_are_judged_by_video(tiny_data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    scores_path(folder, "classes", "validation").unlink()
    data = load_data(folder)
    recipe = composed(load_recipe("valor"), "rlld-labelwise", data.spec.overrides).varied(QUICK)
    run = Trainer(recipe, data.train, data.validation, 0, Compute("cpu", threads=1))
    next(run.steps())
    note, *_ = run.denoiser.notes()
    assert note.startswith("claims were judged by video, not by segment: ")
    batch = run.train.all()
    own, labels = run.denoiser.source.revise(batch, None), run.denoiser.revise(batch, None)
    kept = run.denoiser.policy.training_keep() >= 0.5
    assert torch.equal(labels.segment, own.segment * kept[:, None])
