"""Algorithm 1 as it is read, against what the training loop does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.denoisers.reinforced import algorithm1
from rlld.denoisers.reinforced.reinforce import Reinforce
from rlld.networks.base import Network
from rlld.recipes.recipe import load_recipe
from rlld.training.order import round_batches
from rlld.training.predict import predict_split
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

ROUNDS = 3


def trainer(folder: Path, recipe: str, **settings: object) -> Trainer:
    data = load_data(folder)
    given = {"schedule.rounds": ROUNDS, "schedule.milestones": (), **settings}
    loaded = load_recipe(recipe, given, data.spec.overrides)
    return Trainer(loaded, data.train, data.validation, 5, Compute(device="cpu", threads=1))


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("rlld", {}),
        ("rlld", {"denoiser.dropout": 0.2, "denoiser.lr": 1e-2, "denoiser.empty_rule": "modality"}),
        ("rlld+cl", {"denoiser.video_target": "original"}),
        ("rlld-without-initialized-labels", {}),
        ("rlld-without-inter-reward", {}),
    ],
)
def test_training_is_algorithm_1_bit_by_bit(
    tiny_data: Path, recipe: str, settings: dict[str, object]
) -> None:
    trained = trainer(tiny_data, recipe, **settings)
    start = [value.clone() for value in trained.denoiser.networks()["policy"].parameters()]
    for _ in trained.steps():
        pass

    # The same parts once more, of which the loop takes no step.
    fresh = trainer(tiny_data, recipe, **settings)
    denoiser, reward = fresh.denoiser, fresh.reward
    assert isinstance(denoiser, Reinforce)
    assert reward is not None

    def validate(network: Network) -> dict[str, torch.Tensor]:
        return reward.scores(predict_split(network, reward.split), fresh.recipe.gate)

    def batches():
        for number in range(ROUNDS):
            fresh.objective.start_round(number)
            for index in round_batches(fresh.schedule, fresh.videos, fresh.seed, number):
                yield fresh.train.batch(index)

    policy, task = algorithm1(
        denoiser.policy,
        fresh.network,
        fresh.objective,
        eta=denoiser.optimizer,
        alpha=fresh.optimizer,
        batches=batches(),
        validate=validate,
        options=denoiser.config,
        generator=denoiser.generator,
    )
    for found, wanted in ((task, trained.network), (policy, trained.denoiser.networks()["policy"])):
        for name, value in wanted.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), name
    moved = [torch.equal(a, b) for a, b in zip(start, policy.parameters(), strict=True)]
    assert not any(moved)
