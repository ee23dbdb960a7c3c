"""The verbs that train and judge: once right, once wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from rlld.data.dataset import load_split
from rlld.training.run_folder import save_held_out

QUICK = ("--device", "cpu", "--schedule.rounds", "2")


@pytest.fixture(scope="module")
def trained(tiny_data, fresh, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    result = fresh("train", "rlld", "--data", tiny_data, "--out", out, *QUICK)
    assert result.returncode == 0, result.stderr
    assert "Type" in result.stdout
    assert "training signal" in result.stdout
    assert "tags found wrong, counting each track" in result.stdout
    return out


def test_train_leaves_a_run_folder(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "denoiser.safetensors",
        "golden.safetensors",
        "metrics.jsonl",
    }


def test_train_and_evaluate_print_the_same_scores_where_the_policy_judges(
    tiny_data, run_cli, tmp_path
):
    small = ("--network.hidden", "8", "--denoiser.labelwise.folds", "2", "--schedule.rounds", "2")
    small += ("--fit", "false", "--selection.annotated", "6", "--denoiser.labelwise.steps", "5")
    out = tmp_path / "run"
    ended = run_cli("train", "rlld-best", "--data", tiny_data, "--out", out, *small)
    assert ended.returncode == 0, ended.stderr
    scored = run_cli("evaluate", out, "--split", "validation")
    rows = [
        [line.split() for line in result.stdout.splitlines() if line.startswith(" rlld-best ")]
        for result in (ended, scored)
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 1
    alone = json.loads((out / "config.json").read_text())["facts"]["validation"]
    assert rows[0][0][1] != f"{alone['segment_audio']:.1f}"  # or the policy had no say


def test_several_seeds_are_trained_and_told_of(tiny_data, run_cli, tmp_path):
    words = ("train", "han", "--data", tiny_data, "--out", tmp_path, "--seeds", 2, "--seed", 3)
    result = run_cli(*words, *QUICK)
    assert result.returncode == 0, result.stderr
    for seed in (3, 4):
        assert f"han, seed {seed}" in result.stdout
        assert (tmp_path / f"seed-{seed}" / "model.safetensors").is_file()


def test_train_prints_its_configuration_and_trains_nothing(tiny_data, run_cli, tmp_path):
    out = tmp_path / "run"
    more = ("--denoiser.lr", "3e-4", "--print-config")
    result = run_cli("train", "rlld", "--data", tiny_data, "--out", out, *more)
    assert result.returncode == 0
    assert "lr: 0.0003" in result.stdout
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hann",), ("hann", "did you mean 'han'")),
        (("han", "--denoiser.lrr", "3"), ("lrr",)),
        (("han", "--selection.score", "type"), ("type",)),
        (("han", "--schedule.rounds"), ("--schedule.rounds",)),
    ],
)
def test_train_refuses_what_it_does_not_know(
    tiny_data, run_cli, fails_with, tmp_path, arguments, words
):
    out = tmp_path / "run"
    result = run_cli("train", *arguments, "--data", tiny_data, "--out", out)
    for word in words:
        fails_with(result, word)
    assert not out.exists()


def test_train_refuses_a_folder_without_data(run_cli, fails_with, tmp_path):
    fails_with(
        run_cli("train", "han", "--data", tmp_path / "none", "--out", tmp_path / "run"),
        "no such folder",
    )


def test_evaluate_writes_the_scores(trained, fresh, tmp_path):
    file = tmp_path / "scores.json"
    result = fresh("evaluate", trained, "--split", "test", "--per-class", "--json", file)
    assert result.returncode == 0, result.stderr
    assert "Horse" in result.stdout
    report = json.loads(file.read_text())
    for level in ("segment", "event"):
        assert report[level].keys() == {"audio", "visual", "audio_visual", "type", "event"}
        assert all(0 <= value <= 100 for value in report[level].values())


def test_scores_stand_beside_what_needs_no_run(trained, run_cli, tiny_data, tmp_path):
    file = tmp_path / "scores.json"
    result = run_cli("evaluate", trained, "--variants", "--json", file)
    words = [line.split() for line in result.stdout.splitlines()]
    rows = {" ".join(line[:-10]): line[-10:] for line in words if len(line) > 10}
    report = json.loads(file.read_text())
    for name in ("bare tags", "nothing"):
        found = report["baselines"][name]
        cells = [f"{v:.1f}" for level in ("segment", "event") for v in found[level].values()]
        assert rows[name] == cells
    ways = {
        "audible-only, visible-only": "exclusive",
        "means over classes": "class_macro",
        "all together": "micro",
    }
    for name, variant in ways.items():
        found = report[variant]
        cells = [f"{v:.1f}" for level in ("segment", "event") for v in found[level].values()]
        assert rows[name] == cells
    assert rows["rlld"][3] == f"{report['segment']['type']:.1f}"
    assert report["warnings"] == [
        line.removeprefix("warning: ") for line in result.stderr.splitlines()
    ]


def test_a_run_that_learned_nothing_is_told_aloud(tiny_data, run_cli, tmp_path):
    out = tmp_path / "run"
    more = ("--schedule.updates", "1", "--schedule.learning_rate", "1e-9")
    result = run_cli("train", "han", "--data", tiny_data, "--out", out, *more)
    assert "warning: beyond chance no better than the bare tags" in result.stderr
    assert "--schedule.updates 350, it had 1" in result.stderr
    assert {"bare", "nothing"} <= set(result.stdout.split())
    assert f"next: rlld report {out}, rlld evaluate {out} --split test" in result.stdout


def test_training_tells_of_empty_tag_cells(tiny_data, run_cli, tmp_path):
    data = tmp_path / "D"
    shutil.copytree(tiny_data, data)
    path = data / "annotations" / "train.csv"
    head, first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([head, first.split("\t")[0] + "\t", *rest]) + "\n")
    result = run_cli("train", "han", "--data", data, "--out", tmp_path / "run", *QUICK)
    assert result.returncode == 0, result.stderr
    assert "1 of 48 training videos have an empty tag cell" in result.stdout
    assert "1 video has no label" in run_cli("data", "check", data).stdout


def test_evaluate_by_known_tags_uses_them(trained, run_cli, tmp_path):
    reports = []
    for number, more in enumerate([(), ("--tags",)]):
        file = tmp_path / f"{number}.json"
        assert run_cli("evaluate", trained, "--json", file, *more).returncode == 0
        reports.append(json.loads(file.read_text()))
    assert reports[0]["segment"] != reports[1]["segment"]
    assert reports[1]["gate"] == "known tags"


def test_evaluate_refuses_training_videos_and_foreign_folders(
    trained, run_cli, fails_with, tmp_path
):
    fails_with(run_cli("evaluate", trained, "--split", "train"), "no dense annotation")
    fails_with(run_cli("evaluate", tmp_path), "no run folder")
    file = tmp_path / "taken"
    file.write_text("")
    fails_with(run_cli("evaluate", trained, "--json", file / "x.json"), "cannot be written")


def test_denoise_judges_every_label(trained, fresh, tmp_path):
    file = tmp_path / "labels.csv"
    result = fresh("denoise", trained, "--out", file)
    assert result.returncode == 0, result.stderr
    assert "recall" in result.stdout
    lines = file.read_text().splitlines()
    assert lines[0].split("\t") == [
        "filename",
        "event_labels",
        "modality",
        "keep_probability",
        "decision",
    ]
    for line in lines[1:]:
        _, _, modality, keep, decision = line.split("\t")
        assert modality in ("audio", "visual")
        assert decision == ("keep" if float(keep) >= 0.5 else "remove")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_denoise_reports_every_split(trained, run_cli, tmp_path, split):
    file, folder = tmp_path / "labels.csv", tmp_path / "report"
    result = run_cli("denoise", trained, "--split", split, "--out", file, "--report", folder)
    assert result.returncode == 0, result.stderr
    report = json.loads((folder / "report.json").read_text())
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        "report.json",
        "report.md",
        *(f"{name}.{kind}" for name in ("removed", "found") for kind in ("png", "svg")),
    }
    keep = [float(line.split("\t")[3]) for line in file.read_text().splitlines()[1:]]
    ranked = [entry["keep"] for entry in report["suspects"]]
    assert ranked == pytest.approx(sorted(keep)[: len(ranked)], abs=1e-6)
    assert report["modalities"]["audio"]["labels"] == len(keep) / 2
    told = "taught the policy"
    taught = split == "validation"
    assert (told in result.stdout) is (told in " ".join(report["notes"])) is taught
    assert (told in (folder / "report.md").read_text()) is taught


def test_denoise_says_which_validation_videos_were_cross_validated(
    trained, tiny_data, run_cli, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    videos = load_split(tiny_data, "validation")
    keep = torch.full((len(videos), 2, 4), 0.25)
    save_held_out(run, videos.ids, keep)
    file = tmp_path / "labels.csv"
    result = run_cli("denoise", run, "--split", "validation", "--out", file)
    assert "cross-validated" in result.stdout
    assert {line.split("\t")[3] for line in file.read_text().splitlines()[1:]} == {"0.250000"}
    save_held_out(run, videos.ids[:5], keep[:5])
    result = run_cli("denoise", run, "--split", "validation", "--out", file)
    assert "training signal" in result.stdout
    assert "cross-validated" not in result.stdout


def test_denoise_refuses_broken_held_out_probabilities(trained, run_cli, fails_with, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "held_out.safetensors").write_bytes(b"nothing")
    file = tmp_path / "labels.csv"
    fails_with(run_cli("denoise", run, "--split", "validation", "--out", file), "held_out")
    assert not file.exists()


def test_denoise_refuses_a_report_where_it_cannot_write(trained, run_cli, fails_with, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("")
    file = tmp_path / "labels.csv"
    fails_with(run_cli("denoise", trained, "--out", file, "--report", taken), "cannot be written")


def test_denoise_refuses_a_run_that_cannot_judge(tiny_data, run_cli, fails_with, tmp_path):
    out = tmp_path / "run"
    assert run_cli("train", "han", "--data", tiny_data, "--out", out, *QUICK).returncode == 0
    file = tmp_path / "labels.csv"
    fails_with(run_cli("denoise", out, "--out", file), "no keep probabilities")
    assert not file.exists()


def test_a_run_knows_when_the_data_are_others(trained, tiny_data, run_cli, fails_with, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_data, other)
    text = (other / "dataset.yaml").read_text().replace("Horse", "House")
    (other / "dataset.yaml").write_text(text)
    for name in ("test.csv", "audio.csv", "visual.csv"):
        path = other / "annotations" / name
        path.write_text(path.read_text().replace("Horse", "House"))
    fails_with(run_cli("evaluate", trained, "--data", other), "classes differ")
