"""Several seeds at once against the same seeds one after the other."""

from __future__ import annotations

import pytest
import torch

from rlld.compute import Compute
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipe import load_recipe
from rlld.training.lockstep import Lockstep
from rlld.training.trainer import Trainer
from rlld.training.waits import WatchWaits

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
