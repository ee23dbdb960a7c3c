"""Whether borrowed rates fit the data: hard tags are the ones that are said to be wrong often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rlld.data.dataset import load_split
from rlld.data.rates.borrow import borrowed
from rlld.data.spec import Priors
from rlld.denoisers.reinforced.labelwise import priors
from rlld.denoisers.reinforced.labelwise.agreement import _variance, agreement, areas
from rlld.denoisers.reinforced.labelwise.judge import Examples
from rlld.denoisers.reinforced.labelwise.lending import lent_rates
from rlld.denoisers.reinforced.labelwise.priors import doubts, prior_rates, told
from scipy_free import slow_auc

CLASSES = 24


def drawn(rates: Tensor, videos: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Returns evidence and tags of which the given shares are absent; classes differ by chance."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(videos, len(rates), generator=generator) < 0.2).float()
    present = labels * (torch.rand(labels.shape, generator=generator) >= rates)
    strength = 2 + 0.3 * torch.randn(len(rates), generator=generator)
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


def test_the_variance_of_an_area_is_about_that_of_draws():
    torch.manual_seed(0)
    labels = (torch.arange(200) < 40).float()[:, None]
    draws = [areas(torch.randn(200, 1) + labels, labels)[0] for _ in range(400)]
    spread = float(torch.stack(draws).var())
    told_so = float(_variance(torch.stack(draws).mean(0), labels))
    assert told_so == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_true_rates_fit_and_those_of_another_world_do_not(seed):
    rates = rates_of(seed)
    evidence, labels = drawn(rates, 3000, seed)
    fit = agreement(rates, evidence, labels)
    assert fit.holds and fit.classes == CLASSES
    clean, tags = drawn(torch.zeros(CLASSES), 3000, seed)
    other = agreement(rates.sort().values.flip(0), *drawn(rates.sort().values, 3000, seed))
    assert other.correlation < -0.8 and not other.holds
    area, _ = areas(clean, tags)
    order = [np.argsort(np.argsort(values)) for values in (rates.numpy(), -area.numpy())]
    slow = np.corrcoef(*order)[0, 1]
    assert agreement(rates, clean, tags).correlation == pytest.approx(slow)


def test_what_cannot_be_ordered_speaks_against_nothing():
    rates = rates_of()
    assert agreement(rates[:3], *drawn(rates[:3], 3000)).holds  # three classes
    assert agreement(rates * 0, *drawn(rates, 3000)).odds == 0  # nothing is said
    backwards = rates.sort().values.flip(0)
    evidence, labels = drawn(rates.sort().values, 3000)
    few = torch.randperm(3000, generator=torch.Generator().manual_seed(0))[:130]
    sure = agreement(backwards, evidence, labels).odds
    assert sure < agreement(backwards, evidence[few], labels[few]).odds  # fewer videos say less


def test_rates_that_do_not_fit_are_not_borrowed_but_numbers_of_a_person_count(
    tiny_data, monkeypatch
):
    split = load_split(tiny_data, "train")
    logits = torch.randn(48, 2, 4, generator=torch.Generator().manual_seed(0))
    spec = replace(split.spec, priors=Priors(visual={"Drum": 0.25}))
    never = replace(agreement(torch.zeros(4), logits[:, 0], split.labels), odds=-1.0)
    monkeypatch.setattr(priors, "agreement", lambda *_: never)
    assert set(doubts(logits, split.labels, spec)) == {"audio", "visual"}
    assert not doubts(logits, split.labels, replace(spec, priors=Priors(borrow=False)))
    rates = prior_rates(logits, split.labels, spec, ("visual",))
    assert rates[1].tolist() == [0, 0.25, 0, 0] and float(rates[0].sum()) > 0
    lines = told(spec, split.labels, ("visual",))
    assert "25% not seen (dataset.yaml)" in lines[1] and "seen" not in lines[0]


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
