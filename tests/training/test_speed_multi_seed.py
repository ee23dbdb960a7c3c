"""Several seeds at once against the same seeds one after the other."""

from __future__ import annotations

import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.training.loop import train_seeds
from rlld.training.speed.cuda_graphs import WatchWaits
from rlld.training.speed.multi_seed import Lockstep
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

CPU = Compute(device="cpu", threads=1)
NO_DROPOUT = {"network.visual_dropout": 0.0, "network.attention_dropout": 0.0}
SEEDS = (3, 8)


def trainers(folder, recipe: str, **settings: object) -> list[Trainer]:
    data = load_data(folder)
    loaded = load_recipe(
        recipe, {"schedule.rounds": 2, **NO_DROPOUT, **settings}, data.spec.overrides
    )
    return [Trainer(loaded, data.train, data.validation, seed, CPU) for seed in SEEDS]


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("han", {"schedule.batch_size": 20}),
        ("supervised", {}),
        ("jomold", {}),
        ("rlld", {}),
        ("rlld-tuned", {"selection.reward_share": 0.5}),
    ],
)
def test_seeds_at_once_give_the_numbers_of_each_alone(tiny_data, recipe, settings):
    alone = trainers(tiny_data, recipe, **settings)
    expected = [[r for r in run.steps() if r is not None] for run in alone]
    together = trainers(tiny_data, recipe, **settings)
    rounds = [reports for reports in Lockstep(together).steps() if reports is not None]
    assert len(rounds) == 2
    for number in range(len(SEEDS)):
        for own, single in zip(rounds, expected[number], strict=True):
            assert own[number].keys() == single.keys()
            for name in ("loss", "gradient", "audio", "visual"):
                assert own[number][name] == pytest.approx(single[name], rel=1e-4), name
            assert own[number]["validation"] == pytest.approx(single["validation"], abs=0.01)
        weights = together[number].network.state_dict()
        for name, value in alone[number].network.state_dict().items():
            # Gradients of a softmax's biases are rounding noise, whose direction Adam follows.
            if name.endswith(("frame_att.bias", "av_att.bias", "in_proj_bias")):
                continue
            torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-4)
    first, second = (run.network.state_dict()["fc_a.weight"] for run in together)
    assert not torch.allclose(first, second)


def test_a_step_of_several_seeds_does_not_wait(tiny_data):
    runs = Lockstep(trainers(tiny_data, "rlld"))
    steps = runs.steps()
    next(steps)
    inputs = zip(*(run._inputs(0, 1)[0] for run in runs.trainers), strict=True)
    with WatchWaits(refuse=True):
        runs._take(*map(torch.stack, inputs))


def test_several_seeds_resume_where_they_were(tiny_data, tmp_path):
    whole = Lockstep(trainers(tiny_data, "rlld"))
    list(whole.steps())
    first = Lockstep(trainers(tiny_data, "rlld"))
    steps = first.steps()
    for _ in range(4):
        next(steps)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = Lockstep(trainers(tiny_data, "rlld"))
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    list(second.steps())
    for run, other in zip(whole.trainers, second.trainers, strict=True):
        for name, value in run.network.state_dict().items():
            assert torch.equal(value, other.network.state_dict()[name]), name


def test_what_cannot_be_stacked_is_refused(tiny_data):
    for recipe, settings, reason in (
        ("rlld", {"denoiser.mode": "one_epoch"}, "a fresh network in each round"),
        ("rlld-counterfactual", {}, "denoiser reinforced"),
        ("han", {"schedule.clip_norm": 1.0}, "schedule.clip_norm"),
    ):
        with pytest.raises(RlldError, match=f"several seeds .* {reason}; train one seed"):
            Lockstep(trainers(tiny_data, recipe, **settings))


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of MGN's attention
@pytest.mark.parametrize("name", sorted(set(recipe_names()) - {"true-labels"}))  # unknown here
def test_every_recipe_trains_several_seeds_at_once_or_says_why_not(tiny_data, name):
    data = load_data(tiny_data)
    few = {"schedule.updates": 2, "schedule.rounds": 1, "schedule.batch_size": 8}
    recipe = load_recipe(name, few, data.spec.overrides)
    runs = [Trainer(recipe, data.train, data.validation, seed, CPU) for seed in SEEDS]
    try:
        together = Lockstep(runs)
    except RlldError as error:
        assert "several seeds cannot be trained at once with" in str(error)
        return
    assert [report for report in together.steps() if report is not None]


@pytest.mark.parametrize("name", ["cpsp", "dhhn"])
def test_networks_that_cannot_be_stacked_are_refused(tiny_data, name):
    data = load_data(tiny_data)
    recipe = load_recipe(name, {"schedule.updates": 2}, data.spec.overrides)
    runs = [Trainer(recipe, data.train, data.validation, seed, CPU) for seed in SEEDS]
    with pytest.raises(RlldError, match=f"several seeds .* network {name}; train one seed"):
        Lockstep(runs)


def test_every_seed_gets_a_run_folder(tiny_data, tmp_path):
    data = load_data(tiny_data)
    settings = {"schedule.rounds": 1, **NO_DROPOUT}
    recipe = load_recipe("weak", settings, data.spec.overrides)
    runs = train_seeds(recipe, data, tmp_path / "all", SEEDS, compute=CPU)
    for seed, run in zip(SEEDS, runs, strict=True):
        alone = rlld.train(recipe, data, tmp_path / str(seed), seed=seed, compute=CPU)
        assert run.path == tmp_path / "all" / f"seed-{seed}"
        assert run.facts["seed"] == seed
        assert run.facts["validation"] == pytest.approx(alone.facts["validation"], abs=0.01)
        assert (run.path / "metrics.jsonl").read_text().count("\n") == 1
        size = (run.path / "model.safetensors").stat().st_size
        assert size == (tmp_path / str(seed) / "model.safetensors").stat().st_size
    assert not (tmp_path / "all" / "resume").exists()
    with pytest.raises(RlldError, match="holds finished runs"):
        train_seeds(recipe, data, tmp_path / "all", SEEDS, compute=CPU)
    again = train_seeds(recipe, data, tmp_path / "all", SEEDS, compute=CPU, resume=True)
    for run, same in zip(runs, again, strict=True):
        assert same.facts == run.facts
    with pytest.raises(RlldError, match="seed-3: was started with another recipe"):
        other = load_recipe("han", settings, data.spec.overrides)
        train_seeds(other, data, tmp_path / "all", SEEDS, compute=CPU, resume=True)
    (tmp_path / "all" / "seed-8" / "config.json").unlink()
    with pytest.raises(RlldError, match="holds finished runs"):
        train_seeds(recipe, data, tmp_path / "all", SEEDS, compute=CPU, resume=True)


def test_interrupted_seeds_resume_through_their_file(tiny_data, tmp_path, monkeypatch):
    data = load_data(tiny_data)
    recipe = load_recipe("weak", {"schedule.rounds": 2}, data.spec.overrides)
    whole = train_seeds(recipe, data, tmp_path / "whole", SEEDS, compute=CPU)
    steps = Lockstep.steps

    def interrupted(self):
        for number, reports in enumerate(steps(self)):
            yield reports
            if number == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(Lockstep, "steps", interrupted)
    out = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        train_seeds(recipe, data, out, SEEDS, compute=CPU, checkpoint_seconds=0)
    monkeypatch.setattr(Lockstep, "steps", steps)
    with pytest.raises(RlldError, match="unfinished runs; add --resume"):
        train_seeds(recipe, data, out, SEEDS, compute=CPU)
    with pytest.raises(RlldError, match="another seeds"):
        train_seeds(recipe, data, out, (1, 2), compute=CPU, resume=True)
    again = train_seeds(recipe, data, out, SEEDS, compute=CPU, resume=True)
    for one, other in zip(whole, again, strict=True):
        first, second = one.path / "model.safetensors", other.path / "model.safetensors"
        assert first.read_bytes() == second.read_bytes()
