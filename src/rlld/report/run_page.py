"""The page of a run: scores, curves, cleaned labels, suspects with their clips, parses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlld.data.dataset import DataSet
from rlld.data.split import Split
from rlld.evaluation.decisions import decisions
from rlld.evaluation.labels import Suspect, judge, judges_labels, label_report, verdicts
from rlld.evaluation.labels import suspects as ranked
from rlld.evaluation.learning import rounds_of
from rlld.evaluation.outcome import Outcome, outcome
from rlld.evaluation.scoring import Evaluation, selecting
from rlld.media.playable import PageClip
from rlld.metrics.noise_detection import LEAST, DenoisingReport
from rlld.metrics.tags import TAGS
from rlld.report.clips import clips_of_page
from rlld.report.curves import Panel, panel
from rlld.report.denoise import class_rows, sentences
from rlld.report.tables import KINDS, number
from rlld.report.templates import rendered
from rlld.report.timelines import Example, examples
from rlld.training.run_folder import Run
from rlld.utils.files import write_text

SUSPECTS = 12
TYPES = {"segment_type": "segment level", "event_type": "event level"}


@dataclass(frozen=True)
class ClassRow:
    """A class: how often there is something to learn and to test it by, and its scores.

    Attributes:
        label: The class.
        tagged: Training videos with its tag.
        heard: Videos of the scores in which it is heard.
        seen: Those in which it is seen.
        scores: F-scores as text, by kind.
    """

    label: str
    tagged: int
    heard: int
    seen: int
    scores: Mapping[str, str]


@dataclass(frozen=True)
class RunReport:
    """What the page of a run shows.

    Attributes:
        run: The run.
        outcome: What it came to.
        panels: Its curves.
        classes: Its classes, those with most tags first; empty where nothing was scored.
        labels: How many tags were removed; None where its denoiser judges none.
        suspects: The most suspect tags.
        best: The best parses.
        worst: The worst.
        clips: By video how the page plays its clip, or why it does not.
    """

    run: Run
    outcome: Outcome
    panels: Sequence[Panel] = ()
    classes: Sequence[ClassRow] = ()
    labels: DenoisingReport | None = None
    suspects: Sequence[Suspect] = ()
    best: Sequence[Example] = ()
    worst: Sequence[Example] = ()
    clips: Mapping[str, PageClip | str] = field(default_factory=dict)


def report_run(run: Run, data: DataSet, page: Path) -> RunReport:
    """Gathers what the page of a run shows.

    Args:
        run: The run.
        data: The data set that it was trained on.
        page: Where the page will be.

    Raises:
        RlldError: If the log of the run cannot be read.
    """
    found = outcome(run, data)
    parts: dict[str, Any] = {"panels": _panels(rounds_of(run), found, run)}
    if judges_labels(run):
        train = data.train.to(run.device)
        keep = judge(run, train).keep
        parts["labels"] = label_report(train, keep)
        parts["suspects"] = ranked(verdicts(train, keep), SUSPECTS)
    if found.evaluation is not None:
        videos = selecting(run, data.validation)
        predicted = decisions(run, videos).active
        parts["classes"] = _class_rows(found.evaluation, data.train, videos)
        parts["best"], parts["worst"] = examples(videos, predicted, found.evaluation.columns)
    shown = [each.verdict.video for each in parts.get("suspects", ())]
    shown += [each.video for name in ("best", "worst") for each in parts.get(name, ())]
    return RunReport(run, found, **parts, clips=clips_of_page(data.folder, shown, page))


def write_run_page(path: Path, report: RunReport) -> None:
    """Writes the page, which loads nothing but the clips that are too large to be inside.

    Raises:
        RlldError: If it cannot be written.
    """
    write_text(path, render_run_page(report))


def render_run_page(report: RunReport) -> str:
    """Returns the page as HTML."""
    run, found = report.run, report.outcome
    scored = found.evaluation
    return rendered(
        "run.html.j2",
        ("page.css", "denoise.css", "run.css"),
        report=report,
        facts=run.facts,
        recipe=run.recipe.name,
        dataset=run.spec.name,
        notes=found.notes,
        warnings=scored.warnings if scored else (),
        scored=len(scored.columns) if scored else 0,
        kinds=KINDS,
        rows=_score_rows(found, run),
        tags=run.facts["validation"].get(TAGS),
        sentences=sentences(report.labels) if report.labels else {},
        label_classes=class_rows(report.labels) if report.labels else [],
        least=LEAST,
        first=_first(report.suspects, report.best, report.worst),
    )


def _score_rows(found: Outcome, run: Run) -> dict[str, dict[str, list[str]]]:
    """Returns the scores as text: by level, by row."""
    rows = found.rows(run.recipe.name)
    return {
        level: {
            name: [number(scores[f"{level}_{kind}"], 1) for kind in KINDS]
            for name, scores in rows.items()
        }
        for level in ("segment", "event")
        if rows
    }


def _panels(rounds: Sequence[Mapping[str, Any]], found: Outcome, run: Run) -> list[Panel]:
    """Draws the loss, and the scores where rounds were scored."""
    drawn = []
    updates = [line["updates"] for line in rounds]
    mark = run.facts.get("selected_updates")
    losses = [line["loss"] for line in rounds if "loss" in line]
    if len(rounds) > 1 and len(losses) == len(rounds):
        drawn.append(panel("Training loss", updates, {"loss": losses}, mark=mark))
    scores = [line.get("validation", {}) for line in rounds]
    lines = {
        told: [score[name] for score in scores]
        for name, told in {**TYPES, TAGS: "mean average precision of tags"}.items()
        if all(name in score for score in scores)
    }
    if len(rounds) > 1 and lines:
        rows = found.evaluation.baselines if found.evaluation else {}
        levels = {name: row.segment_type for name, row in rows.items()}
        title = "Type score on validation (%)" if len(lines) > 1 else "Tags on validation (%)"
        drawn.append(panel(title, updates, lines, levels, mark))
    return drawn


def _class_rows(found: Evaluation, train: Split, videos: Split) -> list[ClassRow]:
    tagged = train.labels.sum(0).int().tolist()
    heard, seen = videos.require_dense().any(1).sum(0).tolist()
    rows = [
        ClassRow(
            label,
            tagged[place],
            heard[place],
            seen[place],
            {kind: number(value, 1) for kind, value in scores.items()},
        )
        for place, (label, scores) in enumerate(found.classes.items())
    ]
    return sorted(rows, key=lambda row: -row.tagged)


def _first(
    suspects: Sequence[Suspect], best: Sequence[Example], worst: Sequence[Example]
) -> dict[str, str]:
    """Returns where each clip is played: what comes later refers to it."""
    places: dict[str, str] = {}
    for rank, suspect in enumerate(suspects, 1):
        places.setdefault(suspect.verdict.video, f"suspect-{rank}")
    for rank, example in enumerate((*best, *worst), 1):
        places.setdefault(example.video, f"example-{rank}")
    return places
