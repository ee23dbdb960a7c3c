"""The network on the bare tags that a run which cleans labels is shown beside."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import rlld
from cli_kit import called
from rlld.data.dataset import load_data
from rlld.evaluation.outcome import outcome
from rlld.metrics.scores import NAMES
from rlld.recipes.fitting import LARGE
from rlld.recipes.recipe import load_recipe
from rlld.training import compared
from rlld.training.compared import is_cheap, weak_scores
from rlld.training.monitor import NotFiniteError
from rlld.training.run_folder import CONFIG
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute
from tiny import quick_labelwise

COMPUTE = Compute(device="cpu", threads=1)
SAME = {
    "fit": False,
    "schedule.rounds": 2,
    "selection.score": "last",
    "selection.reward_share": 1.0,
}
QUICK = {
    **SAME,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.judges": 1,
    "denoiser.labelwise.steps": 5,
}


def train(tiny_data, out, **options):
    return rlld.train("rlld-labelwise", tiny_data, out, compute=COMPUTE, overrides=QUICK, **options)


def said(run):
    """Returns what a run folder holds, but for how long it took."""
    config = json.loads((run.path / CONFIG).read_text())
    del config["facts"]["seconds"]
    return config, (run.path / "model.safetensors").read_bytes()


def test_it_scores_what_the_recipe_weak_scores(tiny_data, tmp_path):
    run = train(tiny_data, tmp_path / "run")
    weak = rlld.train("weak", tiny_data, tmp_path / "weak", compute=COMPUTE, overrides=SAME)
    assert run.facts["weak"] == {"videos": 20, "scores": weak.facts["validation"]}
    assert run.facts["weak"]["scores"] != run.facts["validation"]
    rows = outcome(run, load_data(tiny_data)).rows("mine")
    assert list(rows) == ["mine", "weak", "bare tags", "nothing"]
    assert rows["weak"] == weak.facts["validation"]


def test_it_changes_nothing_about_the_run(tiny_data, tmp_path, monkeypatch):
    with_it = said(train(tiny_data, tmp_path / "with"))
    monkeypatch.setattr("rlld.api.is_cheap", lambda *_: False)
    without = said(train(tiny_data, tmp_path / "without"))
    assert with_it[0]["facts"].pop("weak")
    assert with_it == without


@pytest.mark.parametrize("moment", ["fit", "scores"])
def test_a_run_that_stops_meanwhile_goes_on_to_the_same(tiny_data, tmp_path, monkeypatch, moment):
    whole = said(train(tiny_data, tmp_path / "whole"))
    real = getattr(Trainer, moment)

    def stop(self, *args, **kwargs):
        if self.updates == self.total_updates and (moment == "fit" or len(args) > 1):
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, moment, stop)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_data, tmp_path / "run")
    assert not (tmp_path / "run" / CONFIG).exists()
    trained = []
    finish = Trainer.finish
    monkeypatch.setattr(Trainer, "finish", lambda self: (trained.append(self), finish(self)))
    assert said(train(tiny_data, tmp_path / "run", resume=True)) == whole
    # What was saved last is the beginning, whose networks for evidence are kept as well.
    assert len(trained) == (1 if moment == "fit" else 0)


def test_a_comparison_that_breaks_down_does_not_cost_the_run(tiny_data, tmp_path, monkeypatch):
    fit = Trainer.fit

    def broken(self, *args, **kwargs):
        if self.updates == self.total_updates:
            raise NotFiniteError("update 3: not finite in loss")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "fit", broken)
    run = train(tiny_data, tmp_path / "run")
    assert "weak" not in run.facts and run.facts["validation"]
    assert list(outcome(run, load_data(tiny_data)).rows("run")) == ["run", "bare tags", "nothing"]


def test_only_the_cleaning_of_small_annotated_sets_is_compared(tiny_data, monkeypatch):
    data = load_data(tiny_data)
    for name in ("weak", "jomold", "rlld", "true-labels", "supervised"):
        assert not is_cheap(load_recipe(name), data)
    recipe = load_recipe("rlld-labelwise")
    assert is_cheap(recipe, data)
    untold = replace(data.validation, dense=None)
    monkeypatch.setitem(data.__dict__, "steering", untold)
    assert not is_cheap(recipe, data)
    monkeypatch.setitem(data.__dict__, "steering", data.validation)
    monkeypatch.setattr(compared, "LARGE", 48)
    assert LARGE > 48 and not is_cheap(recipe, data)


def test_scores_on_other_videos_or_of_somebody_else_are_no_row():
    scores = dict.fromkeys(NAMES, 1.0)
    kept = {"weak": {"videos": 3, "scores": scores}}
    assert weak_scores(kept, 3) == scores
    assert weak_scores(kept, 4) == {}  # annotated since
    assert weak_scores({}, 3) == {}
    for wrong in ({}, [1], None, {**scores, "segment_type": "high"}):
        assert weak_scores({"weak": {"videos": 3, "scores": wrong}}, 3) == {}


def test_the_end_of_a_training_and_its_page_show_the_row(tiny_data, tmp_path):
    words = [f"--{key}={value}" for key, value in QUICK.items()]
    result = called(
        "train", "rlld-labelwise", "--data", tiny_data, "--out", tmp_path / "run", *words
    )
    assert result.returncode == 0, result.stderr
    row = json.loads((tmp_path / "run" / CONFIG).read_text())["facts"]["weak"]["scores"]
    shown = next(line for line in result.stdout.splitlines() if line.strip().startswith("weak "))
    assert shown.split()[1:] == [f"{value:.1f}" for value in row.values()]
    assert "weak: the same network on the bare tags" in result.stdout
    assert called("report", tmp_path / "run").returncode == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<th scope="row">weak</th>' in page and "Weak: the same network" in page


def test_a_run_written_before_has_no_row(tiny_data, tmp_path):
    run = quick_labelwise(tiny_data, tmp_path / "run")
    old = replace(run, facts={key: v for key, v in run.facts.items() if key != "weak"})
    assert "weak" not in outcome(old, load_data(tiny_data)).rows("run")
