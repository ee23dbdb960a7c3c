"""Numbers that make no sense are refused where they enter: settings, features, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rlld
from parse_kit import make_run
from rlld.errors import RlldError
from rlld.export import json_events
from rlld.features import extractor_configs
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.training.run_folder import load_run

ANY_SIGN = {
    ("denoiser", "empty_reward"): "a reward, which may be a punishment",
    ("denoiser", "initial_bias"): "a logit",
}
"""Numeric options that may be negative, and why."""


def numeric_options() -> dict[tuple[str, ...], tuple[str, float]]:
    """Returns an example of every numeric option: a recipe that has it, and its value there."""
    found: dict[tuple[str, ...], tuple[str, float]] = {}

    def walk(recipe: str, value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(recipe, item, (*path, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(path, (recipe, value))

    for recipe in recipe_names():
        walk(recipe, load_recipe(recipe).as_dict(), ())
    return found


OPTIONS = numeric_options()


@pytest.mark.parametrize("path", [path for path in OPTIONS if path not in ANY_SIGN], ids=".".join)
def test_an_option_has_a_range(path):
    recipe, value = OPTIONS[path]
    for absurd in (-(10**9), "nan", ".inf"):
        given = absurd if isinstance(value, int) or isinstance(absurd, str) else float(absurd)
        with pytest.raises(RlldError):
            load_recipe(recipe, {".".join(path): given})


@pytest.mark.parametrize(
    ("recipe", "option"),
    [("han", "network.layers"), ("valor", "network.heads"), ("mgn", "network.heads")],
)
def test_nothing_is_made_of_more_parts_than_a_moment_builds(recipe, option):
    with pytest.raises(RlldError, match=rf"{option.split('.')[1]}: expected 1 to 100, found 101"):
        load_recipe(recipe, {option: 101})


def test_options_without_a_sign_are_still_there():
    assert set(ANY_SIGN) <= set(OPTIONS)


def test_features_far_from_those_of_the_training_are_refused(tmp_path):
    run = load_run(make_run(tmp_path / "run"))
    streams = {
        name: np.full((10, stream.dim), 1e38, np.float32)
        for name, stream in run.spec.streams.items()
    }
    with pytest.raises(RlldError, match=r"features: the features give probabilities that are no"):
        rlld.parse(run, streams)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, '{"a": NaN}', '{"a": 1e999}'])
def test_json_that_no_writer_makes_is_refused(text):
    with pytest.raises(RlldError, match=r"p.json: not valid JSON"):
        json_events.loads(text, "p.json")


def test_nesting_without_end_in_a_run_folder_is_refused(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(RlldError, match=r"config\.json"):
        load_run(folder)


@pytest.mark.parametrize("value", ["9" * 5000, "!!int x", "[1", "2001-99-99x[", "-5", "0", ".inf"])
def test_settings_of_extractors_that_cannot_be_read(value):
    with pytest.raises(RlldError) as caught:
        extractor_configs(f"light(rate={value})")
    assert len(str(caught.value)) < 1000


def test_json_written_before_is_read(tmp_path):
    folder = make_run(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    assert load_run(folder).recipe.name == config["recipe"]["name"]
