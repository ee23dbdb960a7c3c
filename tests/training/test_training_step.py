"""Steps that denoisers try on the task network, and numbers that are not finite."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import rlld
from rlld.data.dataset import DataSet, load_data
from rlld.errors import RlldError
from rlld.objectives._bce import clamped_bce
from rlld.recipes.recipe import load_recipe
from rlld.training.monitor import FiniteWatch, NotFiniteError
from rlld.training.step import NetworkStep
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)


def trainer(data: DataSet, recipe: str = "weak", **settings: object) -> Trainer:
    loaded = load_recipe(recipe, {"schedule.rounds": 4, **settings}, data.spec.overrides)
    return Trainer(loaded, data.train, data.validation, 3, COMPUTE)


def everything(trained: Trainer) -> dict[str, torch.Tensor]:
    values = {f"network.{k}": v.clone() for k, v in trained.network.state_dict().items()}
    for number, entry in trained.optimizer.state_dict()["state"].items():
        values |= {f"moments.{number}.{k}": v.clone() for k, v in entry.items()}
    return values | {"chance": torch.get_rng_state()}


@pytest.mark.parametrize("done", [0, 2])
def test_a_trial_leaves_no_trace_and_is_the_step_that_the_loop_takes(tiny_data, done):
    """Before the first step the optimizer has no state at all; later it has moments."""
    trained = trainer(load_data(tiny_data))
    steps = trained.steps()
    for _ in range(done):
        next(steps)
    task = NetworkStep(trained.network.train(), trained.objective, trained.optimizer, COMPUTE)
    batch = trained.train.batch(torch.arange(9))
    labels = ModalityLabels(batch.labels, batch.labels * 0, batch.labels)
    before = everything(trained)
    with task.trial(batch, labels):
        tried = everything(trained)
    after = everything(trained)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    with pytest.raises(ZeroDivisionError), task.trial(batch, labels):
        raise ZeroDivisionError
    assert all(torch.equal(everything(trained)[name], value) for name, value in before.items())
    # Dropout is active in this network: only the same random state gives the same step.
    task.take(batch, labels)
    taken = everything(trained)
    assert all(torch.equal(taken[name], value) for name, value in tried.items())
    assert not torch.equal(taken["network.fc_a.weight"], before["network.fc_a.weight"])


def poisoned(data: DataSet, split: str, video: int) -> DataSet:
    """Copies a data set in memory and spoils the audio of one video."""
    spoilt = getattr(data, split)
    audio = spoilt.streams["audio"].clone()
    audio[video, 0, 0] = torch.nan
    copy = load_data(data.folder)
    vars(copy)[split] = replace(spoilt, streams={**spoilt.streams, "audio": audio})
    return copy


def test_a_feature_that_is_no_number_stops_the_run_with_step_batch_and_state(tiny_data, tmp_path):
    data = poisoned(load_data(tiny_data), "train", 5)
    out = tmp_path / "run"
    with pytest.raises(RlldError) as caught:
        rlld.train("weak", data, out, seed=1, compute=COMPUTE, overrides={"fit": False})
    message = str(caught.value)
    # An epoch is 3 batches of 16: the video is in one of them, and the first bad one is named.
    recipe = load_recipe("weak", {}, data.spec.overrides)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(1 * 1_000_003))
    place = order.tolist().index(5) // 16
    assert recipe.schedule.batch_size == 16
    assert f"update {place + 1} (round 0, step {place}): not finite in loss, audio" in message
    assert "train_005" in message
    assert message.count("train_") == 16
    state = torch.load(out / "resume" / "state.pt", weights_only=True)
    assert "holds the last good state" in message
    assert all(value.isfinite().all() for value in state["trainer"]["network"].values())
    assert not (out / "config.json").exists()


@pytest.mark.parametrize("recipe", ["rlld-counterfactual", "rlld-first-order"])
def test_a_reward_that_is_no_number_stops_the_run(tiny_data, recipe):
    data = poisoned(load_data(tiny_data), "validation", 2)
    warm_up = {"denoiser.first_order.warm_up": 1}
    trained = trainer(data, recipe, **warm_up)
    with pytest.raises(NotFiniteError, match="policy_loss, policy_gradient") as caught:
        list(trained.steps())
    first = 1 if recipe == "rlld-counterfactual" else 2
    assert f"update {first} (round 0" in str(caught.value)


def test_a_gradient_that_is_no_number_is_seen_where_the_loss_is_fine(tiny_data):
    trained = trainer(load_data(tiny_data))
    trained.network.fc_prob.weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(
        NotFiniteError, match=r"update 1 \(round 0, step 0\): not finite in gradient"
    ):
        list(trained.steps())


def test_the_watch_names_the_first_broken_step_and_forgets():
    watch = FiniteWatch()
    assert watch.first_broken() is None
    watch.see(7, ("loss",), torch.tensor([1.0]))
    watch.see(8, ("loss", "reward", "double"), torch.tensor([1.0, torch.inf, 1.0]).double())
    watch.see(9, ("loss",), torch.tensor([torch.nan]))
    assert watch.first_broken() == (8, ["reward"])
    assert watch.first_broken() is None


def test_bce_of_no_number_is_no_number_and_others_keep_their_bits():
    probability = torch.tensor([0.25, torch.nan], requires_grad=True)
    assert clamped_bce(probability, torch.ones(2)).isnan()
    clean = torch.rand(50, generator=torch.Generator().manual_seed(0))
    target = (clean > 0.3).float()
    plain = torch.nn.functional.binary_cross_entropy(clean.clamp(1e-7, 1 - 1e-7), target)
    assert torch.equal(clamped_bce(clean, target), plain)


def test_figures_of_a_healthy_run_are_written(tiny_data, tmp_path):
    """The watch must not keep a run from its end."""
    overrides = {"schedule.rounds": 2, "denoiser.first_order.warm_up": 2}
    out = tmp_path / "run"
    run = rlld.train("rlld-first-order", tiny_data, out, compute=COMPUTE, overrides=overrides)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert lines[1]["credit_visual"] > 0
    assert any("validation labels" in note for note in run.facts["notes"])
