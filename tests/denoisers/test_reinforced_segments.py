"""RLLD's targets of segments: the worked examples of the selection, and both sources."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlld.data.dataset import load_data, load_split
from rlld.data.similarities import load_scores
from rlld.denoisers.reinforced.options import Segments, TopK
from rlld.denoisers.reinforced.segments import SegmentTargets
from rlld.denoisers.reinforced.topk import longest_prefix, select
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.synthetic.features.writing import simulate
from rlld.training.loop import train
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segments") / "data"
    simulate(folder, "compact", seed=2, videos=(64, 30, 30))
    return folder


@pytest.mark.parametrize(
    ("values", "plain", "crossing"),
    [
        ([0.30, 0.15, 0.10, 0.45], [3], [0, 3]),
        ([0.30, 0.15, 0.10, 0.10], [0, 1], [0, 1, 2]),
        ([0.70, 0.20, 0.10], [0], [0]),
        ([0.25, 0.25, 0.25, 0.25], [0, 1], [0, 1, 2]),
        ([0.5, 0.5], [0], [0, 1]),
    ],
)
def test_worked_examples_of_the_selection(values, plain, crossing):
    if sum(values) < 0.99:
        values = [*values, *[0.07] * 5]
    for cross, wanted in ((False, plain), (True, crossing)):
        found = longest_prefix(torch.tensor(values), cross=cross)
        assert found.nonzero()[:, 0].tolist() == wanted


def test_the_crossing_label_is_selected_among_the_video_s_labels_too():
    scores, labels = torch.tensor([[0.5, 0.3, 0.9]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert select(scores, labels, TopK("restricted")).tolist() == [[True, False, False]]
    assert select(scores, labels, TopK("restricted", cross=True)).tolist() == [[True, False, False]]
    even = torch.tensor([[0.4, 0.4, 0.9]])
    assert select(even, labels, TopK("restricted", cross=True)).tolist() == [[True, True, False]]


def test_segments_get_what_the_teacher_selects_and_the_policy_keeps(simulated):
    split = load_split(simulated, "train")
    targets = SegmentTargets(Segments("classes"))
    targets.prepare(split)
    batch = split.batch(torch.tensor([5, 9, 40]))
    gone = batch.labels.clone()
    gone[0] = 0
    labels = ModalityLabels(batch.labels, gone, batch.labels)
    found = targets.added(labels, batch, lambda: torch.ones(0)).segment
    assert found.shape == (3, 10, 2, 25)
    assert not found[0, :, 1].any()
    scores = load_scores(split, "classes", {"audio": 25})["audio"][batch.index]
    assert torch.equal(found[:, :, 0].bool(), select(scores, batch.labels, TopK()))


def test_the_policy_selects_once_per_video(simulated):
    split = load_split(simulated, "train")
    targets = SegmentTargets(Segments("classes", "policy"))
    targets.prepare(split)
    batch = split.all()
    keep = torch.rand(64, 2, 25)
    labels = ModalityLabels(batch.labels, batch.labels, batch.labels)
    found = targets.added(labels, batch, lambda: keep).segment
    assert torch.equal(found, found[:, :1].expand_as(found))
    best = (keep * batch.labels[:, None]).argmax(-1)
    assert torch.equal(found[:, 0].argmax(-1), best)
    assert (found[:, 0].sum(-1) == (batch.labels.sum(1) > 0)[:, None]).all()


def test_without_scores_nothing_is_added(simulated):
    split = load_split(simulated, "train")
    targets = SegmentTargets(Segments())
    targets.prepare(split)
    labels = ModalityLabels(split.labels, split.labels, split.labels)
    assert targets.added(labels, split.all(), lambda: torch.ones(0)) is labels


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"denoiser.segments.source": "policy"},
        {"denoiser.segments.select.reading": "restricted"},
        {"denoiser.credit": "labelwise", "denoiser.labelwise.folds": 2},
        {"denoiser.segments.scores": "null"},
    ],
)
def test_the_recipe_trains_in_every_form(simulated, tmp_path, settings):
    data = load_data(simulated)
    small = {"schedule.updates": 3, "schedule.batch_size": 16, "network.hidden": 12}
    steps = {"denoiser.labelwise.steps": 3, "denoiser.labelwise.judges": 1}
    recipe = load_recipe("valor+rlld", {**small, **steps, **settings}, data.spec.overrides)
    run = train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))
    assert run.facts["updates"] == 3


def test_credits_that_try_steps_refuse_segments():
    overrides = {"denoiser.credit": "counterfactual"}
    with pytest.raises(RlldError, match=r"segments\.scores must go with credit paper or labelwise"):
        load_recipe("valor+rlld", overrides)


def test_any_label_source_drives_the_segment_objective(simulated, tmp_path):
    data = load_data(simulated)
    small = {"schedule.updates": 2, "schedule.batch_size": 16, "network.hidden": 12}
    recipe = load_recipe("valor", {**small, "denoiser": "reinforced"}, data.spec.overrides)
    run = train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))
    assert run.facts["updates"] == 2
