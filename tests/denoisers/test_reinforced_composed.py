"""A policy on top of another source of labels: what is left of what both say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resume_kit import require_resumable
from rlld.data.dataset import load_data
from rlld.denoisers.reinforced.composed import Composed, composed, training_labels
from rlld.errors import RlldError
from rlld.recipes.composition import composed as on_top
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)
QUICK = {
    "schedule.updates": 4,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.judges": 1,
    "denoiser.labelwise.steps": 4,
}


def trainer(folder, name: str, learner: str = "rlld-labelwise", **more) -> Trainer:
    """A short training of a packaged recipe with a learner on top of its labels."""
    data = load_data(folder, with_truth=True)
    quick = QUICK if learner == "rlld-labelwise" else {"schedule.updates": 4}
    recipe = on_top(load_recipe(name), learner, data.spec.overrides).varied({**quick, **more})
    return Trainer(recipe, data.train, data.validation, 0, COMPUTE)


def test_what_a_policy_removes_goes_and_the_rest_stays_where_the_source_put_it():
    # Two videos, three classes; the third is no tag of the first video, but softly labelled.
    tags = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    segment = torch.zeros(2, 2, 2, 3)
    segment[0, 0, 0] = torch.tensor([1.0, 1.0, 0.1])
    segment[0, 1, 1] = torch.tensor([0.8, 0.0, 0.1])
    segment[1, :, :, 2] = 1.0
    own = ModalityLabels(
        torch.tensor([[1.0, 1.0, 0.1], [0.0, 0.0, 1.0]]),
        torch.tensor([[0.8, 0.0, 0.1], [0.0, 0.0, 1.0]]),
        tags,
        segment,
        {"shares": torch.tensor([0.1, 0.2])},
    )
    judged = ModalityLabels(
        torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]),
        torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
        torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    )
    found = composed(own, judged, tags)
    assert torch.equal(found.audio, torch.tensor([[0.0, 1.0, 0.1], [0.0, 0.0, 1.0]]))
    assert torch.equal(found.visual, torch.tensor([[0.8, 0.0, 0.1], [0.0, 0.0, 0.0]]))
    assert torch.equal(found.video, torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    expected = torch.zeros(2, 2, 2, 3)
    expected[0, 0, 0] = torch.tensor([0.0, 1.0, 0.1])
    expected[0, 1, 1] = torch.tensor([0.8, 0.0, 0.1])
    expected[1, :, 0, 2] = 1.0
    assert torch.equal(found.segment, expected)
    assert found.extras is own.extras


@given(st.integers(0, 2**32 - 1))
def test_a_policy_that_keeps_everything_leaves_the_labels_of_the_source(seed):
    generator = torch.Generator().manual_seed(seed)
    tags = torch.rand(3, 4, generator=generator).round()
    audio, visual, video = torch.rand(3, 3, 4, generator=generator)
    own = ModalityLabels(audio, visual, video, torch.rand(3, 5, 2, 4, generator=generator))
    found = composed(own, ModalityLabels(tags, tags, tags), tags)
    for name in ("audio", "visual", "video", "segment"):
        assert torch.equal(getattr(found, name), getattr(own, name)), name


@pytest.mark.parametrize("name", ["valor", "ma"])
def test_networks_of_the_policy_learn_from_the_labels_of_the_source(tiny_data, monkeypatch, name):
    given, fit = [], Trainer.fit

    def watched(self, labels, *options, **named):
        given.append(labels)
        return fit(self, labels, *options, **named)

    monkeypatch.setattr(Trainer, "fit", watched)
    run = trainer(tiny_data, name)
    next(run.steps())
    own = training_labels(run.denoiser.source, run.train)
    # MA trains a network of its own first, on the bare tags.
    for labels in given[-4:-2]:
        assert torch.equal(labels.audio, own.audio)
        assert torch.equal(labels.visual, own.visual)
        assert (labels.segment is None) == (name == "ma")
        assert own.segment is None or torch.equal(labels.segment, own.segment)
    # Those of the second round do without what the first one removed.
    assert (given[-1].visual <= own.visual).all()
    assert not torch.equal(given[-1].visual, own.visual)


@pytest.mark.parametrize("name", ["valor", "lsld", "vaplan", "ma", "cmpae", "han+jocor"])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(tiny_data, tmp_path, name):
    require_resumable(lambda: trainer(tiny_data, name), tmp_path, stops=[1, 3])


def test_a_policy_on_top_of_a_policy_is_refused():
    with pytest.raises(RlldError, match="source must be another denoiser, such as valor"):
        load_recipe("rlld", {"denoiser.source": "reinforced"})


def test_a_source_is_named_on_the_command_line_with_its_options():
    settings = {"denoiser": "reinforced", "denoiser.source": "valor"}
    data = {"denoiser.audio_thresholds": [0.5], "denoiser.hidden": 7}
    recipe = load_recipe("valor", {**settings, "denoiser.source.visual_thresholds": "[2]"}, data)
    source = recipe.denoiser.config.source_config()
    assert recipe.denoiser.config.hidden == 7
    assert (source.audio_thresholds, source.visual_thresholds) == ((0.5,), (2.0,))
    with pytest.raises(RlldError, match="source: unknown key 'threshold'"):
        load_recipe("valor", {**settings, "denoiser.source.threshold": 1})


def test_a_composition_is_built_of_both(tiny_data):
    run = trainer(tiny_data, "valor", "rlld")
    assert isinstance(run.denoiser, Composed)
    assert set(run.denoiser.networks()) == {"kept", "policy", "believed"}
