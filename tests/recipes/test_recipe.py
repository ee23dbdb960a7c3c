"""Recipes: every packaged one is complete, overrides are strict."""

from __future__ import annotations

import re

import pytest

from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe, recipe_from, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_comes_back(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_from(recipe.as_dict(), "test") == recipe


@pytest.mark.parametrize("where", ["given", "dataset"])
def test_sections_say_what_dotted_settings_say(where):
    """A section changes what it names; it wiped out the rest, or was passed over."""
    sections = {"schedule": {"rounds": 2}, "network": {"hidden": 24}, "gate": {"smoothing": 0.1}}
    dotted = {"schedule.rounds": 2, "network.hidden": 24, "gate.smoothing": 0.1}
    one, other = (
        load_recipe("han", each, {}) if where == "given" else load_recipe("han", {}, each)
        for each in (sections, dotted)
    )
    assert one == other != load_recipe("han")


def test_a_section_can_be_given_as_text():
    assert load_recipe("han", {"schedule": "{rounds: 2}"}) == load_recipe(
        "han", {"schedule.rounds": 2}
    )
    weak = load_recipe("rlld", {"denoiser": {"name": "weak"}})
    assert weak.denoiser == load_recipe("rlld", {"denoiser": "weak"}).denoiser


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            {"nope.hidden": 1},
            "overrides of dataset.yaml: 'nope.hidden' is of no section of a recipe",
        ),
        ({"shedule.rounds": 1}, "no section of a recipe; did you mean 'schedule'?"),
        ({"network": "han"}, "network chooses a component, which no data set does"),
        ({"network": {"name": "han"}}, "network chooses a component, which no data set does"),
        ({"network.hiden": 1}, "no network has an option 'hiden'; did you mean 'hidden'?"),
        ({"denoiser": {"labelwize": 1}}, "no denoiser has an option 'labelwize'"),
        ({"schedule": {"round_": 1}}, "schedule has no setting 'round_'; did you mean 'round'?"),
    ],
)
def test_what_a_data_set_overrides_and_no_recipe_has_is_said_to_be_there(overrides, told):
    with pytest.raises(RlldError, match=re.escape(told)):
        load_recipe("han", {}, overrides)


@pytest.mark.parametrize("name", ["weak", "han"])
def test_options_beside_a_name_are_the_users_too(name):
    needed = {"network.hidden": 128, "denoiser.lr": 0.5}
    given = {
        "network": {"name": "han", "hidden": 33},
        "denoiser": "{name: reinforced, lr: 0.25, source: {name: jomold, audio_smoothing: 0.5}}",
    }
    recipe = load_recipe(name, given, needed)
    assert (recipe.network.name, recipe.network.config.hidden) == ("han", 33)
    assert recipe.denoiser.config.lr == 0.25
    assert recipe.denoiser.config.source == {"name": "jomold", "audio_smoothing": 0.5}
    with pytest.raises(RlldError, match="'hiden'"):
        load_recipe(name, {"network": {"name": "han", "hiden": 33}}, needed)


def test_overrides_reach_nested_settings():
    recipe = load_recipe("rlld", {"denoiser.inter.alpha1": "0.3", "schedule.rounds": "7"})
    assert recipe.denoiser.config.inter.alpha1 == 0.3
    assert recipe.schedule.rounds == 7


def test_a_denoiser_is_switched_by_one_setting():
    recipe = load_recipe("han", {"denoiser": "reinforced", "denoiser.lr": "1e-3"})
    assert recipe.denoiser.name == "reinforced"
    assert recipe.denoiser.config.lr == 1e-3
    assert recipe.network == load_recipe("han").network


def test_a_data_set_may_ask_for_what_only_some_components_have():
    defaults = {"network.hidden": 40, "denoiser.hidden": 24, "schedule.updates": 960}
    weak = load_recipe("han", {}, defaults)
    assert (weak.network.config.hidden, weak.schedule.updates) == (40, 960)
    reinforced = load_recipe("rlld", {"network.hidden": 8}, defaults)
    assert (reinforced.network.config.hidden, reinforced.denoiser.config.hidden) == (8, 24)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("hann", {}, "did you mean 'han'"),
        ("han", {"network.hiden": "3"}, "did you mean 'hidden'"),
        ("han", {"shedule.rounds": "3"}, "did you mean 'schedule'"),
        ("han", {"network": "hen"}, "unknown network 'hen'"),
        ("han", {"schedule.rounds": "many"}, "expected a whole number"),
        ("han", {"schedule.rounds.more": "1"}, "is a value, not a section"),
        ("han", {"gate.audio": "sometimes"}, "expected one of"),
    ],
)
def test_mistakes_are_named(name, overrides, message):
    with pytest.raises(RlldError, match=message):
        load_recipe(name, overrides)


def test_a_recipe_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "network: {name: han}\ndenoiser: {name: weak}\nobjective: {name: mil}\n"
        "schedule: {learning_rate: 1e-4}\n"
    )
    recipe = load_recipe(str(path))
    assert recipe.name == "mine"
    assert recipe.schedule.learning_rate == 1e-4


@pytest.mark.parametrize("hidden", [10**7, 10**12])
def test_networks_that_fit_nowhere_are_refused(hidden):
    recipe = load_recipe("han", {"network.hidden": str(hidden)})
    with pytest.raises(RlldError, match=r"network han: has .* parameters, expected at most"):
        recipe.build_network(LLP_SPEC)
