"""Training on videos of any length: all of a video teaches, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rlld
from any_length_kit import SPEC, draw_maps, write_set
from rlld.data.dataset import load_data
from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.evaluation.scoring import evaluate
from rlld.metrics.noise_detection import auc
from rlld.parsing.parse import parse
from rlld.parsing.sources import stored_features
from rlld.recipes.recipe import load_recipe
from rlld.training.cache import training_key
from rlld.training.loop import train, train_seeds
from rlld.training.predict import predict_split
from rlld.training.run_folder import load_run
from rlld.types import AUDIO, ModalityLabels
from rlld.utils.compute import Compute

CPU = Compute("cpu", threads=1)
SHORT = {"schedule.rounds": 2}
LENGTHS = {
    "train": [3, 40, 9, 4, 17, 5, 60, 8, 30, 6, 12, 20] * 3,
    "validation": [5, 33, 8, 14, 50, 21, 3, 11],
    "test": [4, 44, 10, 19, 7, 28],
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("sets") / "mixed", draw_maps(LENGTHS))


def test_a_prediction_of_a_split_is_that_of_each_video_alone(mixed: Path, tmp_path: Path) -> None:
    run = rlld.train("weak", mixed, tmp_path / "run", compute=CPU, overrides=SHORT)
    test = load_data(mixed).test
    found = predict_split(run.network, test)
    assert found.segment.shape == (6, 60, 2, 4)
    for row, length in enumerate(LENGTHS["test"]):
        alone = run.predict({name: value[None] for name, value in _rows(test, row).items()})
        for part in ("audio", "visual", "video"):
            torch.testing.assert_close(getattr(found, part)[row], getattr(alone, part)[0])
        torch.testing.assert_close(found.segment[row, :length], alone.segment[0])
        assert not found.segment[row, length:].any()


def _rows(split: Split, row: int) -> dict[str, torch.Tensor]:
    batch = split.batch(torch.tensor([row]))
    assert batch.mask is None
    return {name: value[0] for name, value in batch.streams.items()}


LAST = 20
"""Seconds at the end of the long videos that alone hold the bell."""


def _late_bells(lengths: list[int], seed: int) -> list[np.ndarray]:
    """Half of the long videos have a bell, at their end and nowhere else; horses are anywhere."""
    rng = np.random.default_rng(seed)
    found = []
    for number, segments in enumerate(lengths):
        maps = np.zeros((segments, 2, len(SPEC.classes)), bool)
        start = rng.integers(max(1, segments - 6))
        maps[start : start + 6, rng.integers(2), SPEC.classes.index("Horse")] = True
        if segments > 100 and number % 2:
            start = segments - rng.integers(8, LAST)
            maps[start : start + 8, AUDIO, SPEC.classes.index("Bell")] = True
        found.append(maps)
    return found


@pytest.mark.slow
def test_three_minutes_teach_from_all_of_their_three_minutes(tmp_path: Path) -> None:
    counts = {"train": 48, "validation": 4, "test": 24}
    lengths = {split: [180, 180, 12, 30] * (count // 4) for split, count in counts.items()}
    maps = {split: _late_bells(own, seed) for seed, (split, own) in enumerate(lengths.items())}
    bell = SPEC.classes.index("Bell")
    early = [each[: len(each) - LAST, :, bell] for own in maps.values() for each in own]
    assert not any(each.any() for each in early)
    data = write_set(tmp_path / "data", maps, replace(SPEC, segment_seconds=1.0))
    settings = {"schedule.updates": 150, "selection.score": "last"}
    run = rlld.train("weak", data, tmp_path / "run", compute=CPU, overrides=settings)
    heard = predict_split(run.network, load_data(data).test).segment[:, :, AUDIO, bell].double()
    found = 0
    for row, each in enumerate(maps["test"]):
        rung = torch.from_numpy(each[:, AUDIO, bell])
        if rung.any():
            found += 1
            assert auc(heard[row, : len(each)], rung) > 90
    assert found == 6


def test_equal_lengths_give_what_a_fixed_length_gives(tmp_path: Path) -> None:
    maps = draw_maps({"train": [7] * 30, "validation": [7] * 8, "test": [7] * 5})
    runs = []
    for name, any_length in (("fixed", False), ("any", True)):
        data = write_set(tmp_path / name, maps, replace(SPEC, any_length=any_length))
        run = rlld.train("weak", data, tmp_path / f"run-{name}", compute=CPU, overrides=SHORT)
        runs.append((run, evaluate(run)))
    (one, its), (other, others) = runs
    weights = other.network.state_dict()
    assert all(torch.equal(v, weights[name]) for name, v in one.network.state_dict().items())
    assert its.scores == others.scores


@pytest.mark.parametrize("recipe", ["weak", "supervised", "rlld-labelwise"])
def test_resumed_is_the_same_bytes(mixed: Path, tmp_path: Path, recipe: str) -> None:
    settings = dict(SHORT)
    if recipe == "rlld-labelwise":
        quick = {"folds": 2, "judges": 1, "steps": 3}
        settings |= {f"denoiser.labelwise.{name}": value for name, value in quick.items()}
    data = load_data(mixed)
    made = load_recipe(recipe, settings, data.spec.overrides)

    whole = train(made, data, tmp_path / "whole", compute=CPU)
    watcher = _Stopping()
    with pytest.raises(KeyboardInterrupt):
        train(made, data, tmp_path / "cut", compute=CPU, checkpoint_seconds=0, watcher=watcher)
    train(made, data, tmp_path / "cut", compute=CPU, resume=True)
    for name in ("model.safetensors", "golden.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (whole.path / name).read_bytes()


class _Stopping:
    """Interrupts a run at the end of its first round."""

    def start(self, *_: object) -> Callable[[object], None]:
        def stop(report: object) -> None:
            raise KeyboardInterrupt

        return stop


def test_several_seeds_at_once_are_refused_in_a_sentence(mixed: Path, tmp_path: Path) -> None:
    data = load_data(mixed)
    recipe = load_recipe("weak", SHORT, data.spec.overrides)
    with pytest.raises(RlldError, match="with videos of any length; train one seed after"):
        train_seeds(recipe, data, tmp_path / "seeds", [0, 1], compute=CPU)


def test_train_evaluate_parse(mixed: Path, tmp_path: Path) -> None:
    quick = {"folds": 2, "judges": 1, "steps": 3}
    settings = SHORT | {f"denoiser.labelwise.{name}": value for name, value in quick.items()}
    rlld.train("rlld-labelwise", mixed, tmp_path / "run", compute=CPU, overrides=settings)
    run = load_run(tmp_path / "run")
    assert 0 <= evaluate(run).scores.mean <= 100
    store = mixed / "features/test.safetensors"
    for row, length in enumerate(LENGTHS["test"]):
        parsed = parse(run, stored_features(store, f"test_{row:03d}", run.spec))
        assert parsed.duration == length * run.spec.segment_seconds
        assert len(parsed.probabilities) == length


def test_kept_networks_of_other_lengths_are_not_taken(mixed: Path) -> None:
    train_split = load_data(mixed).train
    assert train_split.lengths is not None
    labels = ModalityLabels(*(train_split.labels,) * 3)
    other = replace(train_split, lengths=train_split.lengths.flip(0))
    keys = {
        training_key(load_recipe("weak"), split, labels, 0, unimodal=False)
        for split in (train_split, other)
    }
    assert len(keys) == 2


@pytest.mark.parametrize("recipe", ["han", "rlld"])
def test_recipes_with_epochs_and_with_episodes_learn_from_it(
    mixed: Path, tmp_path: Path, recipe: str
) -> None:
    run = rlld.train(recipe, mixed, tmp_path / "run", compute=CPU, overrides=SHORT)
    found = predict_split(run.network, load_data(mixed).test)
    found.require_numbers("test")
    assert (tmp_path / "run/metrics.jsonl").is_file()
