"""Rates of wrong tags from other data sets, as far as they fit how hard the tags are to predict."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rlld.data.dataset import load_split
from rlld.data.rates.borrow import CAP, Beta, borrowed
from rlld.data.spec import Priors
from rlld.denoisers.reinforced.labelwise import worlds
from rlld.denoisers.reinforced.labelwise.judge import Examples
from rlld.denoisers.reinforced.labelwise.lending import lent_rates
from rlld.denoisers.reinforced.labelwise.priors import prior_rates, told
from rlld.denoisers.reinforced.labelwise.worlds import (
    CEILINGS,
    ENOUGH,
    FLOOR,
    LOSS,
    LOSSES,
    LOST,
    ODDS,
    OTHERS,
    SPREAD,
    WORLDS,
    _density,
    areas,
    posterior,
    variance,
)
from scipy_free import slow_auc

CLASSES = 24


def drawn(rates: Tensor, videos: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Returns evidence and tags of which the given shares are absent; classes differ a little."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(videos, len(rates), generator=generator) < 0.2).float()
    present = labels * (torch.rand(labels.shape, generator=generator) >= rates)
    strength = 2 + 0.1 * torch.randn(len(rates), generator=generator)
    return present * strength + torch.randn(labels.shape, generator=generator), labels


def rates_of(seed: int = 0) -> Tensor:
    return torch.rand(CLASSES, generator=torch.Generator().manual_seed(seed)).square()


def test_the_areas_are_those_of_a_slow_count():
    evidence, labels = drawn(rates_of(), 400)
    labels[:, 3] = 0
    found, known = areas(evidence, labels)
    assert known.tolist() == [number != 3 for number in range(CLASSES)]
    for number in range(5):
        if known[number]:
            slow = slow_auc(evidence[:, number].numpy(), labels[:, number].bool().numpy())
            assert float(found[number]) == pytest.approx(slow)


def test_the_variance_of_an_area_is_about_that_of_draws(monkeypatch):
    monkeypatch.setattr(worlds, "ENOUGH", 1000)
    torch.manual_seed(0)
    labels = (torch.arange(200) < 40).float()[:, None]
    draws = [areas(torch.randn(200, 1) + labels, labels)[0] for _ in range(400)]
    spread = float(torch.stack(draws).var())
    told_so = float(variance(torch.stack(draws).mean(0), labels))
    assert told_so == pytest.approx(spread, rel=0.3)


def test_more_videos_than_enough_count_as_enough():
    area = torch.tensor([0.8], dtype=torch.float64)
    enough = torch.ones(ENOUGH + OTHERS * ENOUGH, 1)
    enough[ENOUGH:] = 0
    assert variance(area, enough) == variance(area, enough.repeat(10, 1))
    assert variance(area, enough) < variance(area, enough[1:])


def densities(like: Tensor, other: Beta) -> Tensor:
    """Returns what each world says of the rates: near those given, like all classes, or none."""
    near = [_density(Beta(40 * rate + 0.5, 40 * (1 - rate) + 0.5)) for rate in like.tolist()]
    alike = np.broadcast_to(_density(other), (len(like), len(ODDS)))
    right = np.zeros_like(alike)
    right[:, 0] = 1
    return torch.from_numpy(np.stack([np.stack(near), alike, right]))


def judged(told: Tensor, rates: Tensor, videos: int, seed: int) -> tuple[Tensor, Tensor]:
    """Judges what is told of classes whose tags are wrong at given rates."""
    evidence, labels = drawn(rates, videos, seed)
    area, known = areas(evidence, labels)
    assert known.all()
    return posterior(area, variance(area, labels), densities(told, Beta(0.6, 1.4)))


@pytest.mark.parametrize("seed", range(4))
def test_the_world_of_the_data_is_found_and_rates_come_nearer(seed):
    rates = rates_of(seed)
    found, chances = judged(rates, rates, 3000, seed)
    assert chances.argmax() == 0 and float((found - rates).abs().mean()) < 0.12
    backwards = rates.sort().values.flip(0)
    found, chances = judged(backwards, rates.sort().values, 3000, seed)
    assert chances.argmax() == 1
    told_off = float((backwards - rates.sort().values).abs().mean())
    assert float((found - rates.sort().values).abs().mean()) < 0.6 * told_off
    found, chances = judged(rates, torch.zeros(CLASSES), 3000, seed)
    assert chances.argmax() == 2 and float(found.mean()) < 0.1


def test_where_nothing_is_known_of_any_class_what_is_told_stands_as_before():
    told_of = rates_of()
    unknown = torch.full((CLASSES,), torch.nan, dtype=torch.float64)
    found, chances = posterior(unknown, torch.ones(CLASSES), densities(told_of, Beta(1, 3)))
    assert chances.tolist() == pytest.approx(list(WORLDS.values()))
    means = (40 * told_of + 0.5) / 41
    expected = 0.6 * means + 0.2 * 0.25
    assert found.tolist() == pytest.approx(expected.tolist(), abs=0.005)


def test_few_videos_say_less_than_many():
    rates = rates_of()
    assert judged(rates, rates, 200, 0)[1][0] < judged(rates, rates, 3000, 0)[1][0]


def test_rates_are_those_of_a_slow_sum():
    area = torch.tensor([0.8, 0.95, torch.nan], dtype=torch.float64)
    noise = torch.tensor([0.001, 0.002, 0.5], dtype=torch.float64)
    given = densities(torch.tensor([0.3, 0.1, 0.5]), Beta(0.5, 2))
    shares = [1 / (1 + math.exp(-odds)) for odds in ODDS.tolist()]
    slow_chances, sums = [], []
    for world, before in enumerate(WORLDS.values()):
        total, weighted = 0.0, [0.0] * 3
        for ceiling, lost in itertools.product(CEILINGS.tolist(), LOST.tolist()):
            known = math.exp(-(((lost - LOSS) / LOSSES) ** 2) / 2)
            each = [[], [], []]
            for number in range(3):
                for share, density in zip(shares, given[world, number].tolist(), strict=True):
                    expected = ceiling - lost * (ceiling - 0.5) * share
                    spread = float(noise[number]) + (SPREAD * (1 - ceiling)) ** 2 + FLOOR**2
                    spread += (LOSSES * (ceiling - 0.5) * share) ** 2
                    off = (float(area[number]) - expected) ** 2 / spread
                    likely = 1.0 if number == 2 else math.exp(-off / 2) / math.sqrt(spread)
                    each[number].append(density * likely)
            chance = known * math.prod(map(sum, each))
            total += chance
            for number in range(3):
                mean = sum(map(math.prod, zip(each[number], shares, strict=True)))
                weighted[number] += chance * mean / sum(each[number])
        slow_chances.append(before * total)
        sums.append([before * value for value in weighted])
    found, chances = posterior(area, noise, given)
    total = sum(slow_chances)
    assert chances.tolist() == pytest.approx([each / total for each in slow_chances])
    slow = [sum(column) / total for column in zip(*sums, strict=True)]
    assert found.tolist() == pytest.approx(slow)


def test_what_a_person_knows_counts_before_what_is_borrowed(tiny_data):
    split = load_split(tiny_data, "train")  # Bell, Drum, Horse, Rain
    logits = torch.randn(48, 2, 4, generator=torch.Generator().manual_seed(0))
    own = replace(split.spec, priors=Priors(visual={"Drum": 0.25}))
    fit = prior_rates(logits, split.labels, own)
    assert float(fit.rates[1, 1]) == 0.25 and (fit.rates > 0).all() and (fit.rates <= CAP).all()
    assert fit.worlds.sum(1).tolist() == pytest.approx([1, 1])
    lines = told(own, split.labels, fit)
    assert [line.split(" track: tags are taken to be ")[0] for line in lines[:2]] == [
        "audio",
        "visual",
    ]
    assert "25% not seen (dataset.yaml)" in lines[3] and "borrowed" in lines[2]
    few = prior_rates(logits[:19], split.labels[:19], own)
    assert "no class has 20 tagged and 20 other videos" in told(own, split.labels, few)[0]
    # Who listened did not tag what is not heard, and nothing has to be judged there.
    heard = replace(split.spec, priors=Priors(tags="heard"))
    fit = prior_rates(logits, split.labels, heard)
    assert not fit.rates[0].any() and not fit.worlds[0].any() and fit.rates[1].all()
    assert "0% not heard (its tags were heard)" in told(heard, split.labels, fit)[1]
    alone = replace(own, priors=Priors(visual={"Drum": 0.25}, borrow=False))
    fit = prior_rates(logits, split.labels, alone)
    assert fit.rates.sum() == 0.25 and not fit.worlds.any()
    assert told(alone, split.labels, fit) == ["Drum: 25% not seen (dataset.yaml)"]


def annotated_of(split, wrong: dict[str, float], classes: int) -> Examples:
    """400 annotated labels of the first classes, of which given shares are not seen."""
    tags = torch.arange(400) % classes
    labels = torch.nn.functional.one_hot(tags, len(split.spec.classes)).float()
    present = torch.ones(400, 2, len(split.spec.classes), dtype=torch.bool)
    for label, share in wrong.items():
        place = split.spec.classes.index(label)
        rows = (tags == place).nonzero()[:, 0]
        present[rows[: round(share * len(rows))], 1, place] = False
    one = split.subset(torch.zeros(400, dtype=torch.int64))
    return Examples(replace(one, labels=labels), torch.zeros(400, 2, 4), present, present | True)


def test_a_class_that_nobody_annotated_borrows_where_the_others_are_as_the_table_says(tiny_data):
    split = load_split(tiny_data, "train")  # Bell, Drum, Horse, Rain
    alike = annotated_of(split, {"Bell": 0.4, "Drum": 0.48}, classes=3)
    rates = lent_rates(split.spec, alike)
    told_so = borrowed(split.spec.name, split.spec.classes).beliefs["visual"]["Rain"][0].median()
    assert rates[1].tolist() == pytest.approx([0, 0, 0, told_so])
    assert rates[0].tolist() == [0, 0, 0, 0]  # nothing was wrong there, which 0 says best
    other = annotated_of(split, {"Horse": 0.6}, classes=3)
    assert not lent_rates(split.spec, other).any()
    alone = replace(split.spec, priors=Priors(borrow=False))
    assert not lent_rates(alone, alike).any()
    assert not lent_rates(split.spec, alike.at(torch.arange(10))).any()  # ten labels say nothing
