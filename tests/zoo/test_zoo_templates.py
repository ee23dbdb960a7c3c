"""The templates of docs/add-a-method.md work where the page says they go: copied, or installed."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path

import pytest
import torch

import rlld
from cli_kit import fresh
from rlld.bench.keys import source_fingerprint
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.objectives import mil
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import load_run
from rlld.training.trainer import Trainer
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute
from rlld.utils.registry import DENOISERS, NETWORKS, OBJECTIVES

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "docs" / "templates"
PAGE = ROOT / "docs" / "add-a-method.md"
RECIPE = TEMPLATES / "recipes" / "tagger.yaml"
KINDS = ("networks", "denoisers", "objectives")
COMPUTE = Compute(device="cpu", threads=1)
SHORT = {"schedule.rounds": 3}


def distribution(site: Path, name: str, points: dict[str, dict[str, str]]) -> None:
    """Writes what an installer leaves behind of a distribution, besides its modules."""
    folder = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    groups = (
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in entries.items())])
        for group, entries in points.items()
    )
    (folder / "entry_points.txt").write_text("\n\n".join(groups) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with the templates installed as a package of their own."""
    folder = tmp_path / "site"
    project = tomllib.loads((TEMPLATES / "pyproject.toml").read_text())["project"]
    distribution(folder, project["name"], project["entry-points"])
    package = folder / "rlld_tagger"
    package.mkdir()  # without __init__.py, for the page asks for none
    for kind in KINDS:
        for file in (TEMPLATES / kind).glob("*.py"):
            shutil.copy(file, package)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "rlld_tagger"]:
        del sys.modules[name]


def template(kind: str, name: str):
    """The module of a template, from its file."""
    spec = importlib.util.spec_from_file_location(
        f"template_{name}", TEMPLATES / kind / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def train_by_command(recipe: str, data: Path, out: Path, path: Path) -> None:
    arguments = ("--data", data, "--out", out, "--schedule.rounds", "1", "--device", "cpu")
    done = fresh("train", recipe, *arguments, path=path)
    assert done.returncode == 0, done.stderr
    assert (out / "model.safetensors").is_file()


def test_an_installed_package_adds_components(site: Path) -> None:
    assert "tagger" in NETWORKS.names()
    assert "doubt" in DENOISERS.names()
    config = OBJECTIVES.config({"name": "focal", "focus": 2}, "recipe")
    assert type(config).__module__ == "rlld_tagger.focal"
    with pytest.raises(RlldError, match="did you mean 'tagger'"):
        NETWORKS.config({"name": "taggr"}, "recipe")
    with pytest.raises(RlldError, match="unknown key 'focsu'; did you mean 'focus'"):
        OBJECTIVES.config({"name": "focal", "focsu": 2}, "recipe")


def test_its_project_names_the_folder_that_is_shipped() -> None:
    """Without its name the builder looks for an __init__.py, which the page does not ask for."""
    said = tomllib.loads((TEMPLATES / "pyproject.toml").read_text())
    named = {
        value.partition(".")[0]
        for group in said["project"]["entry-points"].values()
        for value in group.values()
    }
    assert set(said["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == named


def test_its_recipe_trains_resumes_and_is_scored(site: Path, tiny_data: Path, tmp_path: Path):
    options = {"compute": COMPUTE, "overrides": SHORT}
    run = rlld.train(str(RECIPE), tiny_data, tmp_path / "run", **options)
    data = load_data(tiny_data)
    first = Trainer(run.recipe, data.train, data.validation, 0, COMPUTE)
    steps = first.steps()
    for _ in range(4):
        next(steps)
    second = Trainer(run.recipe, data.train, data.validation, 0, COMPUTE)
    second.load_state_dict(first.state_dict())
    reports = [report for report in second.steps() if report is not None]
    assert "removed" in reports[-1]
    second.restore_best()
    for key, value in load_run(tmp_path / "run").network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[key]), key
    assert rlld.evaluate(tmp_path / "run").scores.mean > 0


def test_a_benchmark_trains_anew_when_its_sources_change(site: Path) -> None:
    before, plain = (source_fingerprint(load_recipe(name)) for name in (str(RECIPE), "weak"))
    with (site / "rlld_tagger" / "doubt.py").open("a") as file:
        file.write("# changed\n")
    assert source_fingerprint(load_recipe(str(RECIPE))) != before
    assert source_fingerprint(load_recipe("weak")) == plain != before


def test_its_network_can_be_built_for_its_sizes_alone(site: Path, tiny_data: Path) -> None:
    spec = load_data(tiny_data).spec
    recipe = load_recipe(str(RECIPE), {}, spec.overrides)
    with torch.device("meta"):
        sizes = recipe.network.config.build(spec).state_dict()
    assert all(value.is_meta for value in sizes.values())
    torch.manual_seed(0)
    once = recipe.network.config.build(spec).state_dict()
    torch.manual_seed(0)
    twice = recipe.build_network(spec).state_dict()  # which counts before it builds
    for name, value in once.items():
        assert value.shape == sizes[name].shape
        assert torch.equal(value, twice[name])
    large = load_recipe(str(RECIPE), {"network.hidden": 10_000_000}, {})
    with pytest.raises(
        RlldError, match=r"network tagger: has [0-9,]+ parameters, expected at most"
    ):
        large.build_network(spec)


def test_its_network_learns_under_reinforcement(site: Path, tiny_data: Path) -> None:
    data = load_data(tiny_data)
    settings = {"denoiser": "reinforced", "schedule.updates": 2}
    recipe = load_recipe(str(RECIPE), settings, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    assert [report for report in trainer.steps() if report is not None]
    for name, parameter in trainer.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_a_run_says_what_is_missing_without_the_package(
    site: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rlld.train(str(RECIPE), tiny_data, tmp_path / "run", compute=COMPUTE, overrides=SHORT)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(site)])
    with pytest.raises(RlldError, match="unknown network 'tagger'"):
        load_run(tmp_path / "run")


def test_the_command_line_finds_an_installed_package(
    site: Path, tiny_data: Path, tmp_path: Path
) -> None:
    train_by_command(str(RECIPE), tiny_data, tmp_path / "run", site)


def test_copied_into_the_sources_the_templates_are_components(
    tiny_data: Path, tmp_path: Path
) -> None:
    """Runs the copying command of the page on a copy of the sources."""
    shutil.copytree(
        ROOT / "src" / "rlld", tmp_path / "src" / "rlld", ignore=shutil.ignore_patterns("*.pyc")
    )
    shutil.copytree(TEMPLATES, tmp_path / "docs" / "templates")
    (command,) = re.findall(r"^cp .*$", PAGE.read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    train_by_command("tagger", tiny_data, tmp_path / "run", tmp_path / "src")


def test_distributions_are_opened_once_and_again_when_one_comes(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def noted(group: str) -> EntryPoints:
        read.append(group)
        return entry_points(group=group)

    monkeypatch.setattr("rlld.utils.registry.entry_points", noted)
    for _ in range(3):
        assert "tagger" in NETWORKS.names()
    assert read == ["rlld.networks"]
    distribution(site, "rlld-late", {"rlld.networks": {"late": "rlld_tagger.tagger:Config"}})
    assert "late" in NETWORKS.names()
    assert read == ["rlld.networks"] * 2


def test_foreign_packages_that_do_not_work_are_named(site: Path) -> None:
    points = {
        "lost": "rlld_nowhere:Config",
        "plain": "rlld_tagger.tagger:Tagger",
        "han": "rlld_tagger.tagger:Config",
    }
    distribution(site, "rlld-broken", {"rlld.networks": points})
    messages = {
        "lost": "'lost' of distribution 'rlld-broken' cannot be loaded.*ModuleNotFoundError",
        "plain": "'rlld-broken': rlld_tagger.tagger:Tagger is no dataclass",
        "han": "'han' exists more than once, distribution 'rlld-broken' brings another one",
    }
    assert set(messages) <= set(NETWORKS.names())
    for name, message in messages.items():
        with pytest.raises(RlldError, match=message):
            NETWORKS.config({"name": name}, "recipe")


def test_doubt_leaves_a_label_where_it_is_believed_more() -> None:
    doubt = template("denoisers", "doubt").Config(threshold=0.5).build(None)
    audio = torch.tensor([[0.9, 0.4, 0.2, 0.1]])
    visual = torch.tensor([[0.1, 0.6, 0.3, 0.9]])
    labels = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    found = Prediction(torch.zeros(1, 1, 2, 4), audio, visual, audio)
    revised = doubt.revise(Batch({}, labels, torch.arange(1)), found)
    assert revised.audio.tolist() == [[1, 0, 0, 0]]
    assert revised.visual.tolist() == [[0, 1, 1, 0]]
    assert revised.video.equal(labels)
    assert doubt.end_of_round()["removed"].item() == 3
    assert doubt.end_of_round()["removed"].item() == 0


def test_focal_without_focus_is_the_usual_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, 2, 5, generator=generator)
    found = Prediction(torch.zeros(2, 1, 2, 5), *values)
    labels = ModalityLabels(*(torch.rand(3, 2, 5, generator=generator) > 0.5).float())
    batch = Batch({}, labels.video, torch.arange(2))
    focal = template("objectives", "focal")
    usual = mil.Config().build(None)(found, labels, batch)
    for name, value in focal.Config(focus=0).build(None)(found, labels, batch).items():
        torch.testing.assert_close(value, usual[name])
    # One cell by hand: target 1, probability 1/2, so that half of log 2 is left.
    half = focal.focal(torch.full((1, 1), 0.5), torch.ones(1, 1), 1.0)
    assert half.item() == pytest.approx(0.5 * 0.693147, rel=1e-5)
