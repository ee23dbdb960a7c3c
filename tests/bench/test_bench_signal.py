"""The signal of the reward: differences of trials, against the same steps taken by hand."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from rlld.bench.page import json_text, markdown
from rlld.bench.studies import signal as module
from rlld.bench.studies.signal import (
    CONSTANT,
    EPISODE,
    KEEP_ALL,
    MEASURES,
    TENTH,
    TRUE,
    Meter,
    Spread,
    brakes,
    page,
    removals,
    signal,
)
from rlld.data.dataset import load_data
from rlld.denoisers._given import Given
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.training.predict import predict_split
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute


@pytest.fixture(scope="module")
def found(tiny_data):
    return signal(tiny_data, after=(2, 4), batches=3, repeats=2, command="rlld bench signal")


def by_hand(tiny_data, names: list[str]) -> dict[str, float]:
    """Trains a network from the start, on the labels of each step, and judges it."""
    data = load_data(tiny_data, with_truth=True)
    settings = {**EPISODE, "schedule.updates": len(names)}
    recipe = load_recipe("weak", settings, data.spec.overrides)
    policies = removals(data.train, data.validation)

    class Changing(Given):
        step = 0

        def revise(self, batch, prediction):
            labels = policies[names[self.step]][batch.index]
            self.step += 1
            return module._targets(labels, batch.labels)

    changing = Changing(module._targets(policies[KEEP_ALL], data.train.labels))
    trainer = Trainer(recipe, data.train, None, 0, Compute("cpu", threads=1), changing)
    for _ in trainer.steps():
        pass
    meter = Meter(data.validation, recipe.gate)
    return meter(predict_split(trainer.network, data.validation))


def test_a_trial_is_a_step_from_the_same_weights(tiny_data):
    (one,) = [
        e for e in signal(tiny_data, after=(2,), batches=1, repeats=1).steps if e.labels == TRUE
    ]
    changed = by_hand(tiny_data, [KEEP_ALL, KEEP_ALL, TRUE])
    kept = by_hand(tiny_data, [KEEP_ALL, KEEP_ALL, KEEP_ALL])
    for name in MEASURES:
        assert one.measures[name].mean == pytest.approx(changed[name] - kept[name], abs=1e-4)
        assert one.measures[name].sd is None


def test_removals_are_what_they_say(tiny_data):
    data = load_data(tiny_data, with_truth=True)
    found = removals(data.train, data.validation)
    weak = data.train.labels
    assert torch.equal(found[KEEP_ALL], weak.unsqueeze(1).expand(-1, 2, -1))
    assert torch.equal(found[TRUE].bool(), data.train.truth.any(1) & weak.bool().unsqueeze(1))
    for labels in found.values():
        assert bool((labels <= weak.unsqueeze(1)).all())
    decisions = (found[CONSTANT] + (1 - weak).unsqueeze(1)).bool()
    assert bool((decisions.all(0) | ~(found[CONSTANT] > 0).any(0)).all())
    assert 0 < found[TENTH].sum() < found[KEEP_ALL].sum()


def test_the_inter_reward_is_that_of_the_findings():
    table = brakes()
    rows = {row[0]: dict(zip(table.heads[1:], row[1:], strict=True)) for row in table.rows}
    assert rows["both sides 0.9 y + 0.05"]["1 of 2"] == "0.694"
    assert rows["both sides 0.9 y + 0.05"]["2 of 3"] == "0.575"
    assert rows["both sides 0.9 y + 0.1 / C"]["1 of 3"] == "0.579"
    assert rows["revised labels clipped"]["1 of 3"] == "0.337"
    assert rows["both sides 0.9 y + 0.05"]["0 of 1"] == "1.000"


def test_everything_is_told(found):
    text, data = markdown(page(found)), json.loads(json_text(page(found)))
    assert "one step, after 2 (sd)" in text
    assert "one step, after 4 (sd)" in text
    assert {line["labels"] for line in data["effects"]} >= {TRUE, CONSTANT, TENTH, "all labels"}
    episodes = [line for line in data["effects"] if line["when"] == "one episode"]
    assert len(episodes) == 5
    assert episodes[0]["removed_per_batch"] == [0, 0]
    assert all(line["measures"].keys() == MEASURES.keys() for line in data["effects"])
    assert data["inter_reward"][KEEP_ALL] == pytest.approx([1, 1], abs=1e-6)
    assert max(data["inter_reward"][TRUE]) < 1
    rows = list(csv.DictReader(page(found).sheet.splitlines()))
    effects = [line for line in data["effects"] if line["labels"] == TRUE]
    assert len(rows) == (2 + len(MEASURES)) * len(data["effects"]) + 2 * len(data["inter_reward"])
    kept = {(row["when"], row["measure"]): row for row in rows if row["labels"] == TRUE}
    for line in effects:
        for name, spread in line["measures"].items():
            row = kept[line["when"], name]
            assert float(row["mean"]) == pytest.approx(spread["mean"], abs=1e-4)
            assert float(row["sd"]) == pytest.approx(spread["sd"], abs=1e-4)
        removed = [float(kept[line["when"], f"removed_{m}"]["mean"]) for m in ("audio", "visual")]
        assert removed == pytest.approx(line["removed_per_batch"], abs=1e-4)
    assert float(kept["", "inter_reward_audio"]["mean"]) < 1


def test_a_batch_has_the_videos_that_the_data_ask_for(found):
    assert found.batch == 16
    assert "per batch of 16 videos" in markdown(page(found))


def test_a_batch_has_no_more_videos_than_the_data(tiny_data, monkeypatch):
    monkeypatch.setitem(EPISODE, "schedule.batch_size", 128)
    train = load_data(tiny_data, with_truth=True).train
    found = signal(tiny_data, after=(1,), batches=1, repeats=1)
    wrong = (train.labels.unsqueeze(1).bool() & ~train.truth.any(1)).sum((0, 2)).tolist()
    removed = [e.removed for e in (*found.steps, *found.episodes) if e.labels == TRUE]
    assert found.batch == len(train)
    assert removed == [pytest.approx(wrong)] * 2


def test_spreads_are_those_of_a_sample():
    assert Spread.of([1.0, 3.0]) == Spread(2.0, pytest.approx(2**0.5))
    assert Spread.of([1.0]) == Spread(1.0, None)


def test_what_is_wrong_is_told(tiny_data, tmp_path):
    import shutil

    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    spec = data / "dataset.yaml"
    text = spec.read_text().replace("truth_audio.csv", "''").replace("truth_visual.csv", "''")
    spec.write_text(text)
    with pytest.raises(RlldError, match="not known"):
        signal(data)
    with pytest.raises(RlldError, match="1 or more"):
        signal(tiny_data, after=())
