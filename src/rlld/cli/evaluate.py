"""Score a run on a split: the ten F-scores, per class too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld evaluate``."""

    run: tyro.conf.Positional[str]
    """Run folder, or hub:owner/name[@revision]."""
    split: Literal["train", "validation", "test"] = "test"
    """The videos to score on; they need dense annotation."""
    data: Path | None = None
    """Data-set folder; the one of the training when not given."""
    json: Path | None = None
    """Write everything as JSON to this file."""
    per_class: bool = False
    """Print the F-scores of each class."""
    variants: bool = False
    """Print the scores in other ways too: audible-only and visible-only events, means over classes,
    all segments and events together."""
    metrics: str = ""
    """Scores of other tasks, joined by commas: accuracy (AVE's), map (UnAV-100's), segment-map
    (LFAV's), psds and collar (of sound events), event-mean and moment-map
    (PreFM's: over nine overlaps, and over the classes of each segment)."""
    online: bool = False
    """Decide every segment from what comes up to it alone, as if the video were still going on;
    prints event-mean besides, as such scores are published."""
    tags: bool = False
    """Gate by the known tags of the videos instead of by video-level probabilities."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Evaluates and prints the table."""
    from rlld.evaluation.further import metric_names
    from rlld.evaluation.scoring import evaluate
    from rlld.report.tables import class_table, further_table, score_table, variant_table
    from rlld.training.run_folder import load_run
    from rlld.utils.compute import Compute
    from rlld.utils.console import ERR, OUT
    from rlld.utils.files import write_text
    from rlld.utils.plain import json_text

    metrics = metric_names([*args.metrics.split(","), "event-mean" if args.online else ""])
    loaded = load_run(args.run, Compute(args.device).torch_device)
    result = evaluate(
        loaded, args.split, args.data, by_tags=args.tags, metrics=metrics, online=args.online
    )
    title = f"{loaded.recipe.name}, online" if args.online else loaded.recipe.name
    OUT.print(score_table(result.rows(title), args.split, result.lanes))
    if args.variants:
        OUT.print(variant_table(result.variants, result.lanes))
    if result.further:
        OUT.print(further_table(result.further))
    if args.per_class:
        OUT.print(class_table(result.classes))
    for note in result.facts["notes"]:
        OUT.print(f"note: {note}")
    if args.json is not None:
        write_text(args.json, json_text(result.as_dict(), str(args.json), indent=2) + "\n")
        OUT.print(f"written: {args.json}")
    for warning in result.warnings:
        ERR.print(f"warning: {warning}")
