"""Several networks trained side by side and averaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import rlld
from networks_kit import PARTS, network_of, padded
from resume_kit import require_resumable
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.networks._ensemble import Ensemble, members_of
from rlld.recipes.fitting import ENSEMBLE, SEVERAL, Sizes
from rlld.recipes.recipe import load_recipe
from rlld.training.loop import train_seeds
from rlld.training.run_folder import load_run
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

CPU = Compute(device="cpu", threads=1)
TWO = {"schedule.ensemble": 2, "schedule.rounds": 2}
NO_DROPOUT = {"network.visual_dropout": 0.0, "network.attention_dropout": 0.0}
OF_CMPAE = {"network": "cmpae", "objective": "cmpae"}


def trainer(folder: Path, recipe: str, **settings: object) -> Trainer:
    data = load_data(folder)
    loaded = load_recipe(recipe, {**TWO, **settings}, data.spec.overrides)
    return Trainer(loaded, data.train, data.validation, 7, CPU)


def finished(found: Trainer) -> Trainer:
    list(found.steps())
    return found


@pytest.mark.parametrize("settings", [{}, OF_CMPAE, {"schedule.optimizer": "adamw"}])
@pytest.mark.parametrize("recipe", ["weak", "supervised"])
def test_each_network_learns_what_it_would_learn_alone(tiny_data, recipe, settings, monkeypatch):
    monkeypatch.setattr("rlld.networks.cmpae.BRIDGE_DROPOUT", 0.0)
    together = trainer(tiny_data, recipe, **NO_DROPOUT, **settings)
    starts = [dict(network.state_dict()) for network in members_of(together.network)]
    starts = [{name: value.clone() for name, value in start.items()} for start in starts]
    finished(together)
    for member, start in zip(members_of(together.network), starts, strict=True):
        alone = trainer(tiny_data, recipe, **NO_DROPOUT, **settings, **{"schedule.ensemble": 1})
        alone.network.load_state_dict(start)
        finished(alone)
        for name, value in alone.network.state_dict().items():
            torch.testing.assert_close(member.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    first, second = (next(network.parameters()) for network in members_of(together.network))
    assert not torch.allclose(first, second)


def test_what_they_say_is_averaged():
    one, other = network_of("han", {}), network_of("han", {})
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    both = Ensemble([one, other]).eval()
    streams, mask = padded()
    for way in ("forward", "unimodal"):
        alone = [getattr(network.eval(), way)(streams, mask) for network in (one, other)]
        found = getattr(both, way)(streams, mask)
        for part in PARTS:
            first, second = (getattr(each, part) for each in alone)
            assert not torch.allclose(first, second)
            torch.testing.assert_close(getattr(found, part), (first + second) / 2)
        assert torch.equal(found.mask, mask)


@pytest.mark.parametrize("recipe", ["jomold", "rlld", "rlld-labelwise", "dhhn", "han+coteaching"])
def test_every_kind_of_recipe_trains_several(tiny_data, recipe):
    found = finished(trainer(tiny_data, recipe))
    first, second = members_of(found.network)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)
    found.restore_best()
    assert all(value.isfinite().all() for value in found.network.parameters())


def test_the_networks_that_judge_labels_stay_single(tiny_data):
    single = trainer(tiny_data, "rlld-labelwise", **{"schedule.ensemble": 1})
    several = trainer(tiny_data, "rlld-labelwise")
    parts = (found.denoiser.networks()["labelwise"] for found in (single, several))
    names = [list(part.state_dict()) for part in parts]
    assert names[0] == names[1]


def test_parts_that_are_kept_by_themselves_are_parts_of_each(tiny_data):
    found = finished(trainer(tiny_data, "nrep"))
    weights = found.parts.weights()
    assert {name.split(".")[1] for name in weights} == {"0", "1"}
    assert {name.split(".")[2] for name in weights} == {"audio_net", "video_net"}


def test_a_run_comes_back_and_says_the_same(tiny_data, tmp_path):
    settings = {**TWO, "network.hidden": 16}
    run = rlld.train("rlld-best", tiny_data, tmp_path / "run", compute=CPU, overrides=settings)
    again = load_run(run.path)
    assert len(members_of(again.network)) == 2
    videos = load_data(tiny_data).test
    first, second = (each.predict(videos.streams).segment for each in (run, again))
    assert torch.equal(first, second)


def test_a_training_that_was_stopped_goes_on(tiny_data, tmp_path):
    require_resumable(lambda: trainer(tiny_data, "supervised"), tmp_path, [1, 4])


def test_networks_that_are_too_large_together_are_refused(tiny_data):
    settings = {"schedule.ensemble": 100, "network.hidden": 2048}
    recipe = load_recipe("han", settings)
    recipe.build_network(load_data(tiny_data).spec)
    with pytest.raises(
        RlldError, match=r"schedule\.ensemble 100 of network han: has .* parameters"
    ):
        recipe.build_parser(load_data(tiny_data).spec)


def test_seeds_at_once_are_refused(tiny_data, tmp_path):
    data = load_data(tiny_data)
    recipe = load_recipe("han", TWO, data.spec.overrides)
    with pytest.raises(RlldError, match=r"cannot be trained at once with .*schedule\.ensemble"):
        train_seeds(recipe, data, tmp_path / "runs", [0, 1], compute=CPU)


@pytest.mark.parametrize(("videos", "count"), [(280, ENSEMBLE), (SEVERAL, 1), (10_000, 1)])
@pytest.mark.parametrize("annotated", [0, 40])
def test_few_videos_ask_for_several_in_the_recommended_recipe(videos, count, annotated):
    sizes = Sizes(videos, annotated)
    assert load_recipe("rlld-best", {}, {}, sizes).schedule.ensemble == count
    assert load_recipe("rlld-labelwise", {}, {}, sizes).schedule.ensemble == 1
