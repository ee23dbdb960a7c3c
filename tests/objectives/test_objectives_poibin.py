"""The Poisson-binomial count against enumeration, its identities, and its E-step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.dataset import load_data
from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.objectives import mil, poibin
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)
CLASSES = len(LLP_SPEC.classes)


def enumerated(cells):
    """Every outcome of the cells and its probability."""
    outcomes = np.array(list(itertools.product((0, 1), repeat=len(cells))))
    chances = np.where(outcomes == 1, cells, 1 - np.asarray(cells)).prod(1)
    return outcomes, chances


probabilities = st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=7)


@given(probabilities, st.integers(0, 7))
def test_everything_agrees_with_enumeration(cells, least):
    least = min(least, len(cells))
    outcomes, chances = enumerated(cells)
    count = outcomes.sum(1)
    p = torch.tensor(cells, dtype=torch.float64)
    pmf = poibin.distribution(p)
    expected = [chances[count == k].sum() for k in range(len(cells) + 1)]
    assert pmf.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-300)
    above = [chances[count >= k].sum() for k in range(len(cells) + 1)]
    assert poibin.tail(pmf).tolist() == pytest.approx(above, rel=1e-9)
    some = count >= 1
    mean = (count * chances)[some].sum() / chances[some].sum()
    assert float(poibin.expected_count(p)) == pytest.approx(mean, rel=1e-6)
    enough = count >= least
    shares = (outcomes * chances[:, None])[enough].sum(0) / chances[enough].sum()
    found = poibin.posterior(p, torch.tensor(least))
    assert found.tolist() == pytest.approx(shares.tolist(), rel=1e-9)


@given(st.integers(0, 10**6))
def test_posteriors_grow_with_the_least_count(seed):
    p = torch.rand(3, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p = p.clamp(1e-6, 1 - 1e-6)
    rows = [poibin.posterior(p, torch.full((3,), k)) for k in range(10)]
    assert torch.allclose(rows[0], p)
    assert torch.allclose(rows[9], torch.ones_like(p))
    for k, (row, following) in enumerate(itertools.pairwise(rows)):
        assert (following >= row - 1e-12).all()
        assert (row.sum(1) >= k - 1e-9).all()


@given(st.integers(0, 10**6), st.booleans())
def test_the_gradient_is_that_of_the_posterior(seed, soft):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 8, generator=generator, dtype=torch.float64).requires_grad_()
    least = torch.randint(1, 9, (4,), generator=generator)
    positive = torch.tensor([True, True, True, False])
    p = logits.sigmoid()
    poibin.count_losses(p, positive, least, soft=soft).sum().backward()
    expected = p - poibin.posterior(p, least) * positive[:, None]
    assert torch.allclose(logits.grad, expected.detach(), atol=1e-10)


def test_one_positive_segment_is_noisy_or():
    p = torch.rand(5, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ones = torch.ones(5, dtype=torch.int64)
    found = poibin.count_losses(p, ones.bool(), ones, soft=False)
    assert torch.allclose(found, -(1 - (1 - p).prod(1)).log(), rtol=1e-12)


def test_tiny_and_certain_probabilities_stay_finite():
    p = torch.cat([torch.zeros(1, 20), torch.ones(1, 20)]).requires_grad_()
    least = torch.full((2,), 20)
    for positive in (torch.tensor([True, False]), torch.tensor([False, True])):
        loss = poibin.count_losses(p, positive, least, soft=False)
        assert loss.isfinite().all()
    improbable = poibin.count_losses(p[:1], positive[1:], least[:1], soft=False).detach()
    assert float(improbable) == pytest.approx(20 * -np.log(1e-7), rel=1e-6)
    assert poibin.minimum_count(p).tolist() == [1, 19]


def videos(seed=0, segments=6, count=8):
    generator = torch.Generator().manual_seed(seed)
    segment = torch.rand(count, segments, 2, CLASSES, generator=generator)
    whole = segment.mean(1)
    found = Prediction(segment, whole[:, 0], whole[:, 1], whole.mean(1))
    labels = (torch.rand(3, count, CLASSES, generator=generator) < 0.3).float()
    return found, ModalityLabels(*labels), Batch({}, labels[2], torch.arange(count))


@pytest.mark.parametrize("form", ["joint", "split"])
def test_the_total_by_hand(form):
    found, labels, batch = videos()
    objective = poibin.Config(weight=0.5, form=form).build(LLP_SPEC)
    objective.prepare(8)
    losses = objective(found, labels, batch)
    p = found.segment.double()
    at_least_one = {"joint": p.flatten(1, 2), "split": p}[form]
    targets = {"joint": labels.video, "split": torch.stack([labels.audio, labels.visual], 1)}[form]
    none = (1 - at_least_one).prod(1)
    terms = torch.where(targets > 0.5, -(1 - none).log(), -none.log())
    expected = terms.sum(1).mean() if form == "split" else terms.mean()
    assert float(losses["count"]) == pytest.approx(float(expected), rel=1e-6)
    plain = mil.Config().build(LLP_SPEC)(found, labels, batch)["loss"]
    assert float(losses["loss"]) == pytest.approx(float(plain + 0.5 * expected), rel=1e-6)
    assert float(losses["least_count"]) == 1


@pytest.mark.parametrize("estimate", ["mean", "mode"])
def test_least_counts_grow_by_one_after_the_warm_up_and_never_fall(estimate):
    found, labels, batch = videos()
    objective = poibin.Config(warm_up=2, estimate=estimate).build(LLP_SPEC)
    objective.prepare(10)
    cells = found.segment.permute(0, 3, 1, 2).flatten(2)
    target = poibin.minimum_count(cells, estimate)
    for number in range(9):
        objective.start_round(number)
        objective(found, labels, batch)
        grown = target.clamp(max=1 + max(0, number - 1))
        expected = torch.where(labels.video > 0, grown, 1)
        assert torch.equal(objective.counts[:8, 0], expected)
        assert (objective.counts[8:] == 1).all()
    before = objective.counts.clone()
    low = Prediction(found.segment * 0.01, found.audio, found.visual, found.video)
    objective(low, labels, batch)
    assert torch.equal(objective.counts, before)


def test_fixed_counts_stay():
    found, labels, batch = videos()
    objective = poibin.Config(estimate="fixed", count=3, warm_up=0).build(LLP_SPEC)
    objective.prepare(8)
    objective.start_round(9)
    assert float(objective(found, labels, batch)["least_count"]) == 3
    assert (objective.counts == 3).all()


def test_more_than_all_cells_is_all_cells():
    found, labels, batch = videos(segments=2)
    objective = poibin.Config(estimate="fixed", count=9).build(LLP_SPEC)
    objective.prepare(8)
    assert float(objective(found, labels, batch)["least_count"]) == 4


@pytest.mark.parametrize("option", [{"count": 0}, {"growth": 0}, {"weight": -1}, {"warm_up": -1}])
def test_options_out_of_range(option):
    with pytest.raises(RlldError, match=next(iter(option))):
        poibin.Config(**option)


def test_a_run_resumes_with_its_counts_which_do_not_run_away(tiny_data, tmp_path):
    data = load_data(tiny_data)
    settings = {"schedule.rounds": 12, "objective.warm_up": 1}
    recipe = load_recipe("poibin", settings, data.spec.overrides)

    def fresh() -> Trainer:
        return Trainer(recipe, data.train, data.validation, 7, COMPUTE)

    whole = fresh()
    reports = [report for report in whole.steps() if report is not None]
    counts = [report["least_count"] for report in reports]
    assert counts[0] == 1
    # Twelve cells, of which an event fills a part: self-training must not fill them all.
    assert 1 < counts[-1] < 10
    first = fresh()
    steps = first.steps()
    for _ in range(20):
        next(steps)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = fresh()
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    rest = [report for report in second.steps() if report is not None]
    assert rest == reports[len(reports) - len(rest) :]
    assert torch.equal(second.objective.counts, whole.objective.counts)
