"""Segment pseudo labels of VALOR, LSLD and VAPLAN: hand-computed, slow forms, properties."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rlld.data.dataset import load_data, load_split
from rlld.data.spec import DataSpec, StreamSpec
from rlld.denoisers import lsld, valor, vaplan
from rlld.denoisers.base import Context
from rlld.errors import RlldError
from rlld.evaluation.scoring import keep_probabilities
from rlld.recipes.recipe import load_recipe
from rlld.synthetic.features.writing import simulate
from rlld.taxonomy import LLP
from rlld.training.loop import train
from rlld.types import Prediction
from rlld.utils.compute import Compute

SPEC = DataSpec(
    "small", ("a", "b", "c"), 4, 1.0, {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)}
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pseudo") / "data"
    simulate(folder, "compact", seed=1, videos=(120, 30, 30))
    return folder


def test_valor_needs_the_label_and_more_than_the_threshold():
    logits = torch.tensor([[3.0, 3.1, 9.0], [2.0, -1.0, 9.0]]).view(1, 2, 1, 3).repeat(1, 1, 2, 1)
    thresholds = torch.tensor([[3.0, 3.0, 3.0], [1.0, 5.0, 3.0]])
    found = valor.elaborate(logits, torch.tensor([[1.0, 1.0, 0.0]]), thresholds)
    assert found[0, :, 0].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert found[0, :, 1].tolist() == [[1, 0, 0], [1, 0, 0]]


def test_valor_takes_one_threshold_or_one_per_class():
    one = valor.Config("classes", (0.5,), (1.0, 2.0, 3.0)).build(SPEC)
    assert one.thresholds.tolist() == [[0.5, 0.5, 0.5], [1, 2, 3]]
    with pytest.raises(RlldError, match="valor: audio_thresholds: 2 thresholds for 3 classes"):
        valor.Config("classes", (0.5, 1.0), (1.0,)).build(SPEC)
    assert len(valor.VISUAL_PROMPTS) == len(valor.AUDIO_PROMPTS) == 25


def test_valors_published_thresholds_are_those_of_the_classes_that_they_were_chosen_for():
    """Twenty-five classes of other names take them by position, which is told."""
    named = replace(SPEC, classes=("Dog", "Speech", "Cello"))
    found = valor.Config().build(named).thresholds
    at = [LLP.index(name) for name in named.classes]
    both = (valor.AUDIO_THRESHOLDS, valor.VISUAL_THRESHOLDS)
    assert found.tolist() == [[published[c] for c in at] for published in both]
    assert valor.Config().build(named).notes() == []
    birds = replace(SPEC, classes=tuple(f"Bird{n}" for n in range(25)))
    by_place = valor.Config().build(birds)
    assert by_place.thresholds.tolist() == [list(published) for published in both]
    (note,) = by_place.notes()
    assert "of which 'Bird0' is none, and were taken in their order" in note
    assert valor.Config("classes", (0.5,), (1.0,)).build(birds).notes() == []


def test_lsld_prompts_are_the_published_ones():
    names = lsld.spoken_names(("Cello", "Frying_(food)", "My_own"))
    assert names == ("playing the Cello", "Frying food", "My own")
    heard, seen = lsld.prompts([0, 1], names)
    assert seen == [
        "playing the Cello and Frying food",
        "playing the Cello",
        "Frying food",
        "other",
    ]
    assert heard[3] == "This is a sound of other"


def slow_refine(scores, labels):
    """Prompt by prompt, as the publication describes it."""
    result = torch.zeros(len(labels), scores.shape[1], labels.shape[1])
    for video, segment in itertools.product(range(len(labels)), range(scores.shape[1])):
        own = labels[video].nonzero()[:, 0].tolist()
        sets = [own] if own else []
        for size in range(1, len(own)):
            sets += [list(chosen) for chosen in itertools.combinations(own, size)]
        sets.append([])
        values = scores[video, segment, : len(sets)].tolist()
        for number in sets[values.index(max(values))]:
            result[video, segment, number] = 1
    return result


def test_lsld_labels_are_those_of_the_slow_form():
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(40, 6, generator=generator) < 0.4).float()
    labels[0], labels[1, :5] = 0, 1
    scores = torch.randint(0, 9, (40, 5, 64), generator=generator).float()
    assert torch.equal(lsld.refine(scores, labels), slow_refine(scores, labels))
    with pytest.raises(RlldError, match="4 prompts per video, but videos with"):
        lsld.refine(scores[..., :4], labels)


def slow_reweigh(labels, similarity, event_ratio, noise_ratio):
    result = labels.clone()
    for number in range(labels.shape[2]):
        value, own = similarity[..., number], labels[..., number] > 0
        if not own.any() or own.all() or value[~own].max() <= value[own].min():
            continue
        for place in itertools.product(*map(range, labels.shape[:2])):
            if own[place] and value[place] < value[~own].max():
                new = value[place] * event_ratio
            elif not own[place] and value[place] > value[own].min():
                new = value[place] * noise_ratio
            else:
                continue
            if 0 < new < 1:
                result[(*place, number)] = new
    return result


def test_lsld_softens_as_the_slow_form_does():
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(9, 4, 5, generator=generator) < 0.3).float()
    labels[..., 0], labels[..., 1] = 0, 1
    similarity = torch.randn(9, 4, 5, generator=generator) * 0.3 + labels * 0.3
    similarity[..., 4] += 2 * labels[..., 4] * 3
    found = lsld.reweigh(labels, similarity, 2.0, 0.7)
    torch.testing.assert_close(found, slow_reweigh(labels, similarity, 2.0, 0.7))
    assert torch.equal(found[..., :2], labels[..., :2])
    assert not torch.equal(found[..., 2:], labels[..., 2:])


def test_vaplan_flips_what_is_far_worse_than_usual():
    labels = torch.tensor([[1.0, 0.0]])
    segment = torch.tensor([1.0, 1, 1, 0]).view(1, 4, 1).repeat(1, 1, 2)
    probability = torch.tensor([0.9, 0.9, 0.9, 0.9]).view(1, 4, 1).repeat(1, 1, 2)
    wrong = vaplan.abnormal(probability, segment, labels, 3, 10)
    assert wrong[0, :, 0].tolist() == [False, False, False, True]
    assert not wrong[0, :, 1].any(), "a class that the video does not carry stays"
    assert vaplan.flip(segment, wrong)[0, :, 0].tolist() == [1, 1, 1, 1]
    assert torch.equal(vaplan.flip(vaplan.flip(segment, wrong), wrong), segment)
    perfect = vaplan.abnormal(segment, segment, torch.ones(1, 2), 5, 10)
    assert not perfect.any()


@pytest.mark.parametrize("name", ["valor", "lsld", "vaplan"])
def test_hard_labels_stay_within_those_of_the_video(simulated, name):
    split = load_split(simulated, "train")
    recipe = load_recipe(name, None, split.spec.overrides)
    found = recipe.build_denoiser(split.spec).segment_labels(split)
    assert found.shape == (120, 10, 2, 25)
    assert found.min() >= 0
    assert found.max() <= 1
    own = split.labels.bool()[:, None, None]
    assert not ((found > 0.5) & ~own).any()
    assert ((found > 0.5) & own).any(1).float().sum() > 0.3 * 2 * own.sum()


@pytest.mark.parametrize("name", ["valor", "lsld", "vaplan"])
def test_recipes_train_and_say_what_they_kept(simulated, name, tmp_path):
    data = load_data(simulated)
    settings = {"schedule.updates": 4, "schedule.batch_size": 32, "network.hidden": 12}
    recipe = load_recipe(name, settings, data.spec.overrides)
    run = train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))
    keep = keep_probabilities(run, load_split(simulated, "train"))
    labels = data.train.labels[:, None]
    assert keep.shape == (120, 2, 25)
    assert not (keep * (1 - labels)).any()
    assert 0.3 < (keep * labels).sum() / (2 * labels.sum()) <= 1


def test_a_run_that_judges_its_own_labels_alone_refuses_others(simulated, tmp_path):
    data = load_data(simulated)
    settings = {"schedule.updates": 1, "schedule.batch_size": 32, "network.hidden": 12}
    recipe = load_recipe("valor", settings, data.spec.overrides)
    run = train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))
    turned = load_split(simulated, "train").subset(torch.arange(119, -1, -1))
    with pytest.raises(RlldError, match="only the labels of its training, and these train labels"):
        keep_probabilities(run, turned)


def test_a_data_set_without_scores_says_what_to_do(tiny_data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder, ignore=shutil.ignore_patterns("scores"))
    data = load_data(folder)
    recipe = load_recipe("valor", None, data.spec.overrides)
    with pytest.raises(RlldError, match="no scores 'classes' of its train videos"):
        train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))


def test_corrected_labels_survive_an_interruption(simulated):
    split = load_split(simulated, "train")
    source = vaplan.Config().build(split.spec)
    assert source.state_dict() == {}
    fitted = []

    class Stub(torch.nn.Module):
        def forward(self, streams, mask):
            shape = (len(streams["audio"]), 10, 2, 25)
            return Prediction(torch.full(shape, 0.9), *[torch.zeros(shape[0], 25)] * 3)

    def fit(labels, share):
        fitted.append(labels.segment)
        return Stub()

    context = Context(split, split, 0, torch.device("cpu"), fit)
    source.prepare(context)
    first = source.revise(split.all(), None)
    source.revise(split.all(), None)
    assert len(fitted) == 1
    # Where a class has some positive segment among the best five, its zeros are far worse.
    assert torch.equal(first.segment[:, :, 0], fitted[0][:, :, 0])
    assert (first.segment[:, :, 1] >= fitted[0][:, :, 1]).all()
    assert (first.segment[:, :, 1] > fitted[0][:, :, 1]).any()
    again = vaplan.Config().build(split.spec)
    again.prepare(context)
    again.load_state_dict(source.state_dict())
    assert torch.equal(again.revise(split.all(), None).segment, first.segment)
    assert len(fitted) == 1
