"""Schedules: rates against torch's StepLR, orders by their properties."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.recipes.recipe import load_recipe
from rlld.recipes.schedule import Schedule
from rlld.training.fitted import fitted_recipe
from rlld.training.optimizer import build_optimizer
from rlld.training.order import WIDEST, draw_annotated, padded_to, round_batches, sizes_of
from rlld.utils.compute import set_rate


def rates_of_step_lr(rate: float, epochs: int, step: int, gamma: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step, gamma)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("recipe", "rate", "epochs", "step", "gamma"),
    [("han", 3e-4, 40, 10, 0.1), ("weak", 5e-4, 25, 6, 0.25)],
)
def test_published_learning_rates(recipe, rate, epochs, step, gamma):
    schedule = load_recipe(recipe).schedule
    ours = [schedule.rate(number, 10_000) for number in range(epochs)]
    assert schedule.total_rounds(10_000) == epochs
    assert ours == pytest.approx(rates_of_step_lr(rate, epochs, step, gamma), rel=1e-12)


@given(
    videos=st.integers(1, 300),
    size=st.integers(1, 64),
    seed=st.integers(0, 2**40),
    number=st.integers(0, 50),
)
def test_an_epoch_shows_every_video_once(videos, size, seed, number):
    schedule = Schedule(batch_size=size)
    batches = list(round_batches(schedule, videos, seed, number))
    assert len(batches) == schedule.steps_per_round(videos)
    assert torch.cat(batches).sort().values.tolist() == list(range(videos))


def test_an_episode_is_a_third_of_llp():
    schedule = load_recipe("rlld").schedule
    batches = list(round_batches(schedule, 10_000, 3, 0))
    assert [len(batch) for batch in batches] == [128] * 32
    assert len(torch.cat(batches).unique()) == 128 + 31 * 96 == 3104
    for before, after in itertools.pairwise(batches):
        assert torch.isin(after, before).sum() == 32


@given(videos=st.integers(1, 90), size=st.integers(1, 40), steps=st.integers(1, 12))
def test_an_episode_of_a_small_split_has_full_batches_without_repeats(videos, size, steps):
    schedule = Schedule(round="episode", batch_size=size, steps=steps)
    for batch in round_batches(schedule, videos, 0, 0):
        assert len(batch) == min(size, videos) == len(batch.unique())


def test_rounds_differ_and_repeat_by_seed():
    schedule = Schedule()
    first = torch.cat(list(round_batches(schedule, 500, 1, 0)))
    assert torch.equal(first, torch.cat(list(round_batches(schedule, 500, 1, 0))))
    assert not torch.equal(first, torch.cat(list(round_batches(schedule, 500, 1, 1))))
    assert not torch.equal(first, torch.cat(list(round_batches(schedule, 500, 2, 0))))


def test_updates_replace_rounds():
    schedule = Schedule(updates=100, batch_size=128)
    assert schedule.total_updates(10_000) == 100
    assert schedule.total_rounds(10_000) == 2


@pytest.mark.parametrize(
    "field", [{"batch_size": 0}, {"carry": 1.0}, {"milestones": (1.5,)}, {"updates": 0}]
)
def test_impossible_values_are_refused(field):
    with pytest.raises(RlldError, match=next(iter(field))):
        Schedule(**field)


def test_the_published_warm_up_and_cosine():
    schedule = Schedule(
        rounds=60, learning_rate=1e-4, decay="cosine", warm_up=1 / 6, final_rate=0.01
    )
    rates = [schedule.rate(number, 10_000) for number in range(60)]
    assert rates[:10] == pytest.approx([1e-5 * epoch for epoch in range(1, 11)])
    assert rates[34] == pytest.approx((1e-4 + 1e-6) / 2)
    assert rates[59] == pytest.approx(1e-6)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[9:]))


def test_a_warm_up_goes_before_steps_too():
    schedule = Schedule(rounds=10, learning_rate=1.0, warm_up=0.2, milestones=(0.5,), gamma=0.1)
    rates = [schedule.rate(number, 100) for number in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.1])


class _TwoRates(Network):
    """A network whose second parameter learns faster."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))

    def forward(self, streams):
        raise NotImplementedError

    def rate_factors(self):
        return {self.second: 3.0}


def test_parts_of_a_network_have_rates_of_their_own():
    network = _TwoRates()
    optimizer = build_optimizer(Schedule(learning_rate=0.01), network, torch.nn.Module())
    for rate in (0.01, 0.001):
        set_rate(optimizer, rate)
        before = [parameter.detach().clone() for parameter in network.parameters()]
        for parameter in network.parameters():
            parameter.grad = torch.ones(2)
        optimizer.step()
        # Adam's step on a constant gradient is the learning rate.
        now = list(network.parameters())
        moved = [float((old - new)[0].detach()) for old, new in zip(before, now, strict=True)]
        assert moved == pytest.approx([rate, 3 * rate], rel=1e-4)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_the_optimizer_is_the_plain_one_on_a_clipped_gradient(kind, clip_norm):
    schedule = Schedule(optimizer=kind, betas=(0.5, 0.9), weight_decay=0.1, clip_norm=clip_norm)
    ours, plain = (torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5])) for _ in range(2))
    objective = torch.nn.Module()
    objective.scale = ours
    optimizer = build_optimizer(schedule, _TwoRates(), objective)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    other = kinds[kind]([plain], lr=5e-4, betas=(0.5, 0.9), weight_decay=0.1)
    for step in range(5):
        gradient = torch.tensor([3.0, -0.1, 0.4]) * 10.0**-step
        ours.grad = gradient.clone()
        norm = gradient.norm()
        short = clip_norm is None or norm <= clip_norm
        plain.grad = gradient if short else gradient * clip_norm / norm
        optimizer.step()
        other.step()
    torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize(
    "wrong",
    [{"final_rate": 2.0}, {"warm_up": 1.0}, {"betas": (0.5, 1.0)}, {"clip_norm": 0.0}],
)
def test_wrong_values_are_named(wrong):
    with pytest.raises(RlldError, match=f"schedule.{next(iter(wrong))}"):
        Schedule(**wrong)


LENGTHS = torch.randint(1, 240, (103,), generator=torch.Generator().manual_seed(5))


def test_videos_of_any_length_meet_others_of_their_length():
    schedule = Schedule(batch_size=4)
    batches = list(round_batches(schedule, 103, 7, 2, LENGTHS))
    assert len(batches) == schedule.steps_per_round(103)
    assert sorted(torch.cat(batches).tolist()) == list(range(103))
    again = list(round_batches(schedule, 103, 7, 2, LENGTHS))
    assert all(map(torch.equal, batches, again))
    other = list(round_batches(schedule, 103, 7, 3, LENGTHS))
    assert not all(map(torch.equal, batches, other))
    padding = sum(len(b) * int(LENGTHS[b].max()) for b in batches) / int(LENGTHS.sum())
    plain = list(round_batches(schedule, 103, 7, 2))
    mixed = sum(len(b) * int(LENGTHS[b].max()) for b in plain) / int(LENGTHS.sum())
    assert padding < 1.2 < 1.5 < mixed


def test_annotated_videos_of_any_length_are_drawn_alike_and_equally_often():
    lengths = LENGTHS[:40]
    drawn = [draw_annotated(8, 40, 3, update, lengths) for update in range(2000)]
    assert all(len(set(each.tolist())) == 8 for each in drawn)
    assert torch.equal(drawn[5], draw_annotated(8, 40, 3, 5, lengths))
    spread = torch.stack([lengths[each].float().std() for each in drawn]).mean()
    assert spread < lengths.float().std() / 2
    counts = torch.bincount(torch.cat(drawn), minlength=40).double()
    # Each is expected 400 times; four standard deviations of a binomial are about 72.
    assert (counts - 400).abs().max() < 75


@given(st.lists(st.integers(1, 2 * WIDEST), min_size=1, max_size=9), st.integers(1, 4))
def test_batches_with_a_recording_of_hours_are_as_narrow_as_as_many_batches_can_be(lengths, size):
    ranked = sorted(lengths)
    found = sizes_of(ranked, size)
    count = math.ceil(len(ranked) / size)
    assert (len(found), sum(found), min(found) > 0) == (count, len(ranked), True)
    every = [
        [stop - start for start, stop in pairwise((0, *cuts, len(ranked)))]
        for cuts in combinations(range(1, len(ranked)), count - 1)
    ]
    equal = [size] * (count - 1) + [len(ranked) - size * (count - 1)]
    if padded_to(ranked, equal) <= WIDEST:
        assert found == equal
    else:
        assert padded_to(ranked, found) == min(padded_to(ranked, each) for each in every)


def test_a_batch_of_all_videos_that_is_padded_to_hours_is_told(tiny_data):
    data = load_data(tiny_data)
    train = data.train.packed()
    lengths = torch.full((len(train),), data.spec.segments)
    lengths[3] = 10_000
    vars(data)["train"] = replace(train, lengths=lengths, streams={})
    told = "all 48 training videos are one batch, in which each takes the memory of the longest"
    _, lines = fitted_recipe("han", data, {"schedule.batch_size": 64})
    assert next(line for line in lines if line.startswith(told)).endswith(
        "(10,000 segments); add --schedule.batch_size 6, which keeps it apart, or cut it into clips"
    )
    _, lines = fitted_recipe("han", data, {"schedule.batch_size": 6})
    assert not any(line.startswith(told) for line in lines)
