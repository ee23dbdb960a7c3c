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
    from rlld.api import denoise
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT

    audit = denoise(args.run, args.split, args.data, compute=Compute(args.device))
    audit.to_csv(args.out)
    for part in audit.summary(args.suspects):
        OUT.print(part)
    OUT.print(f"written: {args.out}")
    if args.report is not None:
        for path in audit.report(args.report):
            OUT.print(f"written: {path}")
