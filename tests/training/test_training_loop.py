"""Whole runs on a tiny data set: the same numbers every time, interrupted or not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import rlld
from cli_kit import Forked
from rlld.data.dataset import load_data
from rlld.denoisers._given import Given
from rlld.errors import RlldError
from rlld.metrics.scores import scores
from rlld.recipes.recipe import load_recipe
from rlld.recipes.selection import Selection
from rlld.training.trainer import Trainer
from rlld.training.validation import partition, require_validation
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute

TIMES = ("seconds", "videos_per_second")
COMPUTE = Compute(device="cpu", threads=1)
PUBLISHED = {"fit": False}


def results(folder: Path) -> tuple[list[dict], dict[str, bytes]]:
    """Everything of a run that must not depend on when it was interrupted."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    curves = [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
    weights = {p.name: p.read_bytes() for p in sorted(folder.glob("*.safetensors"))}
    return curves, weights


def started(data: Path, out: Path, recipe: str, rounds: int, *more: str) -> Forked:
    settings = ("--schedule.rounds", rounds, "--device", "cpu")
    paths = ("--data", data, "--out", out)
    return Forked("train", recipe, *paths, *settings, *more, log=out.with_suffix(".log"))


@pytest.mark.parametrize("recipe", ["han", "rlld"])
def test_the_same_seed_gives_the_same_bytes(tiny_data, tmp_path, recipe):
    options = {"seed": 4, "compute": COMPUTE, "overrides": {"schedule.rounds": 3}}
    for name in ("first", "second"):
        rlld.train(recipe, tiny_data, tmp_path / name, **options)
    assert results(tmp_path / "first") == results(tmp_path / "second")
    other = {**options, "seed": 5}
    rlld.train(recipe, tiny_data, tmp_path / "other", **other)
    assert results(tmp_path / "other") != results(tmp_path / "first")


def test_trainings_in_threads_give_what_each_gives_alone(tiny_data, tmp_path):
    """They drew from one generator between each other, so that no seed held."""
    options = {"seed": 4, "compute": COMPUTE, "overrides": {"schedule.rounds": 3}}
    rlld.train("rlld", tiny_data, tmp_path / "alone", **options)
    places = [tmp_path / f"thread-{number}" for number in range(3)]
    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(lambda out: rlld.train("rlld", tiny_data, out, **options), places))
    for place in places:
        assert results(place) == results(tmp_path / "alone")


@pytest.mark.parametrize("recipe", ["han", "rlld"])
def test_resuming_after_any_step_changes_nothing(tiny_data, tmp_path, recipe):
    """Stops after every single update in turn, in one process, and compares the whole state."""
    data = load_data(tiny_data)
    settings = {"schedule.rounds": 2, "denoiser.mode": "joint"} if recipe == "rlld" else {}
    loaded = load_recipe(recipe, {**settings, "schedule.rounds": 2}, data.spec.overrides)

    def fresh() -> Trainer:
        return Trainer(loaded, data.train, data.validation, 7, COMPUTE)

    whole = fresh()
    reports = [report for report in whole.steps() if report is not None]
    for stop in range(1, whole.total_updates):
        first = fresh()
        steps = first.steps()
        for _ in range(stop):
            next(steps)
        path = tmp_path / "state.pt"
        torch.save(first.state_dict(), path)
        second = fresh()
        second.load_state_dict(torch.load(path, weights_only=True))
        rest = [report for report in second.steps() if report is not None]
        assert rest == reports[len(reports) - len(rest) :]
        for name, value in whole.network.state_dict().items():
            assert torch.equal(value, second.network.state_dict()[name]), (stop, name)


def test_a_killed_run_resumes_to_identical_results(tiny_data, tmp_path):
    """Kills the command at random moments until it finishes, as a lost machine would."""
    rounds = 20
    reference = tmp_path / "reference"
    overrides = {"schedule.rounds": rounds}
    rlld.train("rlld", tiny_data, reference, compute=COMPUTE, overrides=overrides)
    interrupted = tmp_path / "interrupted"
    resume = ("--resume", "--checkpoint-seconds", "0.05")
    chance = np.random.default_rng(0)
    kills = 0
    for _ in range(40):
        process = started(tiny_data, interrupted, "rlld", rounds, *resume)
        if kills < 3:
            while not (interrupted / "resume" / "state.pt").is_file() and not process.ended():
                time.sleep(0.02)
            time.sleep(chance.uniform(0.1, 0.6) if kills else 0)
            process.send(signal.SIGKILL)
        if process.end() == 0:
            break
        kills += process.status == -signal.SIGKILL
    assert kills >= 1
    assert results(interrupted) == results(reference)
    assert not (interrupted / "resume").exists()


def test_half_a_state_of_a_killed_run_is_no_obstacle(tiny_data, tmp_path):
    out = tmp_path / "run"
    (out / "resume").mkdir(parents=True)
    (out / "resume" / ".state.pt.7.part").write_bytes(b"half")
    rlld.train("han", tiny_data, out, compute=COMPUTE, overrides={"schedule.updates": 2})
    assert not (out / "resume").exists()


def test_ctrl_c_saves_and_says_how_to_go_on(tiny_data, tmp_path):
    out = tmp_path / "run"
    process = started(tiny_data, out, "han", 5000)
    while not (out / "metrics.jsonl").is_file() or not (out / "metrics.jsonl").stat().st_size:
        assert not process.ended()
        time.sleep(0.02)
    process.send(signal.SIGINT)
    assert process.end() == 130
    errors = process.log.read_text()
    assert "--resume" in errors
    assert "Traceback" not in errors
    state = torch.load(out / "resume" / "state.pt", weights_only=True)
    assert state["trainer"]["updates"] > 0


def test_a_stop_while_the_denoiser_learns_is_obeyed_and_loses_nothing(tiny_data, tmp_path):
    """The learner trains its networks within the first step of the run."""
    less = {"folds": 3, "judges": 1, "steps": 10, "judge": "features"}
    settings = [
        "--schedule.updates=20",
        *(f"--denoiser.labelwise.{k}={v}" for k, v in less.items()),
    ]
    reference, out = tmp_path / "reference", tmp_path / "run"
    assert started(tiny_data, reference, "rlld-labelwise", 1, *settings).end() == 0
    process = started(tiny_data, out, "rlld-labelwise", 1, *settings)
    while not list((out / "resume" / "networks").glob("*.safetensors")):
        assert not process.ended()
        time.sleep(0.01)
    process.send(signal.SIGTERM)
    assert process.end() == 130
    told = process.log.read_text()
    assert "stopped; all is saved up to update 0\nto go on: add --resume\n" in told
    assert (out / "metrics.jsonl").read_text() == ""
    learned = len(list((out / "resume" / "networks").glob("*.safetensors")))
    assert 1 <= learned < 6
    assert started(tiny_data, out, "rlld-labelwise", 1, *settings, "--resume").end() == 0
    assert results(out) == results(reference)


def test_a_second_signal_interrupts_at_once():
    from rlld.utils.stopping import stop_requested

    before = signal.getsignal(signal.SIGTERM)
    with stop_requested() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_selected_weights_give_the_recorded_scores(tiny_data, tmp_path):
    run = rlld.train("weak", tiny_data, tmp_path / "run", compute=COMPUTE, overrides=PUBLISHED)
    again = rlld.evaluate(run, "validation").scores.as_dict()
    assert again == pytest.approx(run.facts["validation"], abs=1e-6)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = max(line["validation"]["event_audio"] for line in lines)
    assert run.facts["validation"]["event_audio"] == best
    assert [line["round"] for line in lines if line["selected"]][-1] == run.facts["selected_round"]


def test_training_beats_predicting_nothing(tiny_data, tmp_path):
    """By pooled events; Type rewards silence on so small a set, where many videos have no AV."""
    run = rlld.train("weak", tiny_data, tmp_path / "run", compute=COMPUTE, overrides=PUBLISHED)
    truth = load_data(tiny_data).test.require_dense()
    floor = scores(torch.zeros_like(truth), truth).segment_event
    assert rlld.evaluate(run, "test").scores.segment_event > floor + 20


def test_the_test_split_may_not_steer(tiny_data):
    data = load_data(tiny_data)
    recipe = load_recipe("rlld", {}, data.spec.overrides)
    with pytest.raises(RlldError, match="test split must not"):
        Trainer(recipe, data.train, data.test, 0, COMPUTE)
    with pytest.raises(RlldError, match="test split must not be used for reward"):
        require_validation(data.test, "reward")


def test_reward_and_selection_can_be_kept_apart(tiny_data):
    validation = load_data(tiny_data).validation
    reward, selection = partition(validation, 0.6, 1)
    assert len(reward) == 12
    assert set(reward.ids) | set(selection.ids) == set(validation.ids)
    assert not set(reward.ids) & set(selection.ids)
    row = validation.ids.index(reward.ids[0])
    assert torch.equal(reward.dense[0], validation.dense[row])
    with pytest.raises(RlldError, match="empty part"):
        partition(validation, 0.001, 1)


def test_ties_and_last():
    assert Selection(ties="later").better(1.0, 1.0)
    assert not Selection(ties="earlier").better(1.0, 1.0)
    assert Selection(score="last").better(0.0, 0.0)
    assert Selection(ties="earlier").better(0.0, None)


def test_fit_trains_on_the_given_labels_and_leaves_no_trace(tiny_data):
    data = load_data(tiny_data)
    settings = {"schedule.rounds": 20, "selection.score": "last"}
    recipe = load_recipe("weak", settings, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    before = torch.get_rng_state()
    zeros = torch.zeros_like(trainer.train.labels)
    silent = trainer.fit(ModalityLabels(zeros, zeros, zeros))
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        prediction = silent(data.validation.streams)
    trained = trainer.fit(ModalityLabels(*[trainer.train.labels] * 3))
    with torch.no_grad():
        usual = trained(data.validation.streams)
    assert prediction.audio.mean() < 0.5 * usual.audio.mean()


def test_given_labels_follow_the_batch(tiny_data):
    data = load_data(tiny_data)
    labels = data.train.labels
    revised = Given(ModalityLabels(labels, labels * 0.5, labels)).revise(
        data.train.batch(torch.tensor([3, 1])), None
    )
    assert torch.equal(revised.audio, labels[[3, 1]])
    assert torch.equal(revised.visual, labels[[3, 1]] * 0.5)


def test_one_epoch_mode_starts_each_episode_with_a_fresh_network(tiny_data):
    data = load_data(tiny_data)
    settings = {"denoiser.mode": "one_epoch", "schedule.rounds": 2}
    recipe = load_recipe("rlld", settings, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    networks = set()
    policies = set()
    for _ in trainer.steps():
        networks.add(id(trainer.network))
        policies.add(id(trainer.denoiser.networks()["policy"]))
    assert len(networks) == 2
    assert len(policies) == 1


def test_a_run_folder_is_not_overwritten_or_mixed(tiny_data, tmp_path):
    options = {"compute": COMPUTE, "overrides": {"schedule.rounds": 1}}
    out = tmp_path / "run"
    rlld.train("han", tiny_data, out, **options)
    before = load_file(out / "model.safetensors")
    with pytest.raises(RlldError, match="finished run"):
        rlld.train("han", tiny_data, out, **options)
    with pytest.raises(RlldError, match="another seed"):
        rlld.train("han", tiny_data, out, resume=True, seed=3, **options)
    with pytest.raises(RlldError, match="another recipe"):
        rlld.train("weak", tiny_data, out, resume=True, **options)
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    with pytest.raises(
        RlldError, match=r"is the folder of a data set .dataset.yaml.; give the run"
    ):
        rlld.train("han", tiny_data, folder, **options)
    rlld.train("han", folder, out, resume=True, **options)
    tags = folder / "annotations/train.csv"
    tags.write_text(tags.read_text().replace("Drum", "Rain"))
    with pytest.raises(RlldError, match="started with other tags, events, answers or features"):
        rlld.train("han", folder, out, resume=True, **options)
    rlld.train("han", tiny_data, out, resume=True, **options)
    assert all(torch.equal(v, before[k]) for k, v in load_file(out / "model.safetensors").items())


def test_videos_that_moved_to_a_split_without_a_store_are_trained_with(tiny_data, tmp_path):
    """As 'rlld data import' leaves a data set of which nothing was annotated before."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    (folder / "features/validation.safetensors").unlink()
    train, validation = (folder / f"annotations/{name}.csv" for name in ("train", "validation"))
    head, *rows = train.read_text().splitlines(True)
    train.write_text("".join([head, *rows[8:]]))
    validation.write_text("".join([head, *rows[:8]]))
    options = {"compute": COMPUTE, "overrides": {"schedule.rounds": 1}}
    run = rlld.train("han", folder, tmp_path / "run", **options)
    assert run.facts["training_videos"] == len(rows) - 8
    rlld.train("han", folder, tmp_path / "run", resume=True, **options)


def test_an_unknown_selection_score_is_refused_before_training(tiny_data, tmp_path):
    with pytest.raises(RlldError, match="segment_type"):
        rlld.train("han", tiny_data, tmp_path / "run", overrides={"selection.score": "segment_typ"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", [-1, 2**31, 2**64, True, 1.0, "1", np.float32(2)])
def test_seeds_that_cannot_be_drawn_from_are_refused(tiny_data, tmp_path, seed):
    told = f"seed: expected a whole number from 0 to 2147483647, found {seed!r}"
    with pytest.raises(RlldError, match=re.escape(told)):
        rlld.train("han", tiny_data, tmp_path / "run", seed=seed)
    rlld.train(
        "rlld", tiny_data, tmp_path / "largest", seed=2**31 - 1, overrides={"schedule.rounds": 1}
    )


def test_a_seed_of_numpy_is_the_number(tiny_data, tmp_path):
    one = {"schedule.rounds": 1}
    runs = [
        rlld.train("han", tiny_data, tmp_path / type(seed).__name__, seed=seed, overrides=one)
        for seed in (3, np.int64(3), np.int32(3))
    ]
    assert [run.facts["seed"] for run in runs] == [3, 3, 3]
    states = [load_file(run.path / "model.safetensors") for run in runs]
    assert all(torch.equal(v, state[k]) for state in states for k, v in states[0].items())


def test_settings_of_a_recipe_that_is_built_already_are_refused(tiny_data, tmp_path):
    """They were passed over, and a training of other settings began."""
    recipe = load_recipe("han", {"schedule.updates": 2})
    with pytest.raises(RlldError, match=r"overrides: schedule.updates cannot change a recipe"):
        rlld.train(recipe, tiny_data, tmp_path / "run", overrides={"schedule.updates": 5})
    assert not (tmp_path / "run").exists()
