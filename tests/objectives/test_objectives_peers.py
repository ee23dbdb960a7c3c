"""Co-teaching+ and JoCoR: slow references, properties, and the pair of networks in a run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rlld
from resume_kit import require_resumable
from rlld.data.dataset import load_data
from rlld.denoisers import jomold
from rlld.errors import RlldError
from rlld.objectives import coteaching, jocor
from rlld.objectives._small_loss import RATES, SmallLoss, smallest
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import load_denoiser, load_run
from rlld.training.trainer import Trainer
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)
RECIPES = ("han+coteaching", "han+jocor")


def slow_bce(p, y):
    p = min(max(p, 1e-7), 1 - 1e-7)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def slow_keep(losses, cells, rate):
    """The rule of the specification: sort, cut, keep all if nothing would be left."""
    number = int((1 - rate) * len(cells)) or len(cells)
    return set(sorted(cells, key=lambda cell: losses[cell])[:number])


def slow_coteaching(p, y, rate, plus, step):
    shape = y.shape
    cells = list(np.ndindex(shape))
    positives = [c for c in cells if y[c] > 0.5]
    negatives = {c for c in cells if y[c] <= 0.5}
    losses = [{c: slow_bce(p[k][c], y[c]) for c in cells} for k in (0, 1)]
    among = positives
    if plus:
        among = [c for c in positives if (p[0][c] >= 0.5) != (p[1][c] >= 0.5)]
    if plus and not among:
        kept = [set(cells) if step < 5000 else negatives] * 2
    else:
        kept = [slow_keep(losses[k], among, rate) | negatives for k in (0, 1)]
    means = []
    for own in (0, 1):
        chosen = kept[1 - own]
        means.append(sum(losses[own][c] for c in chosen) / max(len(chosen), 1))
    return means, kept


def drawn(seed, videos=7, classes=4):
    rng = np.random.default_rng(seed)
    p = rng.random((2, videos, classes))
    if seed % 3 == 0:
        p[1] = p[0]
    y = (rng.random((videos, classes)) < rng.random()).astype(float)
    return p, y, float(rng.choice([0.0, 0.1, 0.2, 0.5, 0.9, 0.99]))


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([0, 4999, 5000]))
def test_coteaching_follows_the_specification(seed, plus, step):
    p, y, rate = drawn(seed)
    objective = coteaching.Config(plus=plus).build(None)
    objective.step.fill_(step)
    tensors = torch.from_numpy(p), torch.from_numpy(y), torch.tensor(rate, dtype=torch.float64)
    losses, kept = objective.losses(*tensors)
    means, chosen = slow_coteaching(p, y, rate, plus, step)
    assert losses.tolist() == pytest.approx(means, rel=1e-12)
    for k in (0, 1):
        assert {tuple(c) for c in kept[k].nonzero().tolist()} == chosen[k]


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.85, 1.0]))
def test_jocor_follows_the_specification(seed, weight):
    p, y, rate = drawn(seed)
    cells = list(np.ndindex(y.shape))
    losses = {}
    for c in cells:
        a, b = p[0][c], p[1][c]
        divergence = sum(s * np.log(s / t) + t * np.log(t / s) for s, t in ((a, b), (1 - a, 1 - b)))
        labels = slow_bce(a, y[c]) + slow_bce(b, y[c])
        losses[c] = (1 - weight) * labels + weight * divergence
    positives = [c for c in cells if y[c] > 0.5]
    kept = slow_keep(losses, positives, rate) | {c for c in cells if y[c] <= 0.5}
    tensors = torch.from_numpy(p), torch.from_numpy(y), torch.tensor(rate, dtype=torch.float64)
    found, mask = jocor.Config(weight).build(None).losses(*tensors)
    if weight < 1:  # with labels left out only the divergence orders, which may tie at 0
        assert {tuple(c) for c in mask.nonzero().tolist()} == kept
    assert float(found) == pytest.approx(np.mean([losses[c] for c in kept]), rel=1e-9, abs=1e-12)


@given(st.integers(0, 10**6))
def test_whole_videos_are_ranked_by_their_mean_loss(seed):
    p, y, rate = drawn(seed)
    tensors = torch.from_numpy(p), torch.from_numpy(y), torch.tensor(rate, dtype=torch.float64)
    objective = coteaching.Config(plus=False, selection=SmallLoss("video")).build(None)
    losses, _ = objective.losses(*tensors)
    cells = range(y.shape[1])
    rows = np.array(
        [[np.mean([slow_bce(q[i, c], y[i, c]) for c in cells]) for i in range(len(y))] for q in p]
    )
    number = max(1, int((1 - rate) * len(y)))
    order = rows.argsort(1, kind="stable")[:, :number]
    expected = [rows[0][order[1]].mean(), rows[1][order[0]].mean()]
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)


def test_video_granularity_of_coteaching_plus_looks_at_videos_that_divide_the_networks():
    p = torch.tensor([[[0.9, 0.1], [0.8, 0.2]], [[0.9, 0.1], [0.3, 0.2]]]).double()
    y = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double()
    rate = torch.tensor(0.0, dtype=torch.float64)
    objective = coteaching.Config(selection=SmallLoss("video")).build(None)
    losses, kept = objective.losses(p, y, rate)
    assert kept[0].tolist() == [[False, False], [True, True]]
    expected = [np.mean([slow_bce(float(q[1, c]), float(y[1, c])) for c in (0, 1)]) for q in p]
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)
    objective.step.fill_(5000)
    agreed = objective.losses(p[:1].expand(2, -1, -1), y, rate)[0]
    assert agreed.tolist() == [0, 0]


def test_ties_go_by_index_and_something_stays():
    losses = torch.ones(6)
    candidates = torch.tensor([0, 1, 1, 0, 1, 1]).bool()
    rate = torch.tensor(0.5, dtype=torch.float64)
    assert smallest(losses, candidates, rate, "all").nonzero().flatten().tolist() == [1, 2]
    high = torch.tensor(0.9, dtype=torch.float64)
    assert smallest(losses, candidates, high, "all").equal(candidates)
    assert smallest(losses, candidates, high, "one").nonzero().flatten().tolist() == [1]
    assert not smallest(losses, candidates & False, high, "one").any()


def official_table(maximum, rounds, ramp, exponent):
    """The forget rate of every round, as the official single-label codes tabulate it."""
    table = np.full(rounds, maximum)
    table[:ramp] = np.linspace(0, maximum**exponent, ramp)[:rounds]
    return table


@pytest.mark.parametrize(("ramp", "exponent"), [(10, 1.0), (4, 2.0), (1, 1.0), (0, 1.0)])
def test_the_ramp_is_the_official_table(ramp, exponent):
    table = official_table(0.3, 14, ramp, exponent)
    rates = torch.tensor([0.3, 0.3], dtype=torch.float64)
    options = SmallLoss(ramp=ramp, exponent=exponent)
    found = [float(options.rate(rates, torch.tensor(number))[0]) for number in range(14)]
    assert found == pytest.approx(table.tolist(), abs=1e-12)
    assert table[-1] == 0.3


def test_the_official_scaling_divides_once_more():
    p, y, _ = drawn(1)
    tensors = torch.from_numpy(p), torch.from_numpy(y), torch.tensor(0.2, dtype=torch.float64)
    losses, kept = coteaching.Config(plus=False).build(None).losses(*tensors)
    scaled, _ = coteaching.Config(plus=False, official_scaling=True).build(None).losses(*tensors)
    assert torch.allclose(scaled, losses / kept.flip(0).sum((1, 2)))


def pair(seed=0, videos=6, classes=5):
    generator = torch.Generator().manual_seed(seed)
    extras = {
        f"peers.{name}": torch.rand(2, videos, classes, generator=generator)
        for name in ("audio", "visual", "video")
    }
    labels = (torch.rand(videos, classes, generator=generator) < 0.4).float()
    empty = torch.zeros(videos, 1, 2, classes)
    found = Prediction(empty, *(extras[f"peers.{n}"][0] for n in ("audio", "visual", "video")))
    prediction = Prediction(found.segment, found.audio, found.visual, found.video, extras)
    return prediction, labels, Batch({}, labels, torch.arange(videos))


def targets(labels, *rates):
    extras = {RATES: torch.tensor(rates, dtype=torch.float64)} if rates else {}
    return ModalityLabels(labels, labels, labels, extras=extras)


def test_the_total_of_coteaching_is_the_sum_over_networks_and_terms():
    prediction, labels, batch = pair()
    objective = coteaching.Config(plus_round=3).build(None)
    rates = (0.3, 0.6)
    for number, share in ((0, 0.0), (2, 2 / 9), (5, 5 / 9), (30, 1.0)):
        objective.start_round(number)
        found = objective(prediction, targets(labels, *rates), batch)
        expected = 0.0
        for k in (0, 1):
            video = prediction.extras["peers.video"][k]
            expected += torch.nn.functional.binary_cross_entropy(video, labels)
        for index, name in enumerate(("audio", "visual")):
            p = prediction.extras[f"peers.{name}"].numpy().astype(float)
            means, _ = slow_coteaching(p, labels.numpy(), rates[index] * share, number >= 3, 0)
            expected += sum(means)
        assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert int(objective.step) == 4


@pytest.mark.parametrize("kind", [coteaching, jocor])
def test_without_shares_every_label_is_learnt_from(kind):
    prediction, labels, batch = pair()
    objective = kind.Config(agreement=0.0) if kind is jocor else kind.Config()
    found = objective.build(None)(prediction, targets(labels), batch)
    bce = torch.nn.functional.binary_cross_entropy
    expected = sum(bce(one, labels) for value in prediction.extras.values() for one in value)
    assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-6)
    assert not any(name.startswith("kept") for name in found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: coteaching.Config(agreed_steps=-1), "agreed_steps"),
        (lambda: jocor.Config(agreement=1.5), "agreement"),
        (lambda: SmallLoss(ramp=-1), "ramp"),
        (lambda: load_recipe("han+jocor", {"network.base": "peers"}), "another network"),
        (lambda: load_recipe("han+jocor", {"network.base": "hann"}), "did you mean 'han'"),
        (lambda: load_recipe("han+jocor", {"network.options": {"widht": 1}}), "'widht'"),
        (lambda: load_recipe("han+jocor", {"denoiser.visual": 1.0}), "visual must lie in"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(RlldError, match=message):
        make()


def peers(data, **overrides):
    recipe = load_recipe("han+coteaching", overrides, data.spec.overrides)
    torch.manual_seed(0)
    return recipe.build_network(data.spec).eval()


@pytest.mark.parametrize("method", ["forward", "unimodal"])
def test_the_pair_holds_two_networks_of_its_own(tiny_data, method):
    data = load_data(tiny_data)
    network = peers(data, **{"network.options": {"layers": 2, "chained": True}})
    assert not torch.equal(network.first.fc_a.weight, network.second.fc_a.weight)
    assert network.first.config.hidden == 16
    assert network.first.config.layers == 2
    streams = {name: value[:5] for name, value in data.train.streams.items()}
    both = [getattr(part, method)(streams) for part in (network.first, network.second)]
    for who, expected in (
        ("first", lambda a, b: a),
        ("second", lambda a, b: b),
        ("average", lambda a, b: (a + b) / 2),
    ):
        network.predicts = who
        found = getattr(network, method)(streams)
        for name in ("segment", "audio", "visual", "video"):
            one, other = (getattr(part, name) for part in both)
            assert torch.allclose(getattr(found, name), expected(one, other))
            assert torch.equal(found.extras[f"peers.{name}"], torch.stack([one, other]))
    joined = network.with_unimodal(streams)
    assert torch.allclose(joined[0].audio, network.unimodal(streams).audio)
    assert torch.allclose(joined[1].audio, network(streams).audio)
    assert "audio_before" in joined[1].extras or network.predicts == "average"


@pytest.mark.parametrize("recipe", RECIPES)
def test_gradient_reaches_both_networks(tiny_data, recipe):
    data = load_data(tiny_data)
    network = peers(data).train()
    objective = load_recipe(recipe).build_objective(data.spec)
    objective.start_round(20)
    batch = data.train.all()
    labels = targets(batch.labels, 0.1, 0.3)
    objective(network(batch.streams), labels, batch)["loss"].backward()
    for name, parameter in network.named_parameters():
        if not name.endswith(("att.bias",)):  # a softmax cancels these
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_shares_are_the_means_of_jomolds_ratios(tiny_data, tmp_path):
    path, out = tmp_path / "noise_ratios.npz", tmp_path / "run"
    ratios = jomold.Ratios(torch.tensor([0, 0.1, 0.2, 0.1]), torch.tensor([0.9, 0.5, 0, 0.2]))
    jomold.write_ratios(path, ratios.double())
    overrides = {"denoiser.ratios": str(path), "schedule.rounds": 3, "denoiser.audio": 0.25}
    rlld.train("han+coteaching", tiny_data, out, compute=COMPUTE, overrides=overrides)
    shares = load_denoiser(load_run(out)).shares.rates
    assert shares.tolist() == pytest.approx([0.25, 0.4])
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["kept_visual"] <= 1 for line in lines)


def test_estimated_shares_are_those_of_jomolds_own_estimator(tiny_data):
    """The first of the two networks is trained as a single one would be."""
    data = load_data(tiny_data)
    rounds = {"schedule.rounds": 8, "denoiser.estimator.visual_threshold": 0.9}
    # Dropout of two networks draws other random numbers than that of one.
    pair = {**rounds, "network.options": {"attention_dropout": 0.0}}
    recipe = load_recipe("han+jocor", pair, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 3, COMPUTE)
    next(trainer.steps())
    found = trainer.denoiser.shares.rates
    single = {**rounds, "network.attention_dropout": 0.0, "denoiser": "jomold"}
    plain = load_recipe("han", single, data.spec.overrides)
    source = Trainer(plain, data.train, data.validation, 3, COMPUTE).denoiser.ratios
    assert found.tolist() == [float(source.audio.mean()), float(source.visual.mean())]
    assert 0 < found[1] < 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_resuming_after_any_step_changes_nothing(tiny_data, tmp_path, recipe):
    data = load_data(tiny_data)
    overrides = {"schedule.rounds": 3, "objective.selection.ramp": 2}
    loaded = load_recipe(recipe, overrides, data.spec.overrides)

    def fresh() -> Trainer:
        return Trainer(loaded, data.train, data.validation, 7, COMPUTE)

    require_resumable(fresh, tmp_path, (1, 4, 7))
