"""Cases for what reads text: annotations, data-set files, recipes, overrides, exports."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from campaign.mutations import mutated, places, reshaped, yaml_case
from campaign.samples import Samples, put, quiet
from campaign.target import target
from rlld.cli._verb import parse_overrides
from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.answers import read_answers
from rlld.data.dataset import load_data
from rlld.data.spec import read_spec, spec_text
from rlld.export import csv_events, json_events
from rlld.features import extractor_configs
from rlld.features.extractors._towers import read_config
from rlld.parsing.result import notebook_html
from rlld.parsing.text import dumps
from rlld.recipes.recipe import load_recipe
from rlld.report.page import render_page
from rlld.training.loop import train

RECIPES = ("han", "rlld", "rlld-labelwise", "jomold", "ma")
STRANGE = ("valor", "x", "", "../x", "a\x00b")
NUMBERS = (
    *("0", "1", "-1", "2", "3", "7", "0.5", "1e-9", "1e9", "-0.5", "100", "1000000", ".nan"),
    *(".inf", "null", "true", "[0.5]", "last"),
)
PATHS = (
    *("network", "network.name", "network.hidden.x", "denoiser", "denoiser.name", "objective"),
    *("schedule", "schedule.batch_size.x", "selection", "selection.parts", "gate", "gate.name"),
    *("supervision", "name", "x", "x.y", ".x", "network.", "network..a", "a.b.c.d"),
)
VALUES = (
    *("1", "0", "-1", "2", "1e-4", "nan", "inf", "-inf", ".nan", ".inf", "1e400", "true", "false"),
    *("null", "~", "han", "rlld", "x", "[]", "{}", "[1,2]", "{a:1}", "[1", "{a", '"', "'", "*a"),
    *("&a", "!!x", "!!int x", "!!python/name:os.system", "- a", "? a", "%", "@", "`", "|", ">"),
    *(": :", "2001-99-99", "2001-01-01", "9" * 23, "9" * 5000, "0x", "0b", "1:1:1", "mean", "last"),
    *("segment_type", "segment_type+", "+", "../../x", "a\x00b", "", " ", "\n", "[" * 2000),
    *("&a [*a]", "a: b: c", "\ud800", "{? [1] : 2}", "[/red]"),
)


@target(weight=3)
def weak(rng: random.Random, at: Path, samples: Samples) -> None:
    """Weak labels."""
    read_weak(put(at, "train.csv", mutated(rng, samples.weak, True)), samples.taxonomy)


@target(weight=3)
def dense(rng: random.Random, at: Path, samples: Samples) -> None:
    """Events, painted on segments."""
    path = put(at, "audio.csv", mutated(rng, samples.dense, True))
    rows = read_dense(path, samples.taxonomy, rng.choice((10.0, None)))
    known = [row._replace(label=samples.spec.classes[0]) for row in rows]
    rasterise(known, ["vid1_0_10"], samples.spec)


@target(weight=3)
def answers(rng: random.Random, at: Path, samples: Samples) -> None:
    """Bare answers."""
    read_answers(put(at, "answers.csv", mutated(rng, samples.answers, True)), samples.taxonomy)


@target(weight=4)
def spec(rng: random.Random, at: Path, samples: Samples) -> None:
    """A dataset.yaml, read and written again."""
    put(at, "dataset.yaml", yaml_case(rng, samples.spec_plain, samples.spec_bytes))
    spec_text(read_spec(at))


def hostile_data(rng: random.Random, at: Path, samples: Samples) -> Path:
    """Makes a data set with a damaged dataset.yaml."""
    folder = at / "D"
    shutil.copytree(samples.sim, folder)
    put(folder, "dataset.yaml", yaml_case(rng, samples.spec_plain, samples.spec_bytes))
    return folder


@target(weight=2)
def dataset(rng: random.Random, at: Path, samples: Samples) -> None:
    """A data set, all splits."""
    data = load_data(hostile_data(rng, at, samples), with_truth=True)
    for name in ("train", "validation", "test"):
        data.split(name)


@target(weight=1)
def train_on(rng: random.Random, at: Path, samples: Samples) -> None:
    """A step of training on a data set whose dataset.yaml is hostile."""
    data = load_data(hostile_data(rng, at, samples))
    settings = {"schedule.updates": 1, "network.hidden": 8}
    recipe = load_recipe(rng.choice(RECIPES[:3]), settings, data.spec.overrides)
    with quiet():
        train(recipe, data, at / "run")


@target(weight=2)
def recipe_file(rng: random.Random, at: Path, samples: Samples) -> None:
    """A recipe of one's own."""
    plain = load_recipe("rlld-labelwise").as_dict()
    path = put(at, "r.yaml", yaml_case(rng, plain, samples.recipe_bytes))
    load_recipe(str(path)).build_network(samples.spec)


def option_of(rng: random.Random, recipe: str) -> str:
    """Draws the dotted name of an option of a recipe."""
    names = [
        ".".join(path)
        for path in places(load_recipe(recipe).as_dict())
        if path and all(isinstance(key, str) for key in path)
    ]
    return rng.choice(sorted(names))


@target(weight=3)
def overrides(rng: random.Random, at: Path, samples: Samples) -> None:
    """Settings of the command line."""
    argv: list[str] = []
    for _ in range(rng.choice((1, 1, 2))):
        known = rng.random() < 0.8
        name = option_of(rng, rng.choice(RECIPES)) if known else rng.choice(PATHS)
        argv += [f"--{name}", rng.choice(VALUES)]
    if rng.random() < 0.1:
        argv.pop()
    recipe = rng.choice((*RECIPES, *STRANGE))
    made = load_recipe(recipe, parse_overrides(argv), samples.spec.overrides)
    json.dumps(made.as_dict())


@target(weight=1)
def train_override(rng: random.Random, at: Path, samples: Samples) -> None:
    """Two updates with an odd setting."""
    name = rng.choice(RECIPES)
    value = rng.choice(VALUES if rng.random() < 0.4 else NUMBERS)
    given = parse_overrides([f"--{option_of(rng, name)}", value])
    settings = {"schedule.updates": "2", "network.hidden": "8", **given}
    recipe = load_recipe(name, settings, samples.spec.overrides)
    with quiet():
        train(recipe, load_data(samples.sim), at / "run")


@target(weight=2)
def features_text(rng: random.Random, at: Path, samples: Samples) -> None:
    """Names of extractors with their settings."""
    good = b"vggish(pca=true),resnet152(weights=IMAGENET1K_V2),r2plus1d(batch=4)"
    extractor_configs(mutated(rng, good, True).decode("utf-8", "replace")[:3000])


@target(weight=1)
def features_config(rng: random.Random, at: Path, samples: Samples) -> None:
    """The config.json of weights."""
    read_config(put(at, "config.json", mutated(rng, json.dumps(samples.spec_plain).encode(), True)))


@target(weight=3)
def parse_json(rng: random.Random, at: Path, samples: Samples) -> None:
    """A parse as JSON, and everything that can be done with what was read."""
    if rng.random() < 0.75:
        text = json.dumps(reshaped(rng, samples.parse_json))
    else:
        damaged = mutated(rng, json.dumps(samples.parse_json).encode(), True)
        text = damaged.decode("utf-8", "replace")
    parse = json_events.loads(text, "parse.json")
    json_events.loads(json_events.dumps(parse), "again")
    csv_events.loads(csv_events.dumps(parse), "again")
    dumps(parse)
    render_page(parse)
    notebook_html(parse)


@target(weight=2)
def parse_csv(rng: random.Random, at: Path, samples: Samples) -> None:
    """A parse as tab-separated events."""
    text = mutated(rng, samples.parse_csv, True).decode("utf-8", "replace")
    csv_events.loads(text, "parse.csv")
