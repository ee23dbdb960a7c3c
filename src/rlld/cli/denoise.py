"""Say of every label whether the denoiser keeps it, and rank the most suspect ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld denoise``."""

    run: tyro.conf.Positional[str]
    """Run folder of a recipe whose denoiser learns (rlld), or hub:owner/name[@revision]."""
    out: Path
    """Tab-separated file to write: video, label, modality, keep probability, decision."""
    split: Literal["train", "validation", "test"] = "train"
    """The videos whose labels are judged."""
    data: Path | None = None
    """Data-set folder; the one of the training when not given."""
    report: Path | None = None
    """PAGE.html for one page, or a folder for the page, report.json, report.md and figures."""
    suspects: int = 10
    """How many of the most suspect labels to print."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Writes the verdicts and the report, prints a summary and the suspects."""
    from rlld.data.dataset import weak_files
    from rlld.evaluation.labels import (
        cross_checked,
        judge,
        label_report,
        suspects,
        verdict_text,
        verdicts,
    )
    from rlld.evaluation.scoring import load_for
    from rlld.report.denoise import (
        REPORTED,
        LabelReport,
        facts_of,
        write_denoise_page,
        write_report,
    )
    from rlld.report.tables import removal_table
    from rlld.training.run_folder import load_run
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.files import held, write_text

    loaded = load_run(args.run, Compute(args.device).torch_device)
    videos = load_for(loaded, args.split, args.data, with_truth=True).to(loaded.device)
    judged = judge(loaded, videos)
    rows = verdicts(videos, judged.keep)
    measured = label_report(videos, judged.keep)
    with held(args.out):
        write_text(args.out, verdict_text(rows))
    removed = sum(row.decision == "remove" for row in rows)
    OUT.print(
        f"{args.split}: {len(videos)} videos, {len(rows)} labels counting each modality, "
        f"{removed} to remove"
    )
    for entry in suspects(rows, args.suspects):
        row = entry.verdict
        OUT.print(
            f"  {row.video}  {row.label}  {row.modality}  keep {row.keep:.3f}  {entry.reason}",
        )
    if measured.known:
        OUT.print(removal_table({loaded.recipe.name: measured.as_dict()}))
    checked = None
    if args.split == "train" and not measured.known:
        others = [name for name in ("validation",) if name in weak_files(videos.spec)]
        splits = [videos, *(load_for(loaded, name, args.data) for name in others)]
        checked = cross_checked(loaded, splits)
    if checked is not None:
        OUT.print("on annotated videos, each judged by a policy that it did not teach:")
        OUT.print(removal_table({loaded.recipe.name: checked.as_dict()}))
    for note in judged.notes:
        OUT.print(f"note: {note}")
    OUT.print(f"written: {args.out}")
    if args.report is not None:
        facts, shown = facts_of(loaded, videos, args.run), suspects(rows, REPORTED)
        report = LabelReport(facts, judged.notes, measured, shown, checked)
        if args.report.suffix == ".html":
            write_denoise_page(args.report, report)
            OUT.print(f"written: {args.report}")
        else:
            for path in write_report(args.report, report):
                OUT.print(f"written: {path}")
