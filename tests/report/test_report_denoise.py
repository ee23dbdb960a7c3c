"""Suspects, the removal table and what a report folder holds."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from rlld.data.dataset import load_split
from rlld.evaluation.labels import Verdict, label_report, measure, suspects, verdicts
from rlld.report.denoise import LabelReport, write_report
from rlld.report.tables import removal_table

FACTS = {
    "run": "RUN",
    "recipe": "rlld",
    "denoiser": "reinforced",
    "seed": 0,
    "dataset": "tiny",
    "split": "train",
    "videos": 48,
}


@pytest.fixture(scope="module")
def videos(tiny_data):
    return load_split(tiny_data, "train", with_truth=True)


@pytest.fixture(scope="module")
def keep(videos):
    shape = (len(videos), 2, len(videos.spec.classes))
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_verdicts_know_whether_they_are_right(videos, keep):
    rows = verdicts(videos, keep)
    assert len(rows) == 2 * int(videos.labels.sum())
    for row in rows:
        number, label = videos.ids.index(row.video), videos.spec.classes.index(row.label)
        m = ("audio", "visual").index(row.modality)
        present = bool(videos.truth[number, :, m, label].any())
        assert row.keep == keep[number, m, label]
        assert row.right == ((row.keep >= 0.5) == present)
    unknown = without_truth(videos)
    assert all(row.right is None for row in verdicts(unknown, keep))
    assert measure(unknown, keep) is None


def without_truth(videos):
    return replace(videos, truth=None)


def test_suspects_are_ranked_and_give_their_reason():
    rows = [
        Verdict("a", "Dog", "audio", 0.9),
        Verdict("a", "Dog", "visual", 0.2),
        Verdict("b", "Dog", "audio", 0.4),
        Verdict("b", "Dog", "visual", 0.1),
        Verdict("c", "Dog", "audio", 0.8),
        Verdict("c", "Dog", "visual", 0.2),
    ]
    found = suspects(rows, 4)
    assert [(s.verdict.video, s.verdict.modality) for s in found] == [
        ("b", "visual"),
        ("a", "visual"),
        ("c", "visual"),
        ("b", "audio"),
    ]
    assert [s.rank for s in found] == [1, 2, 2, 1]
    assert [s.other for s in found] == [0.4, 0.9, 0.8, 0.1]
    assert found[0].reason == "audio doubts it (0.40); all 3 visual Dog labels go"
    assert found[3].reason == "visual doubts it (0.10); rank 1 of 3 audio Dog labels, 1 of which go"
    assert suspects(rows, 0) == []


def test_a_report_folder_holds_what_was_measured(videos, keep, tmp_path):
    measured = label_report(videos, keep)
    rows = verdicts(videos, keep)
    report = LabelReport(FACTS, ["they taught | it"], measured, suspects(rows, 5))
    files = {path.name for path in write_report(tmp_path / "r", report)}
    assert files == {path.name for path in (tmp_path / "r").iterdir()}
    figures = {f"{name}.{kind}" for name in ("removed", "found") for kind in ("png", "svg")}
    assert files == {"report.html", "report.json", "report.md"} | figures
    data = json.loads((tmp_path / "r" / "report.json").read_text())
    assert data["modalities"] == measured.as_dict()
    assert data["notes"] == ["they taught | it"]
    assert [entry["keep"] for entry in data["suspects"]] == sorted(row.keep for row in rows)[:5]
    text = (tmp_path / "r" / "report.md").read_text()
    assert "> they taught | it" in text
    visual = measured.visual.removal
    assert f"| visual | {visual.labels} | {visual.noisy} | {visual.removed} |" in text
    for entry in data["suspects"]:
        right = "yes" if entry["right"] else "no"
        assert f"{entry['decision']} | {right} | {entry['reason']}" in text
    check_tables(text)


def check_tables(text: str) -> None:
    """Every row of a Markdown table has as many cells as its head."""
    widths = [line.count(" | ") for line in text.splitlines() if line.startswith("| ")]
    heads = [
        before.count(" | ")
        for before, line in zip(text.splitlines(), text.splitlines()[1:], strict=False)
        if line.startswith("|--")
    ]
    assert set(widths) <= set(heads)


def test_a_report_without_truth_draws_removals_alone(videos, keep, tmp_path):
    unknown = without_truth(videos)
    found = suspects(verdicts(unknown, keep), 5)
    report = LabelReport(FACTS, [], label_report(unknown, keep), found)
    files = {path.name for path in write_report(tmp_path, report)}
    assert files == {"report.html", "report.json", "report.md", "removed.png", "removed.svg"}
    text = (tmp_path / "report.md").read_text()
    assert "found.png" not in text
    assert "unknown" in text
    check_tables(text)


def test_the_removal_table_fits_a_terminal_and_has_both_aucs(videos, keep):
    measured = measure(videos, keep)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(removal_table({"rlld-labelwise": measured}))
    text = console.export_text()
    assert "…" not in text
    for modality in ("audio", "visual"):
        row = next(line.split() for line in text.splitlines() if f" {modality} " in line)
        values = measured[modality]
        assert row[2:5] == [str(values[key]) for key in ("labels", "noisy", "removed")]
        assert row[5:9] == [f"{values[key]:.1f}" for key in ("precision", "recall", "f1", "auc")]
        assert row[9] == "-"
