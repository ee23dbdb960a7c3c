"""What a run gives its trackers at the end: scores, curves, and the page of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlld.evaluation.labels import judge, judges_labels, label_report, suspects, verdicts
from rlld.evaluation.scoring import load_for
from rlld.report.denoise import REPORTED, LabelReport, facts_of, write_denoise_page
from rlld.report.figures import Curve, training_curves
from rlld.tracking.base import Results
from rlld.training.run_folder import Run

FIGURES = "figures"
LABELS = "labels.html"
LEVELS = {"segment_": "segment level", "event_": "event level"}
KEEP = "keep_"
"""Name of the mean keep probability in the log, before the modality."""


def run_results(run: Run, rounds: Sequence[Mapping[str, Any]]) -> Results:
    """Draws the curves of a run into its folder and writes the page of its training labels.

    Args:
        run: The run.
        rounds: The lines of its log.

    Returns:
        The scores of the selected weights, and the files.
    """
    files = draw_rounds(run.path / FIGURES, rounds, run.recipe.name)
    if judges_labels(run):
        files.append(run.path / LABELS)
        _write_labels(run, files[-1])
    scores = {f"selected/{name}": score for name, score in run.facts["validation"].items()}
    return Results(scores, tuple(files))


def draw_rounds(folder: Path, rounds: Sequence[Mapping[str, Any]], title: str) -> list[Path]:
    """Draws validation scores and keep rates over the updates, where the log has them.

    Returns:
        A PNG and an SVG of each: ``scores`` and ``keep``.
    """
    scores = [line["validation"] for line in rounds]
    levels = {level: _named(scores, prefix) for prefix, level in LEVELS.items()}
    keep = {"training labels": _named(rounds, KEEP)}
    wanted = (
        ("scores", levels, "F-score on validation (%)", f"{title}: validation"),
        ("keep", keep, "mean keep probability", f"{title}: labels kept"),
    )
    updates = [line["updates"] for line in rounds]
    paths = []
    for name, panels, label, heading in wanted:
        if all(panels.values()):
            drawn = {
                panel: {line: Curve(updates, y, y, y) for line, y in lines.items()}
                for panel, lines in panels.items()
            }
            paths += training_curves(folder / name, drawn, "updates", label, heading)
    return paths


def _named(rounds: Sequence[Mapping[str, Any]], prefix: str) -> dict[str, list[float]]:
    """Returns the values over the rounds of what begins with a prefix, by the rest of its name."""
    names = [name for name in (rounds[0] if rounds else ()) if name.startswith(prefix)]
    return {
        name.removeprefix(prefix).replace("_", "-"): [line[name] for line in rounds]
        for name in names
    }


def _write_labels(run: Run, path: Path) -> None:
    videos = load_for(run, "train", None, with_truth=True).to(run.device)
    judged = judge(run, videos)
    rows = verdicts(videos, judged.keep)
    measured = label_report(videos, judged.keep)
    facts = facts_of(run, videos, str(run.path))
    report = LabelReport(facts, judged.notes, measured, suspects(rows, REPORTED))
    write_denoise_page(path, report)
