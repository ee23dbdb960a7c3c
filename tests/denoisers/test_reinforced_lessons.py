"""Annotated videos that teach the networks that judge labels: which of them teach, which judge."""

from __future__ import annotations

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.denoisers.reinforced.labelwise import denoiser, evidence, start
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

LESSONS = {
    "fit": False,
    "schedule.rounds": 3,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.steps": 12,
    "supervision.weight": 1,
    "selection.reward_share": 1,
    "selection.score": "last",
}


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch):
    for module in (evidence, start):
        monkeypatch.setattr(module, "LEAST", 20)


def trainer(folder, **more) -> Trainer:
    data = load_data(folder)
    recipe = load_recipe("rlld-labelwise", {**LESSONS, **more}, data.spec.overrides)
    return Trainer(recipe, data.train, data.validation, 0, Compute(device="cpu", threads=1))


def fitted(run: Trainer) -> tuple[list[dict], list[torch.nn.Module]]:
    """Lets a run clean its labels; returns what it asked of each network for it, and those."""
    fit, asked, networks = run.fit, [], []

    def watched(labels, **options):
        asked.append(options)
        networks.append(fit(labels, **options))
        return networks[-1]

    object.__setattr__(run.denoiser._context, "fit", watched)
    next(run.steps())
    return asked, networks


def test_annotated_videos_teach_the_networks_that_judge_all_but_them(tiny_data):
    """Each network learns from all but one fold of them, which it then judges, in both rounds."""
    run = trainer(tiny_data)
    asked, networks = fitted(run)
    split = run.reward.split
    assert [options["teachers"].ids for options in asked] == [split.ids[1::2], split.ids[::2]] * 2
    batch = split.all()
    with torch.no_grad():
        said = [network.unimodal(batch.streams) for network in networks[2:]]
    found = run.denoiser.networks()["labelwise"].states.crossed(split).sigmoid()
    for fold, prediction in enumerate(said):
        own = torch.stack([prediction.audio, prediction.visual], 1)[fold::2]
        torch.testing.assert_close(found[fold::2], own.clamp(1e-3, 1 - 1e-3))


def test_policies_learn_from_what_networks_say_of_videos_that_did_not_teach_them(
    tiny_data, monkeypatch
):
    run = trainer(tiny_data)
    taught, teach = [], denoiser.teach_offsets

    def watched(judge, examples, ridge):
        taught.append(examples.states)
        teach(judge, examples, ridge)

    monkeypatch.setattr(denoiser, "teach_offsets", watched)
    next(run.steps())
    crossed = run.denoiser.networks()["labelwise"].states.crossed(run.reward.split)
    assert torch.equal(taught[-1], crossed)


@pytest.mark.parametrize(
    "more",
    [{"supervision.weight": 0}, {"denoiser.labelwise.folds": 1}, {"selection.annotated": 19}],
)
def test_networks_that_judge_learn_from_tags_alone(tiny_data, more):
    """Where no annotated video teaches at all, none would be left to judge, or there are few."""
    asked, _ = fitted(trainer(tiny_data, **more))
    assert [options["teachers"] for options in asked] == [None] * len(asked)
