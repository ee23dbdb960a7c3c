"""Any recipe with a learner on top of it."""

from __future__ import annotations

import pytest

from rlld.errors import RlldError
from rlld.recipes.composition import composed, composition
from rlld.recipes.recipe import load_recipe, recipe_names

DATA = {
    "network.hidden": 16,
    "denoiser.hidden": 16,
    "denoiser.audio_thresholds": [0.0],
    "schedule.updates": 9,
}


@pytest.mark.parametrize("learner", ["rlld-labelwise", "rlld"])
@pytest.mark.parametrize("name", recipe_names())
def test_settings_and_recipe_say_the_same(name, learner):
    """So that the command of a row of a table trains what the row says."""
    recipe = load_recipe(name, None, DATA)
    by_command = load_recipe(name, composition(load_recipe(name), learner), DATA)
    assert composed(recipe, learner, DATA).as_dict() == by_command.as_dict()
    assert by_command.denoiser.config.credit == load_recipe(learner).denoiser.config.credit


def test_what_is_put_on_top_of_what():
    settings = composition(load_recipe("ma"))
    assert settings["denoiser.source"] == "ma"
    assert settings["denoiser.credit"] == "labelwise"
    # MA keeps the last weights: all validation videos may teach.
    assert "selection.reward_share" not in settings
    assert composition(load_recipe("valor"))["selection.reward_share"] == 0.667
    # The bare tags are no claim, and one policy replaces another.
    assert "denoiser.source" not in composition(load_recipe("han"))
    assert "denoiser.source" not in composition(load_recipe("rlld"))


@pytest.mark.parametrize(
    ("recipe", "further"),
    [
        ("weak", {}),
        ("valor", {}),
        ("rlld-best", {"objective.contrastive.weight": 0, "objective.mutual.weight": 0}),
    ],
)
def test_an_objective_whose_terms_all_count_nothing_is_refused(recipe, further):
    none = {f"objective.{name}_weight": 0 for name in ("audio", "visual", "video")}
    with pytest.raises(RlldError, match="are all 0, so that nothing would be learnt; give one"):
        load_recipe(recipe, {**none, **further})
    load_recipe(recipe, {**none, **further, "objective.audio_weight": 0.1})
