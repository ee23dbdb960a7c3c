"""JoMoLD: the worked example of its paper's figure, a slow reference, and what it refuses."""

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
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)


def slow_removals(targets, losses, ratios):
    """The published rule with its loops: class by class, sorted lists, sets."""
    removed = np.zeros(targets.shape, dtype=bool)
    for own in (0, 1):
        for label in range(targets.shape[2]):
            videos = [v for v in range(targets.shape[1]) if targets[own, v, label] > 0.5]
            number = int(ratios[own, label] * len(videos))
            if number == 0:
                continue
            by_own = sorted(videos, key=lambda v: losses[own, v, label])
            by_other = sorted(videos, key=lambda v: losses[1 - own, v, label])
            for video in set(by_own[-number:]) & set(by_other[:number]):
                removed[own, video, label] = True
    return removed


def test_the_worked_example():
    """The figure of the publication gives losses; the probability of a label is exp(-loss)."""
    losses = torch.tensor([[0.6, 0.2, 0.45, 0.15, 0.7, 0.9], [1.1, 0.8, 0.4, 0.5, 0.3, 0.1]])
    targets = torch.ones(2, 6, 1)
    ratios = torch.tensor([[0.18], [0.5]], dtype=torch.float64)
    removed = jomold.removals(targets, (-losses).exp()[..., None], ratios)
    assert removed[0, :, 0].nonzero().flatten().tolist() == [5]
    assert removed[1, :, 0].nonzero().flatten().tolist() == [1, 3]


@given(st.integers(0, 10**6), st.sampled_from([1.0, 0.9]), st.booleans())
def test_removals_follow_the_published_loops(seed, smoothing, with_ties):
    rng = np.random.default_rng(seed)
    labels = rng.random((13, 5)) < rng.random()
    targets = torch.from_numpy(np.stack([labels, smoothing * labels + (1 - smoothing) / 2]))
    probability = rng.random((2, 13, 5)).round(1 if with_ties else 9)
    ratios = torch.from_numpy(rng.random((2, 5)))
    values = torch.from_numpy(probability).float()
    targets = targets.float()
    found = jomold.removals(targets, values, ratios)
    clamped = values.clamp(1e-7, 1 - 1e-7)
    losses = torch.nn.functional.binary_cross_entropy(clamped, targets, reduction="none")
    assert np.array_equal(found.numpy(), slow_removals(targets, losses, ratios.numpy()))


def test_ratios_by_hand():
    """Three videos in batches of two: the lone third weighs as much as the two before."""
    probability = torch.tensor([[[0.2], [0.6], [0.4]], [[0.9], [0.5], [0.1]]])
    labels = torch.tensor([[1.0], [1.0], [0.0]])
    targets = torch.stack([labels, 0.9 * labels + 0.05])
    audio, visual = jomold.noise_ratios(probability, targets, jomold.Estimator(batch_size=2))
    # Means: audio (0.4 + 0.4) / 2, of which 0.2 is half and 0.6 is 1.5 times; visual
    # (0.7 + 0.1) / 2, of which 0.95 * 0.9 is 2.1 times and 0.95 * 0.5 is 1.2 times.
    assert audio.tolist() == [0.5]
    assert visual.tolist() == [0.5]
    empty = jomold.noise_ratios(probability, torch.zeros(2, 3, 1), jomold.Estimator())
    assert [value.tolist() for value in empty] == [[0.0], [0.0]]


@pytest.mark.parametrize("length", [0.5, 0.9, 1.0, 2.5])
def test_the_released_warm_up_ramps_what_it_has_ramped(length):
    epoch, ratio = 7, 0.8
    for number in range(4):
        current = ratio
        for step in range(epoch):
            factor = (number * epoch + step) / (length * epoch)
            current = min(current, current * factor)
            found = ratio * jomold.warm_up("released", number * epoch + step, epoch, length)
            assert found == pytest.approx(current, abs=1e-12)


def test_the_released_warm_up_removes_nothing_in_the_first_epoch():
    shares = [jomold.warm_up("released", step, 79, 0.9) for step in range(3 * 79)]
    assert shares == [0.0] * 79 + [1.0] * 158


def test_the_corrected_warm_up_is_a_straight_line():
    shares = [jomold.warm_up("linear", step, 10, 0.8) for step in range(12)]
    assert shares == pytest.approx([0, 1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1, 1, 1, 1])
    assert jomold.warm_up("none", 0, 10, 0.8) == 1


def test_ratios_come_back_from_a_file(tmp_path):
    path = tmp_path / "noise_ratios.npz"
    written = jomold.Ratios(torch.rand(4).double(), torch.rand(4).double())
    jomold.write_ratios(path, written)
    found = jomold.read_ratios(path, 4)
    assert torch.equal(found.audio, written.audio)
    assert torch.equal(found.visual, written.visual)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"audio": np.zeros(4)}, "expected an npz file with the arrays"),
        ({"audio": np.zeros(4), "visual": np.array([None] * 4)}, "expected an npz file"),
        ({"audio": np.zeros(4), "visual": np.zeros(3)}, r"'visual' has shape \(3,\), expected"),
        ({"audio": np.full(4, np.nan), "visual": np.zeros(4)}, r"'audio' holds values outside"),
        ({"audio": np.full(4, 1.5), "visual": np.zeros(4)}, r"'audio' holds values outside"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, arrays, message):
    path = tmp_path / "ratios.npz"
    np.savez(path, **arrays)
    with pytest.raises(RlldError, match=message) as caught:
        jomold.read_ratios(path, 4)
    assert str(path) in str(caught.value)


def test_what_is_no_file_of_ratios_is_named(tmp_path):
    path = tmp_path / "ratios.npz"
    with pytest.raises(RlldError, match="no noise ratios in it"):
        jomold.read_ratios(path, 4)
    path.write_bytes(b"no archive")
    with pytest.raises(RlldError, match="no noise ratios in it"):
        jomold.read_ratios(path, 4)
    np.save(path.with_suffix(".npy"), np.zeros(4))
    with pytest.raises(RlldError, match="no noise ratios in it"):
        jomold.read_ratios(path.with_suffix(".npy"), 4)


@pytest.mark.parametrize("options", [{"warm_up_epochs": 0}, {"visual_smoothing": 0}])
def test_options_out_of_range(options):
    with pytest.raises(RlldError, match=next(iter(options))):
        jomold.Config(**options)


def test_the_estimator_trains_without_the_other_modality(tiny_data):
    """Its cross-modal attention is as it was initialised, everything else has moved."""
    data = load_data(tiny_data)
    recipe = load_recipe("jomold", {"schedule.rounds": 2}, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 3, COMPUTE)
    # An estimator starts from the same weights as the task network.
    initial = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    before = torch.get_rng_state()
    settings = {"objective.contrastive.weight": 1.0}
    labels = rlld.types.ModalityLabels(*[trainer.train.labels] * 3)
    estimator = trainer.fit(labels, unimodal=True, settings=settings)
    assert torch.equal(before, torch.get_rng_state())
    for name, value in estimator.state_dict().items():
        assert torch.equal(value, initial[name]) == ("cm_attn" in name), name


def test_a_run_keeps_its_ratios_and_counts_its_removals(tiny_data, tmp_path):
    path = tmp_path / "noise_ratios.npz"
    half = torch.full((4,), 0.5, dtype=torch.float64)
    jomold.write_ratios(path, jomold.Ratios(half * 0, half))
    overrides = {"denoiser.ratios": str(path), "schedule.rounds": 3}
    out = tmp_path / "run"
    rlld.train("jomold", tiny_data, out, compute=COMPUTE, overrides=overrides)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["removed_audio"] for line in lines] == [0, 0, 0]
    assert lines[0]["removed_visual"] == 0
    assert lines[1]["removed_visual"] > 0
    kept = rlld.training.run_folder.load_denoiser(rlld.training.run_folder.load_run(out))
    assert torch.equal(kept.ratios.visual, half)


def test_estimated_ratios_are_shares_and_the_same_every_time(tiny_data):
    data = load_data(tiny_data)
    recipe = load_recipe("jomold+cl", {"schedule.rounds": 8}, data.spec.overrides)
    first, second = (Trainer(recipe, data.train, data.validation, 1, COMPUTE) for _ in range(2))
    for name in ("audio", "visual"):
        value = getattr(first.denoiser.ratios, name)
        assert torch.equal(value, getattr(second.denoiser.ratios, name))
        counts = value * data.train.labels.sum(0)
        assert torch.allclose(counts, counts.round(), atol=1e-9)
        assert 0 <= value.min() <= value.max() <= 1
    assert first.denoiser.ratios.visual.sum() > 0


@pytest.mark.parametrize("recipe", ["jomold", "jomold+cl"])
def test_resuming_after_any_step_changes_nothing(tiny_data, tmp_path, recipe):
    data = load_data(tiny_data)
    loaded = load_recipe(recipe, {"schedule.rounds": 3}, data.spec.overrides)

    def fresh() -> Trainer:
        return Trainer(loaded, data.train, data.validation, 7, COMPUTE)

    _, reports = require_resumable(fresh, tmp_path, (1, 4, 5, 7))
    assert sum(report["removed_visual"] for report in reports) > 0


def test_the_shared_embedding_changes_no_number(tiny_data):
    """One pass for both predictions gives what two passes give, gradients too."""
    data = load_data(tiny_data)
    recipe = load_recipe("jomold", {}, data.spec.overrides)
    torch.manual_seed(0)
    network = recipe.build_network(data.spec).double().train()
    streams = {name: value[:5].double() for name, value in data.train.streams.items()}

    def both(shared: bool) -> list[torch.Tensor]:
        torch.manual_seed(1)
        network.zero_grad()
        if shared:
            unimodal, found = network.with_unimodal(streams)
        else:
            with torch.no_grad():
                unimodal = network.unimodal(streams)
            found = network(streams)
        assert not unimodal.audio.requires_grad
        (found.audio.sum() + found.video.square().sum()).backward()
        gradients = [p.grad.clone() for p in network.parameters()]
        return [unimodal.segment, unimodal.visual, found.segment.detach(), *gradients]

    for one, other in zip(both(True), both(False), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)
