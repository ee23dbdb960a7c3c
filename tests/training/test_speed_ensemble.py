"""Networks as one stack against the same networks one after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.networks.base import Network
from rlld.recipes.recipe import load_recipe
from rlld.training.predict import even_batch, predict_split
from rlld.training.speed.ensemble import predict_stack, stack_rows, stacked_call, stacked_optimizer
from rlld.training.step import NetworkStep, lesson_of
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute

ALONE = Compute(device="cpu", threads=1, stacked="off")
TOGETHER = Compute(device="cpu", threads=1, stacked="on")
WIDE = {"network.hidden": 24}
"""Weights that are not square, which a wrong memory layout of gradients would show."""

NO_DROPOUT = {"network.visual_dropout": 0.0, "network.attention_dropout": 0.0}


def trainer(folder, recipe: str, compute: Compute, **settings: object) -> Trainer:
    data = load_data(folder)
    loaded = load_recipe(recipe, {"schedule.rounds": 3, **settings}, data.spec.overrides)
    return Trainer(loaded, data.train, data.validation, 3, compute)


def networks(folder, count: int = 3, **settings: object) -> tuple[Trainer, list[Network]]:
    made = trainer(folder, "weak", ALONE, **settings)
    torch.manual_seed(11)
    return made, [made.recipe.build_network(made.train.spec) for _ in range(count)]


def test_a_stack_predicts_what_its_networks_do(tiny_data):
    made, rows = networks(tiny_data)
    expected = [predict_split(network, made.train) for network in rows]
    found = predict_stack(rows[0], stack_rows(rows), made.train)
    for prediction, alone in zip(found, expected, strict=True):
        for part in ("segment", "audio", "visual", "video"):
            torch.testing.assert_close(getattr(prediction, part), getattr(alone, part))
    assert not torch.allclose(expected[0].segment, expected[1].segment)


def test_networks_are_rows_of_their_stack(tiny_data):
    _, rows = networks(tiny_data)
    state = stack_rows(rows)
    with torch.no_grad():
        state["fc_a.weight"][1].fill_(7)
        rows[2].fc_a.bias.fill_(5)
    assert (rows[1].fc_a.weight == 7).all()
    assert (state["fc_a.bias"][2] == 5).all()
    assert not (rows[0].fc_a.weight == 7).any()


@pytest.mark.parametrize("way", ["forward", "unimodal", "with_unimodal"])
def test_gradients_of_a_stack_are_those_of_its_networks(tiny_data, way):
    made, rows = networks(tiny_data, **NO_DROPOUT)
    index = torch.arange(30).view(3, 10)
    streams = {name: value[index] for name, value in made.train.streams.items()}
    expected = []
    for number, network in enumerate(rows):
        own = {name: value[number] for name, value in streams.items()}
        found = getattr(network.train(), way)(own)
        last = found[-1] if isinstance(found, tuple) else found
        (last.video.square().sum() + last.extras["audio_after"].sum()).backward()
        expected.append({name: p.grad for name, p in network.named_parameters()})
    state = stack_rows(rows)
    found = stacked_call(rows[0], state, streams, way)
    total = sum(
        each[-1].video.square().sum() + each[-1].extras["audio_after"].sum() for each in found
    )
    total.backward()
    for number, gradients in enumerate(expected):
        for name, gradient in gradients.items():
            own = state[name].grad
            if gradient is None:
                assert own is None or not own[number].any(), name
            else:
                torch.testing.assert_close(own[number], gradient, rtol=1e-4, atol=1e-5)


def test_rows_of_a_stack_draw_dropout_of_their_own(tiny_data):
    settings = {"network.visual_dropout": 0.5, "network.attention_dropout": 0.5}
    made, rows = networks(tiny_data, 1, **settings)
    twins = [rows[0].train(), made.recipe.build_network(made.train.spec).train()]
    twins[1].load_state_dict(rows[0].state_dict())
    streams = {name: value[:8] for name, value in made.train.streams.items()}
    first, second = stacked_call(twins[0], stack_rows(twins), streams, shared=True)
    assert not torch.allclose(first[0].segment, second[0].segment)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("done", [0, 3])
def test_a_stacked_optimizer_does_what_each_does(optimizer, done):
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(4, 3, generator=generator) for _ in range(3)]
    each = [kind([p], lr=0.1, weight_decay=0.2, fused=True) for p in parameters]

    def step(gradients: torch.Tensor) -> None:
        for parameter, gradient, one in zip(parameters, gradients, each, strict=True):
            parameter.grad = gradient
            one.step()

    for _ in range(done):
        step(torch.randn(3, 4, 3, generator=generator))
    stack = torch.stack(parameters)
    made = stacked_optimizer(each, {parameters[0]: stack})
    for _ in range(3):
        gradients = torch.randn(3, 4, 3, generator=generator)
        step(gradients)
        stack.grad = gradients
        made.step()
    torch.testing.assert_close(stack, torch.stack(parameters), rtol=0, atol=1e-6)


@pytest.mark.parametrize("lesson", [0.0, 1.0])
def test_stacked_trials_are_the_trials_one_by_one(tiny_data, lesson):
    """With dropout: they share one forward pass, so that its masks are the same by construction."""
    settings = {"network.visual_dropout": 0.5, "supervision.weight": lesson, **WIDE}
    alone = trainer(tiny_data, "weak", ALONE, **settings)
    steps = alone.steps()
    for _ in range(4):
        next(steps)
    network = alone.network.train()
    teacher = lesson_of(alone.recipe.supervision, alone.reward.split, torch.arange(5))
    batch = alone.train.batch(torch.arange(16))
    choices = [
        ModalityLabels(batch.labels * a, batch.labels * b, batch.labels)
        for a, b in ((1, 1), (1, 0), (0, 1))
    ]
    before = {name: value.clone() for name, value in alone.network.state_dict().items()}
    found = []
    for compute in (ALONE, TOGETHER):
        taught = teacher if lesson else None
        task = NetworkStep(network, alone.objective, alone.optimizer, compute, taught)
        chance = torch.get_rng_state()
        found.append(task.trials(batch, choices, alone.selection.split))
        assert torch.equal(torch.get_rng_state(), chance)
        for name, value in alone.network.state_dict().items():
            assert torch.equal(value, before[name])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.segment, other.segment, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one.video, other.video, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[0][0].segment, found[0][1].segment, atol=1e-4)


def test_stacked_trials_draw_the_same_for_every_choice(tiny_data):
    """The mixup of UWAV's loss draws in each step: equal labels are equal steps."""
    settings = {"schedule.clip_norm": None, "schedule.warm_up": 0.0, "network.layers": 1}
    alone = trainer(tiny_data, "uwav", ALONE, **settings, **WIDE)
    network, batch = alone.network.train(), alone.train.batch(torch.arange(16))
    labels = alone.denoiser.revise(batch, None)
    less = replace(labels, segment=labels.segment * 0)
    found = []
    for compute in (ALONE, TOGETHER):
        task = NetworkStep(network, alone.objective, alone.optimizer, compute)
        found.append(task.trials(batch, [labels, less, labels], alone.selection.split))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.segment, other.segment, rtol=1e-4, atol=1e-5)
    first, second, third = (each.segment for each in found[1])
    torch.testing.assert_close(first, third)
    assert not torch.allclose(first, second, atol=1e-4)


def test_a_counterfactual_run_is_the_same_with_stacked_trials(tiny_data):
    first, second = (
        [r for r in trainer(tiny_data, "rlld-counterfactual", each).steps() if r is not None]
        for each in (ALONE, TOGETHER)
    )
    for one, other in zip(first, second, strict=True):
        for name in ("loss", "reward_visual", "credit_visual", "keep_visual", "policy_loss"):
            assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), name


def test_pieces_of_a_split_are_even():
    assert even_batch(649, 384) == 325
    assert even_batch(384, 384) == 384
    assert even_batch(5, 384) == 5
    assert even_batch(1000, 300) == 250
