"""Settings that follow from the data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cli_kit import called
from rlld.data.dataset import load_data
from rlld.data.lengths import LARGE, enough
from rlld.errors import RlldError
from rlld.recipes.fitting import FEW_ANNOTATED, Sizes, decide, longer
from rlld.recipes.recipe import load_recipe, recipe_file, recipe_names
from rlld.recipes.schedule import Schedule
from rlld.training.fitted import fitted_recipe, sizes_of

LLP = Sizes(videos=10_000, annotated=649)
SMALL = Sizes(videos=280, annotated=40)
FITTED = [n for n in recipe_names() if yaml.safe_load(recipe_file(n).read_text()).get("fit")]


def test_the_recommended_recipe_and_what_it_is_compared_with_are_fitted():
    assert {"rlld-labelwise", "weak", "true-labels", "supervised"} <= set(FITTED)
    assert {"han", "jomold", "rlld", "cmpae"}.isdisjoint(FITTED)


@pytest.mark.parametrize("name", FITTED)
def test_data_of_llps_size_leave_a_recipe_as_its_file_says(name):
    assert load_recipe(name, {}, {}, LLP) == load_recipe(name)


def test_280_clips():
    recipe = load_recipe("rlld-labelwise", {}, {}, SMALL)
    assert recipe.schedule.total_updates(280) == 600
    assert (recipe.network.config.hidden, recipe.denoiser.config.hidden) == (256, 256)
    assert (recipe.schedule.batch_size, recipe.schedule.decay) == (16, "cosine")
    # Forty annotated videos teach, all of them, and nothing is selected by them.
    assert (recipe.selection.score, recipe.selection.reward_share) == ("last", 1.0)
    assert recipe.supervision.weight == 1.0


def test_bare_tags_stay_bare():
    weak = load_recipe("weak", {}, {}, SMALL)
    assert weak.supervision.weight == 0
    assert weak.selection.score == "last"


def test_no_annotation_decides_nothing_of_annotation():
    recipe = load_recipe("rlld-labelwise", {}, {}, replace(SMALL, annotated=0))
    assert recipe.selection == load_recipe("rlld-labelwise").selection
    assert recipe.supervision.weight == 0


def test_what_is_given_wins():
    sizes = Sizes(280, 40)
    recipe = load_recipe(
        "weak", {"schedule.batch_size": 7}, {"network.hidden": 9, "schedule.batch_size": 8}, sizes
    )
    assert (recipe.schedule.batch_size, recipe.network.config.hidden) == (7, 9)
    assert recipe.schedule.updates == enough(sizes.videos)


def test_fit_can_be_asked_for_and_refused():
    assert load_recipe("han", {"fit": "true"}, {}, SMALL).schedule.updates == 600
    assert load_recipe("weak", {"fit": "false"}, {}, SMALL) == load_recipe("weak")
    with pytest.raises(RlldError, match="recipe weak: fit: expected true or false, found text"):
        load_recipe("weak", {"fit": "perhaps"}, {}, SMALL)


@given(st.integers(1, LARGE - 1), st.integers(1, LARGE - 1), st.integers(0, 3 * FEW_ANNOTATED))
def test_more_videos_never_take_fewer_updates_or_smaller_batches(one, other, annotated):
    low, high = sorted((one, other))
    fewer, more = (
        replace(Schedule(), **_schedule(Sizes(videos, annotated))) for videos in (low, high)
    )
    assert fewer.total_updates(low) <= more.total_updates(high)
    assert fewer.batch_size <= more.batch_size
    # Every video is seen some times, however many there are.
    assert more.total_updates(high) * more.batch_size >= 10 * high


def _schedule(sizes):
    paths = {k: v for each in decide(sizes) for k, v in each.settings.items()}
    return {k.removeprefix("schedule."): v for k, v in paths.items() if k.startswith("schedule.")}


def test_longer_is_twice_as_long_and_never_less_than_enough():
    assert [longer(updates, 300) for updates in (75, 640, None)] == [600, 1280, 600]
    assert longer(None, None) == longer(75, None) == 600
    assert longer(30, 48) == enough(48) == 350
    assert longer(30, 10_000) == enough(10_000)


def test_every_decision_says_why():
    for decision in decide(SMALL, teaches=True):
        assert decision.settings
        assert decision.because


def test_train_tells_what_was_decided_and_records_it(tiny_data, tmp_path):
    out = tmp_path / "run"
    words = ("weak", "--data", str(tiny_data), "--out", str(out), "--schedule.updates", "3")
    said = called("train", *words).stderr
    assert "schedule.decay cosine: " in said
    assert "schedule.updates 3," not in said
    assert "3 updates are few" in said
    recipe = json.loads((out / "config.json").read_text())["recipe"]
    assert recipe["schedule"]["updates"] == 3
    assert recipe["schedule"]["decay"] == "cosine"
    assert "fit" not in recipe


def test_a_published_schedule_that_is_too_short_is_told(tiny_data):
    data = load_data(tiny_data)
    needed = enough(sizes_of(data).videos)
    _, lines = fitted_recipe("han", data, {"schedule.updates": 3, "network.hidden": 8})
    assert lines == [
        f"3 updates are few for {len(data.train)} videos: about {needed} are needed before a "
        f"network has learned; add --schedule.updates {needed}, or --fit true, which lets the "
        "data decide width and batches too"
    ]
    assert fitted_recipe("han", data, {"schedule.updates": needed, "network.hidden": 8})[1] == []


def test_a_length_in_rounds_that_does_not_count_is_told(tiny_data):
    data = load_data(tiny_data)
    data.spec = replace(data.spec, overrides={"schedule.updates": 400})
    recipe, lines = fitted_recipe("han", data, {"schedule.rounds": 3})
    assert recipe.schedule.updates == 400
    assert lines == [
        "schedule.rounds 3 changes nothing: the recipe or dataset.yaml gives schedule.updates 400, "
        "which is the length; add --schedule.updates null"
    ]
    told = {"schedule.rounds": 300, "schedule.updates": "null"}
    recipe, lines = fitted_recipe("han", data, told)
    assert (recipe.schedule.updates, recipe.schedule.rounds, lines) == (None, 300, [])


@pytest.mark.parametrize("where", ["given", "dataset"])
def test_a_length_in_rounds_is_a_length(where):
    rounds = {"schedule.rounds": 2}
    given, defaults = (rounds, {}) if where == "given" else ({}, rounds)
    schedule = load_recipe("weak", given, defaults, SMALL).schedule
    assert (schedule.updates, schedule.total_updates(280)) == (None, 2 * 18)


def test_who_selects_otherwise_does_not_select_by_videos_that_taught():
    recipe = load_recipe("rlld-labelwise", {"selection.score": "mean"}, {}, SMALL)
    assert (recipe.selection.score, recipe.selection.reward_share) == ("mean", 0.667)
    assert recipe.supervision.weight == 0
    assert recipe.schedule.updates == 600


def test_annotated_videos_teach_in_pairs_where_they_teach_the_network_of_few_videos():
    def taught(name: str, videos: int, annotated: int) -> tuple[float, float]:
        supervision = load_recipe(name, {}, {}, Sizes(videos, annotated)).supervision
        return supervision.weight, supervision.mixing

    assert taught("rlld-best", 280, 40) == (1, 1)
    assert taught("rlld-best", 500, 40) == (1, 0)
    assert taught("rlld-best", 280, 100) == (1, 0)
    assert taught("rlld-best", 280, 0) == (0, 0)
    assert taught("rlld-best", 10_000, 649) == (1, 0)
    assert taught("rlld-labelwise", 280, 40) == (1, 0)
    assert taught("weak", 280, 40) == (0, 0)


def test_in_a_step_few_annotated_videos_teach():
    def lesson(name: str, videos: int, annotated: int) -> int:
        return load_recipe(name, {}, {}, Sizes(videos, annotated)).supervision.batch_size

    assert lesson("rlld-best", 280, 40) == 16
    assert lesson("rlld-best", 1000, 649) == 32
    assert lesson("rlld-best", 3000, 649) == 32
    assert lesson("rlld-best", 10_000, 649) == 32
    assert lesson("weak", 280, 40) == lesson("rlld-labelwise", 280, 40) == 128
