"""A pair of network and objective that cannot work is refused as soon as the recipe is composed."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.data.spec import FILE_NAME, DataSpec
from rlld.errors import RlldError
from rlld.recipes.recipe import Recipe, load_recipe, recipe_from, recipe_names
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.registry import NETWORKS, OBJECTIVES

VIDEOS = 3
NETWORK_OPTIONS = [
    *((name, {}) for name in NETWORKS.names()),
    ("ave", {"form": "localisation"}),
    ("avsdn", {"form": "localisation"}),
    ("dhhn", {"guides": "none"}),
    ("peers", {"base": "ave", "predicts": "second"}),
    ("peers", {"base": "mgn"}),
    ("peers", {"predicts": "average"}),
]
OBJECTIVE_OPTIONS = [
    *((name, {}) for name in OBJECTIVES.names()),
    *(("mil", {"contrastive": {"weight": 1, "flavour": name}}) for name in ("jomold", "ma")),
    ("poibin", {"contrastive": {"weight": 1}}),
    ("cpsp", {"contrastive": {"weight": 0}}),
    ("leap", {"similarity_weight": 0}),
    ("cpsp", {"contrastive": {"weight": 0}, "video_contrast": {"weight": 0}}),
    ("cmpae", {"mutual": {"weight": 0}}),
    ("cmpae", {"contrastive": {"weight": 0}}),
    ("coleaf", {"contrastive": {"weight": 0}, "audio_contrast": 0}),
    ("coleaf", {"contrastive": {"weight": 0}, "audio_contrast": 0, "visual_contrast": 0}),
    ("mgn", {"mil": {"contrastive": {"weight": 1, "flavour": "ma"}}}),
    ("cvcms", {"audio_original": True, "visual_original": True}),
    ("cvcms", {"contrastive_weight": 0}),
]


def plain(network: tuple[str, dict], objective: tuple[str, dict]) -> dict:
    """A recipe as plain data, its pair not looked at."""
    width = {"options": {"hidden": 16}} if network[0] == "peers" else {"hidden": 16}
    parts = {"network": network, "objective": objective}
    named = {section: {"name": name, **options} for section, (name, options) in parts.items()}
    return han().as_dict() | {**named, "network": named["network"] | width}


@functools.cache
def han() -> Recipe:
    return load_recipe("han")


@functools.cache
def spec_of(folder) -> DataSpec:
    return load_data(folder).spec


@functools.cache
def batch_of(folder) -> Batch:
    return load_data(folder).train.batch(torch.arange(VIDEOS))


@functools.cache
def prediction_of(folder, number: int) -> Prediction:
    """What a network says in training, when somebody learns from it."""
    torch.manual_seed(0)
    data = plain(NETWORK_OPTIONS[number], ("segment", {}))
    network = recipe_from(data, "test").build_network(spec_of(folder))
    return network.train()(batch_of(folder).streams)


def works(recipe: Recipe, folder, prediction: Prediction) -> bool:
    """Whether the objective finds all that it looks up, at the first step."""
    batch, spec = batch_of(folder), spec_of(folder)
    target = torch.zeros(VIDEOS, spec.segments, 2, len(spec.classes))
    labels = ModalityLabels(batch.labels, batch.labels, batch.labels, target)
    objective = recipe.build_objective(spec)
    objective.prepare(48)
    objective.start_round(2)
    try:
        return bool(objective(prediction, labels, batch)["loss"].isfinite())
    except KeyError:
        return False


def composes(data: dict) -> bool:
    """Whether composing a recipe of it is not refused."""
    settings = {section: data[section] for section in ("network", "objective")}
    try:
        han().varied(settings)
    except RlldError as error:
        assert "needs" in str(error)
        return False
    return True


@pytest.mark.parametrize("number", range(len(NETWORK_OPTIONS)))
def test_what_is_refused_is_what_would_fail_at_the_first_step(number, tiny_data):
    for objective in OBJECTIVE_OPTIONS:
        data = plain(NETWORK_OPTIONS[number], objective)
        recipe = recipe_from(data, "test")
        expected = works(recipe, tiny_data, prediction_of(tiny_data, number))
        assert composes(data) == expected, (NETWORK_OPTIONS[number], objective)


@pytest.mark.parametrize("objective", OBJECTIVE_OPTIONS, ids=str)
def test_an_objective_needs_each_of_what_it_says(objective, tiny_data):
    giver = {each: each for each in ("mgn", "cmpae", "cvcms", "nrep", "mm_cse", "prefm")}
    giver |= {"coleaf": "cmpae", "coteaching": "peers", "jocor": "peers"}
    name = giver.get(objective[0], "han")
    number = NETWORK_OPTIONS.index((name, {}))
    full = prediction_of(tiny_data, number)
    recipe = recipe_from(plain((name, {}), objective), "test")
    needs = getattr(recipe.objective.config, "needs", frozenset())
    alone = replace(full, extras={key: full.extras[key] for key in needs})
    assert works(recipe, tiny_data, alone)
    for key in needs:
        less = {other: value for other, value in alone.extras.items() if other != key}
        assert not works(recipe, tiny_data, replace(full, extras=less)), key


def test_every_packaged_recipe_composes():
    for name in recipe_names():
        load_recipe(name)


def test_the_refusal_names_objective_key_and_networks_before_data_are_read(tiny_data, tmp_path):
    (tmp_path / FILE_NAME).write_text((tiny_data / FILE_NAME).read_text())
    with pytest.raises(RlldError) as refusal:
        rlld.train("cpsp", tmp_path, tmp_path / "run", overrides={"network": "ave"})
    assert str(refusal.value) == (
        "recipe cpsp: objective cpsp needs 'visual_before', which network ave does not give; "
        "choose a network that does (cmpae, cpsp, cvcms, dhhn, han, hcmn, leap, lsld, mgn, "
        "mm_pyramid, uwav, valor), or an objective or weights that do without"
    )
    assert not (tmp_path / "run").exists()


def test_components_that_say_nothing_need_and_give_nothing(monkeypatch):
    """Those of other distributions need no base class."""

    def silent(kind: type) -> type:
        return type("Config", (kind,), {"gives": property(), "needs": property()})

    data = plain(("han", {}), ("mil", {"contrastive": {"weight": 1}}))
    for registry in (NETWORKS, OBJECTIVES):
        known = registry.config_type

        def config_type(name, known=known):
            return silent(known(name)) if name in ("han", "mil") else known(name)

        with monkeypatch.context() as patch:
            patch.setattr(registry, "config_type", config_type)
            assert composes(data) == (registry is OBJECTIVES)
