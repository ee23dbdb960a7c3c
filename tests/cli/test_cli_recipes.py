"""Recipes as people read them: listed, printed with docstrings, and in the help of training."""

from __future__ import annotations

import re

import pytest
import yaml

from rlld.errors import RlldError
from rlld.recipes.options import about, as_yaml, options, summary
from rlld.recipes.recipe import COMPONENTS, load_recipe, recipe_from, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_printed_recipe_is_read_back_as_the_same(tmp_path, name):
    recipe = load_recipe(name)
    file = tmp_path / f"{name}.yaml"
    file.write_text(as_yaml(recipe, about(name)), encoding="utf-8")
    assert load_recipe(file) == recipe
    assert about(str(file)) == about(name)
    # Nothing is left to defaults, which a later version may change.
    printed = yaml.safe_load(file.read_text(encoding="utf-8"))
    data = {key: value for key, value in recipe.as_dict().items() if key != "name"}
    assert printed.keys() == data.keys()
    require_within(data, printed)


def require_within(part, whole):
    """Every value of one tree stands in the other, which alone has young options."""
    if isinstance(part, dict):
        for key, value in part.items():
            require_within(value, whole[key])
    else:
        assert (list(part) if isinstance(part, tuple | list) else part) == whole


@pytest.mark.parametrize("name", recipe_names())
def test_every_option_of_a_recipe_says_what_it_does(name):
    found = list(options(load_recipe(name)))
    assert [option.path for option in found if not option.text] == []
    assert len({option.path for option in found}) == len(found)


def _components():
    for section, registry in COMPONENTS.items():
        yield from ((section, name) for name in registry.names() if name != "peers")


@pytest.mark.parametrize(("section", "name"), list(_components()))
def test_every_option_of_a_component_says_what_it_does(section, name):
    data = {**load_recipe("rlld").as_dict(), section: {"name": name}}
    recipe = recipe_from(data, "test")  # whether the parts fit each other is not asked
    assert all(option.text for option in options(recipe) if option.path.startswith(section))


def test_options_are_those_that_a_setting_reaches():
    recipe = load_recipe("rlld")
    for option in options(recipe):
        if option.kind and option.path not in COMPONENTS:
            assert load_recipe("rlld", {option.path: option.shown}) == recipe


def test_printed_options_stand_under_their_docstrings(run_cli):
    text = run_cli("recipes", "rlld").stdout
    assert text.startswith("# RLLD (Gao et al.) as the paper has it")
    assert "  # Learning rate of the policy (Adam; section 4.1).\n  lr: 0.0001\n" in text
    assert "  # The soft inter-reward.\n  inter:\n    # Weight of R1," in text
    assert max(map(len, text.splitlines())) <= 100


def test_recipes_are_listed_with_one_line_each(run_cli):
    rows = run_cli("recipes").stdout.splitlines()
    assert [row.split()[0] for row in rows] == recipe_names()
    assert rows[recipe_names().index("han")].split(maxsplit=1)[1] == (
        "HAN (Tian et al., ECCV 2020) as released: label smoothing on the visual track, global gate"
    )
    assert all(10 < len(summary(name)) <= 112 for name in recipe_names())


def test_a_file_is_a_recipe_too(tmp_path, run_cli, fails_with):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "network: {name: han, hidden: 24}\ndenoiser: {name: weak}\nobjective: {name: mil}\n"
    )
    text = run_cli("recipes", file).stdout
    assert summary(str(file)) == "network han, denoiser weak, objective mil"
    assert text.startswith("# The task network.\nnetwork:\n  name: han\n")
    assert recipe_from({"name": "mine", **yaml.safe_load(text)}, "test") == load_recipe(file)
    fails_with(run_cli("recipes", "rldl"), "did you mean 'rlld'")


def test_the_help_of_training_lists_the_options_of_the_recipe(run_cli):
    result = run_cli("train", "valor", "--help")
    assert result.returncode == 0
    own, _, text = result.stdout.partition("options of recipe valor")
    assert "--resume" in own
    shown = re.findall(r"^  --(\S+) (\S.*)$", text, re.MULTILINE)
    recipe = load_recipe("valor")
    own_options = [(each.path, each.kind) for each in options(recipe) if each.kind]
    assert shown == [("fit", "{true,false}"), *own_options]
    words = " ".join(text.split())
    assert "--schedule.betas [FLOAT, FLOAT] Decay of the optimizer's two running means" in words
    assert "(default: [0.5, 0.999])" in words
    assert "--gate.audio {" in words


def test_the_help_of_training_knows_other_components(run_cli, fails_with):
    for words in (("--denoiser", "constant"), ("--denoiser=constant",)):
        text = run_cli("train", "han", *words, "--resume", "-h").stdout
        assert "--denoiser.threshold FLOAT" in text
        assert "--denoiser.visual_smoothing" not in text
    result = run_cli("train", "hann", "--help")
    assert (result.returncode, result.stderr) == (
        2,
        "rlld: unknown recipe 'hann'; did you mean 'han'?\n",
    )


def test_options_that_few_need_are_left_to_the_long_help(run_cli):
    expert = ("--gemm", "--graphs", "--checkpoint-seconds")
    short, long = (run_cli("train", word).stdout for word in ("--help", "--help-all"))
    assert [flag for flag in expert if flag in short] == []
    assert "--help-all" in short
    assert [flag for flag in expert if flag in long] == list(expert)
    assert "Longest time between two states" in long
    for text in (short, long):
        assert "rlld train RECIPE --help" in text


def test_options_that_few_need_are_read(tiny_data, tmp_path, run_cli):
    words = ("train", "han", "--data", tiny_data, "--out", tmp_path / "run", "--print-config")
    result = run_cli(*words, "--checkpoint-seconds", "0.05", "--no-graphs", "--gemm", "onednn")
    assert result.returncode == 0, result.stderr


def test_options_of_recipes_that_few_need_are_left_to_the_long_help(run_cli):
    short, long = (run_cli("train", "rlld", word).stdout for word in ("--help", "--help-all"))
    expert = [each.path for each in options(load_recipe("rlld")) if each.expert]
    assert "denoiser.labelwise.judges" in expert
    assert [path for path in expert if f"--{path} " in short] == []
    assert [path for path in expert if f"--{path} " in long] == expert
    assert "--denoiser.labelwise.folds" in short
    recipe = load_recipe("rlld", {"denoiser.labelwise.noise": "0.2"})
    assert recipe.denoiser.config.labelwise.noise == 0.2
    with pytest.raises(RlldError, match=r"noise: expected 0 or more, found -1"):
        load_recipe("rlld", {"denoiser.labelwise.noise": "-1"})
