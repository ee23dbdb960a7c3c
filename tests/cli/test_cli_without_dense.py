"""A collection that has tags and nothing else: train, ask, answer, train again, look."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

QUICK = (
    "--schedule.rounds=2",
    "--denoiser.labelwise.folds=2",
    "--denoiser.labelwise.judges=1",
    "--denoiser.labelwise.steps=5",
)


def bare(tiny_data: Path, folder: Path, *, validation: bool) -> Path:
    """Copies the tiny data set without dense annotation, with or without validation videos."""
    shutil.copytree(tiny_data, folder)
    spec = yaml.safe_load((folder / "dataset.yaml").read_text())
    spec["annotations"] |= {"audio": "", "visual": "", "truth_audio": "", "truth_visual": ""}
    if not validation:
        spec["annotations"] |= {"validation": "", "test": ""}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


def notes(run: Path) -> str:
    return " ".join(json.loads((run / "config.json").read_text())["facts"]["notes"])


def test_tags_of_validation_videos_select(tiny_data, run_cli, tmp_path):
    data, run = bare(tiny_data, tmp_path / "D", validation=True), tmp_path / "run"
    result = run_cli("train", "han", "--data", data, "--out", run, QUICK[0])
    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr
    assert "tags of the validation videos: mean average precision" in result.stdout
    assert "weights were selected by its tags" in notes(run)
    rounds = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(entry["validation"]["tags"] for entry in rounds)
    assert json.loads((run / "config.json").read_text())["facts"]["validation"]["tags"] == best


@pytest.mark.parametrize(
    ("recipe", "who"),
    [
        ("rlld", "denoiser reinforced"),
        ("constant", "denoiser constant"),
        ("supervised", "supervision"),
    ],
)
def test_recipes_that_need_dense_annotation_say_so(
    tiny_data, run_cli, fails_with, tmp_path, recipe, who
):
    data = bare(tiny_data, tmp_path / "D", validation=True)
    result = run_cli("train", recipe, "--data", data, "--out", tmp_path / "run")
    fails_with(result, f"{who} learns from dense annotation of validation videos")
    assert not (tmp_path / "run").exists()


def test_to_say_that_none_is_annotated_where_none_is_changes_nothing(tiny_data, run_cli, tmp_path):
    data, runs = bare(tiny_data, tmp_path / "D", validation=True), []
    for settings in ((), ("--selection.annotated=0",)):
        runs.append(tmp_path / f"run{len(runs)}")
        result = run_cli("train", "rlld-best", "--data", data, "--out", runs[-1], *QUICK, *settings)
        assert result.returncode == 0, result.stderr
        assert "the task network was trained on validation labels" not in notes(runs[-1])
    plain, said = ((run / "model.safetensors").read_bytes() for run in runs)
    assert plain == said


def test_from_tags_alone_to_answers(tiny_data, run_cli, tmp_path):
    data, first = bare(tiny_data, tmp_path / "D", validation=False), tmp_path / "first"
    result = run_cli("train", "rlld-labelwise", "--data", data, "--out", first, *QUICK)
    assert result.returncode == 0, result.stderr
    assert "no annotated video: labels were cleaned by rates that other data" in notes(first)
    assert "the weights of the last update were kept" in notes(first)
    assert (
        f"next: rlld report {first}, rlld parse {first} CLIPS" in result.stdout
    )  # there is nothing to evaluate on
    sheet = tmp_path / "sheet.csv"
    asked = run_cli("suggest", first, "--count", "12", "--answers", sheet)
    assert asked.returncode == 0, asked.stderr
    head, *rows = sheet.read_text().splitlines()
    filled = [
        row.replace("\t\t", f"\t{'yes' if number % 3 else 'no'}\t")
        for number, row in enumerate(rows)
    ]
    sheet.write_text("\n".join([head, *filled]) + "\n")
    added = run_cli("data", "answers", data, sheet)
    assert f"{len(rows)} answers added" in added.stdout, added.stderr
    second = tmp_path / "second"
    result = run_cli("train", "rlld-labelwise", "--data", data, "--out", second, *QUICK)
    assert result.returncode == 0, result.stderr
    assert "cleaned by how well" not in notes(second)
    facts = json.loads((second / "config.json").read_text())["facts"]
    videos = {row.split("\t")[0] for row in rows}
    assert facts["teaching_videos"] == len(videos)
    labels, page = tmp_path / "labels.csv", tmp_path / "page.html"
    judged = run_cli("denoise", second, "--out", labels, "--report", page)
    assert judged.returncode == 0, judged.stderr
    assert f"answers on {len(videos)} of these videos taught the policy" in " ".join(
        judged.stdout.split()
    )
    assert "each judged by a policy that it did not teach" in page.read_text()
    decided = dict(
        (tuple(line.split("\t")[:3]), line.split("\t")[4])
        for line in labels.read_text().splitlines()[1:]
    )
    for row in filled:
        video, label, modality, present, _ = row.split("\t")
        assert decided[video, label, modality] == ("keep" if present == "yes" else "remove")
    again = run_cli("suggest", second, "--count", "200", "--answers", sheet)
    assert again.returncode == 0, again.stderr
    asked_now = {tuple(row.split("\t")[:3]) for row in sheet.read_text().splitlines()}
    assert not {tuple(row.split("\t")[:3]) for row in rows} & asked_now
