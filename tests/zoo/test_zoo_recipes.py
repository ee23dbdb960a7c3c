"""Whatever is registered or packaged works: a new method is covered without a test of its own."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.recipes.composition import composed
from rlld.recipes.recipe import Recipe, load_recipe, recipe_names
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute
from rlld.utils.registry import DENOISERS, EXTRACTORS, NETWORKS, OBJECTIVES

COMPUTE = Compute(device="cpu", threads=1)
SHORT = {"schedule.updates": 2}
QUICK = {
    "denoiser.labelwise.folds": 1,
    "denoiser.labelwise.judges": 1,
    "denoiser.labelwise.steps": 2,
}


def reinforced_names() -> list[str]:
    """One recipe for each pair of network and objective."""
    pairs = {}
    for name in recipe_names():
        recipe = load_recipe(name)
        pairs.setdefault(str((recipe.network, recipe.objective)), name)
    return list(pairs.values())


def resumed(recipe: Recipe, folder: Path, path: Path) -> Trainer:
    """A run of two steps that was stopped between them, through a file."""
    data = load_data(folder, with_truth=True)

    def fresh() -> Trainer:
        return Trainer(recipe, data.train, data.validation, 0, COMPUTE)

    first = fresh()
    next(first.steps())
    torch.save(first.state_dict(), path)
    second = fresh()
    second.load_state_dict(torch.load(path, weights_only=True))
    assert len(list(second.steps())) == 1
    second.restore_best()
    return second


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains_resumes_and_is_scored(name, tiny_data, tmp_path):
    run = rlld.train(name, tiny_data, tmp_path / "run", overrides=SHORT, compute=COMPUTE)
    again = resumed(run.recipe, tiny_data, tmp_path / "state.pt")
    weights = run.network.state_dict()
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, weights[key]), key
    scores = rlld.evaluate(tmp_path / "run").scores.as_dict()
    assert len(scores) == 10
    assert all(0 <= value <= 100 for value in scores.values())
    prediction = run.predict(load_data(tiny_data).test.batch(torch.arange(3)).streams)
    classes, segments = len(run.spec.classes), run.spec.segments
    assert prediction.segment.shape == (3, segments, 2, classes)
    for part in (prediction.segment, prediction.audio, prediction.visual, prediction.video):
        assert part.isfinite().all()
        assert part.min() >= 0
        assert part.max() <= 1


@pytest.mark.parametrize("name", reinforced_names())
def test_reinforcement_drives_every_network(name, tiny_data):
    """One setting switches any recipe to RLLD; the policy then learns from its rewards."""
    data = load_data(tiny_data)
    settings = {"denoiser": "reinforced", "denoiser.credit": "paper", **SHORT}
    recipe = load_recipe(name, settings, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    policies = trainer.denoiser.networks()
    before = {
        (name, key): value.clone()
        for name, policy in policies.items()
        for key, value in policy.state_dict().items()
    }
    reports = [report for report in trainer.steps() if report is not None]
    assert {"reward_audio", "reward_visual"} <= reports[-1].keys()
    moved = [
        (name, key)
        for name, policy in policies.items()
        for key, value in policy.state_dict().items()
        if not torch.equal(value, before[name, key])
    ]
    assert moved


@pytest.mark.parametrize("credit", ["paper", "labelwise"])
@pytest.mark.parametrize("source", sorted({*DENOISERS.names()} - {"reinforced"}))
def test_every_denoiser_takes_a_policy_on_top(source, credit, tiny_data, tmp_path):
    settings = {"denoiser.credit": credit, "denoiser.source": source, **SHORT, **QUICK}
    data = load_data(tiny_data)
    recipe = load_recipe("weak", {"denoiser": "reinforced", **settings}, data.spec.overrides)
    run = rlld.train(recipe, tiny_data, tmp_path / "run", compute=COMPUTE)
    again = resumed(recipe, tiny_data, tmp_path / "state.pt")
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, run.network.state_dict()[key]), key
    assert rlld.denoise(tmp_path / "run").suspects(1)


@pytest.mark.parametrize("name", reinforced_names())
def test_every_network_takes_a_policy_on_top_of_its_labels(name, tiny_data):
    data = load_data(tiny_data, with_truth=True)
    recipe = composed(load_recipe(name), "rlld-labelwise", data.spec.overrides)
    trainer = Trainer(recipe.varied({**SHORT, **QUICK}), data.train, data.validation, 0, COMPUTE)
    assert len(list(trainer.steps())) == 2
    assert trainer.denoiser.training_keep().shape == (len(data.train), 2, len(data.spec.classes))


@pytest.mark.parametrize("name", NETWORKS.names())
def test_published_layouts_belong_to_recipes_of_their_network(name):
    """Golden cases then convert checkpoints of every layout."""
    module = importlib.import_module(NETWORKS.config_type(name).__module__)
    for layout in getattr(module, "PUBLISHED", ()):
        recipe = load_recipe(layout.recipe, dict(layout.settings))
        assert recipe.network.name == name, layout.name


@pytest.mark.parametrize("registry", [NETWORKS, OBJECTIVES, DENOISERS, EXTRACTORS])
def test_a_registered_file_is_a_component(registry):
    """A helper that is not listed as one would be offered by name, and fail."""
    assert all(registry.config_type(name).__name__ == "Config" for name in registry.names())


def test_every_recipe_is_in_the_list_of_methods():
    page = Path(__file__).parents[2] / "docs" / "methods" / "README.md"
    text = page.read_text(encoding="utf-8")
    assert [name for name in recipe_names() if f"`{name}`" not in text] == []
    linked = set(re.findall(r"\]\(([a-z_-]+\.md)\)", text))
    assert linked == {path.name for path in page.parent.glob("*.md")} - {page.name}
