"""Runs: one key each, trained once, on equal terms, whatever fails or interrupts."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

import rlld
from cli_kit import Forked
from rlld.bench import runs
from rlld.bench.jobs import Job, Terms, common_terms, plan
from rlld.bench.keys import dataset_fingerprint
from rlld.bench.runs import SCORES, Failure, run_all
from rlld.bench.studies.denoisers import Settings, denoising
from rlld.data.spec import Priors
from rlld.errors import RlldError
from rlld.metrics.averages import VARIANT_NAMES
from rlld.recipes.recipe import RECIPES, load_recipe, recipe_names

TERMS = Terms(6, "segment_type")


def jobs_of(data: Path, *names: str, seeds: int = 1, terms: Terms = TERMS) -> list[Job]:
    return plan({name: (name, {}) for name in names}, [data], range(seeds), terms, "cpu")


def test_a_finished_run_is_never_repeated(tiny_data, tmp_path, monkeypatch):
    jobs = jobs_of(tiny_data, "han", "weak", seeds=2)
    first = run_all(jobs, tmp_path)
    assert len({job.key for job in jobs}) == 4

    def trains(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "train", trains)
    assert run_all(jobs, tmp_path) == first
    shutil.rmtree(tmp_path / jobs[0].key)
    again = run_all(jobs, tmp_path)
    assert isinstance(again[0], Failure)
    assert "trained again" in again[0].reason
    assert again[1:] == first[1:]


def test_scores_are_those_of_training_and_evaluating_by_hand(tiny_data, tmp_path):
    (job,) = jobs_of(tiny_data, "weak")
    (result,) = run_all([job], tmp_path / "cache")
    settings = {
        "fit": False,
        "schedule.updates": 6,
        "selection.score": "segment_type",
        "selection.reward_share": 0.667,
    }
    compute = rlld.utils.compute.Compute("cpu", threads=1)
    run = rlld.train("weak", tiny_data, tmp_path / "run", compute=compute, overrides=settings)
    found = rlld.evaluate(run, "test")
    assert result.scores == found.scores.as_dict()
    assert result.variants["micro_event_visual"] == found.variants["micro"].event_visual
    assert tuple(result.variants) == VARIANT_NAMES
    assert "--schedule.updates 6" in job.command


def test_a_command_trains_the_recipe_of_its_row_whatever_its_file_is_called(tiny_data, tmp_path):
    own = tmp_path / "own r&d" / "han#1.yaml"
    own.parent.mkdir()
    own.write_text((RECIPES / "weak.yaml").read_text())
    data = tmp_path / "my data"
    shutil.copytree(tiny_data, data)
    settings = Settings((data,), tmp_path / "out & all", seeds=1, updates=4, workers=1)
    table = denoising(settings, [str(own)], baseline=str(own))
    (command,) = table.rows[-1].commands
    words = shlex.split(command, comments=True)
    assert words[:5] == ["rlld", "train", str(own), "--data", str(data)]
    words[words.index("RUN")] = str(tmp_path / "by hand")
    done = Forked(*words[1:], log=tmp_path / "by hand.log")
    assert done.end() == 0, done.log.read_text()
    found = rlld.evaluate(rlld.load_run(tmp_path / "by hand"), "test").scores
    assert found.segment_type == table.rows[-1].estimate("segment_type").mean
    words = shlex.split(table.command, comments=True)
    assert words[words.index("--data") + 1] == str(data)
    assert words[words.index("--out") + 1] == str(tmp_path / "out & all")
    assert words[words.index("--recipes") + 1] == words[words.index("--baseline") + 1] == str(own)


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_workers")
def test_processes_change_nothing(tiny_data, tmp_path):
    jobs = jobs_of(tiny_data, "han", "constant")
    one = run_all(jobs, tmp_path / "one")
    two = run_all(jobs, tmp_path / "two", workers=2)
    assert [r.scores for r in one] == [r.scores for r in two]
    assert [r.denoising for r in one] == [r.denoising for r in two]
    assert one[0].denoising is None
    assert 0 <= one[1].denoising["visual"]["f1"] <= 100


def test_keys_know_what_a_result_depends_on(tiny_data, tmp_path):
    (job,) = jobs_of(tiny_data, "weak")
    moved = tmp_path / "moved"
    shutil.copytree(tiny_data, moved)
    assert jobs_of(moved, "weak")[0].key == job.key
    others = [
        replace(job, seed=1),
        replace(job, priors=Priors(visual={"Bell": 0.5})),
        jobs_of(tiny_data, "han")[0],
        jobs_of(tiny_data, "weak", terms=Terms(7, "segment_type"))[0],
        jobs_of(tiny_data, "weak", terms=Terms(6, "last"))[0],
    ]
    dense = moved / "annotations" / "visual.csv"
    dense.write_text(dense.read_text().replace("Bell", "Drum", 1))
    others.append(jobs_of(moved, "weak")[0])
    assert len({job.key, *(other.key for other in others)}) == len(others) + 1


def test_a_file_that_an_option_names_is_what_it_holds(tiny_data, tmp_path):
    exchange, keys = tmp_path / "exchange.npz", []
    (job,) = jobs_of(tiny_data, "weak")
    named = replace(job, recipe=load_recipe("ma", {"denoiser.exchange": str(exchange)}))
    for content in (None, b"a", b"b", b"a"):
        if content is not None:
            exchange.write_bytes(content)
        keys.append(named.key)
    assert len(set(keys)) == 3
    assert keys[1] == keys[3]


def test_the_fingerprint_covers_the_features(tiny_data, tmp_path):
    from tiny import make_tiny

    same, other = make_tiny(tmp_path / "same"), make_tiny(tmp_path / "other", seed=1)
    assert dataset_fingerprint(same) == dataset_fingerprint(tiny_data)
    store = Path("features") / "test.safetensors"
    shutil.copy(other / store, same / store)
    assert dataset_fingerprint(same) != dataset_fingerprint(tiny_data)


def test_the_fingerprint_covers_the_scores(tiny_data, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_data, copy)
    file = copy / "scores" / "classes" / "train.safetensors"
    shutil.copyfile(copy / "scores" / "classes" / "test.safetensors", file)
    assert dataset_fingerprint(copy) != dataset_fingerprint(tiny_data)
    shutil.rmtree(copy / "scores")
    assert dataset_fingerprint(copy) != dataset_fingerprint(tiny_data)


def test_every_row_has_equal_terms(tiny_data):
    jobs = jobs_of(tiny_data, *recipe_names())
    assert {job.recipe.schedule.updates for job in jobs} == {6}
    assert {job.recipe.selection.score for job in jobs} == {"segment_type"}


def test_terms_are_those_of_the_data_or_given(tiny_data, tmp_path):
    with pytest.raises(RlldError, match="give --updates"):
        common_terms([tiny_data], None, "last")
    folders = []
    for updates in (8, 9):
        folder = tmp_path / str(updates)
        shutil.copytree(tiny_data, folder)
        spec = folder / "dataset.yaml"
        text = spec.read_text().replace(
            "overrides:\n", f"overrides:\n  schedule.updates: {updates}\n"
        )
        spec.write_text(text)
        folders.append(folder)
    assert common_terms(folders[:1], None, "last") == Terms(8, "last")
    assert common_terms(folders, 5, "last").updates == 5
    with pytest.raises(RlldError, match="same number of updates"):
        common_terms(folders, None, "last")


def test_terms_say_what_selects(tiny_data, tmp_path):
    """Without annotation a score of events selects nothing, whatever was asked for."""
    bare, tagged = tmp_path / "bare", tmp_path / "tagged"
    spec = (tiny_data / "dataset.yaml").read_text()
    for folder, found, made in (
        (bare, "validation: validation.csv", "validation: ''"),
        (tagged, "\n  audio: audio.csv\n  visual: visual.csv", "\n  audio: ''\n  visual: ''"),
    ):
        assert found in spec
        shutil.copytree(tiny_data, folder)
        (folder / "dataset.yaml").write_text(spec.replace(found, made))

    def told(*folders: Path) -> str:
        return str(common_terms(folders, 4, "segment_type"))

    third = "weights selected by segment_type on a third of the validation videos"
    assert third in told(tiny_data)
    assert third not in told(bare) and "weights of the last round kept" in told(bare)
    assert third not in told(tagged) and "selected by the tags" in told(tagged)
    assert third in told(bare, tiny_data) and "elsewhere weights of the last" in told(
        bare, tiny_data
    )
    assert str(common_terms([bare], 4, "last")).endswith("weights of the last round kept")


@pytest.mark.parametrize(
    ("recipes", "more", "words"),
    [
        (["weak", "rlldd"], {}, "did you mean 'rlld'"),
        (["han"], {}, "--baseline 'weak' is no row"),
        (["weak"], {"selection": "type"}, "unknown score 'type'"),
    ],
)
def test_a_wrong_table_is_refused_before_anything_runs(tiny_data, tmp_path, recipes, more, words):
    settings = Settings((tiny_data,), tmp_path / "out", updates=4)
    with pytest.raises(RlldError, match=words):
        denoising(settings, recipes, **more)
    assert not (tmp_path / "out").exists()
    for wrong in ({"seeds": 0}, {"workers": 0}, {"data": ()}):
        with pytest.raises(RlldError, match=next(iter(wrong))):
            replace(settings, **wrong)


def test_a_failing_row_costs_only_itself(tiny_data, tmp_path):
    """True labels are not known of a copy that names no truth files."""
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    spec = data / "dataset.yaml"
    text = spec.read_text().replace("truth_audio.csv", "''").replace("truth_visual.csv", "''")
    spec.write_text(text)
    settings = Settings((data,), tmp_path / "out", seeds=2, updates=4, workers=1, device="cpu")
    found = denoising(settings, ["true-labels", "weak"])
    rows = {row.method: row for row in found.rows}
    assert rows["weak"].runs == 2
    assert rows["weak"].estimate("segment_type") is not None
    assert rows["true-labels"].runs == 0
    assert len(found.failures) == 2
    assert "not known" in found.failures[0]


def test_a_killed_benchmark_goes_on_to_the_same_table(tiny_data, tmp_path):
    options = ("--seeds", 1, "--updates", 90, "--recipes", "han,weak", "--workers", 1)

    def started(out: Path) -> Forked:
        paths = ("--data", tiny_data, "--out", out, "--device", "cpu")
        return Forked("bench", "denoising", *paths, *options, log=out.with_suffix(".log"))

    killed = tmp_path / "killed"
    process = started(killed)
    while not list(killed.glob(f"runs/*/{SCORES}")) or not list(killed.glob("runs/*/resume")):
        assert not process.ended()
        time.sleep(0.01)
    process.send(signal.SIGKILL)
    assert process.end() == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in killed.glob(f"runs/*/{SCORES}")}
    assert len(before) == 1
    tables = []
    for out in (killed, tmp_path / "whole"):
        again = started(out)
        assert again.end() == 0, again.log.read_text()
        table = json.loads((out / "denoising.json").read_text())
        tables.append([row["measures"] for row in table["rows"]])
    assert tables[0] == tables[1]
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())


def test_two_benchmarks_on_one_cache_share_the_work(tiny_data, tmp_path):
    options = ("--seeds", 1, "--updates", 60, "--recipes", "han,weak", "--workers", 1)
    options += ("--data", tiny_data, "--cache", tmp_path / "cache", "--device", "cpu")
    outs = [tmp_path / "one", tmp_path / "two"]
    processes = [
        Forked("bench", "denoising", "--out", out, *options, log=out.with_suffix(".log"))
        for out in outs
    ]
    for process in processes:
        assert process.end() == 0, process.log.read_text()
    # Either trains each run, or waits for the other and finds it: the seconds are one run's.
    assert len(list(tmp_path.glob(f"cache/*/{SCORES}"))) == 2
    tables = [json.loads((out / "denoising.json").read_text()) for out in outs]
    assert tables[0]["rows"] == tables[1]["rows"]
    assert not list(tmp_path.glob(f"cache/*/.{SCORES}.lock"))


@pytest.mark.parametrize("text", ["", '{"scores": {"segment_type": 50.0}}'])
def test_a_damaged_run_of_the_cache_costs_only_itself(tiny_data, tmp_path, text):
    settings = Settings((tiny_data,), tmp_path, seeds=2, updates=4, workers=1, device="cpu")
    first = denoising(settings, ["weak"])
    path = min(tmp_path.glob(f"runs/*/{SCORES}"))
    path.write_text(text)
    found = denoising(settings, ["weak"])
    (reason,) = found.failures
    assert str(path) in reason and "remove the folder to train it again" in reason
    assert found.rows[-1].runs == 1
    shutil.rmtree(path.parent)
    assert denoising(settings, ["weak"]).rows == first.rows


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "3", '{"scores": {}, "variants": {}, "denoising": null, "facts": {}}'),
        '{"scores": 1, "variants": {}, "tagged": {}, "denoising": null, "facts": {}}',
        '{"scores": {"segment_audio": []}, "variants": {}, "tagged": {}, "denoising": null,'
        ' "facts": {}}',
        '{"scores": {}, "variants": {}, "tagged": {}, "denoising": 1, "facts": {}}',
    ],
)
def test_damaged_scores_of_a_run_are_refused(tmp_path, text):
    (tmp_path / SCORES).write_text(text)
    with pytest.raises(RlldError, match="not the scores of a run"):
        runs._read(None, tmp_path)
