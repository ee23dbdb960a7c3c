"""Say of every label whether the denoiser keeps it, and rank the most suspect ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld denoise``."""

    run: tyro.conf.Positional[Path]
    """Run folder of a recipe whose denoiser learns (rlld)."""
    out: Path
    """Tab-separated file to write: video, label, modality, keep probability, decision."""
    split: Literal["train", "validation", "test"] = "train"
    """The videos whose labels are judged."""
    data: Path | None = None
    """Data-set folder; the one of the training when not given."""
    suspects: int = 10
    """How many of the most suspect labels to print."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Writes the verdicts, prints a summary and the suspects."""
    from rlld.compute import Compute
    from rlld.console import OUT
    from rlld.denoising import measure, verdict_text, verdicts
    from rlld.evaluation import keep_probabilities, load_for
    from rlld.files import write_text
    from rlld.report.tables import removal_table
    from rlld.training.run_folder import load_run

    loaded = load_run(args.run, Compute(args.device).torch_device)
    videos = load_for(loaded, args.split, args.data, with_truth=True).to(loaded.device)
    keep = keep_probabilities(loaded, videos)
    rows = list(verdicts(videos, keep))
    write_text(args.out, verdict_text(rows))
    removed = sum(row.decision == "remove" for row in rows)
    OUT.print(
        f"{args.split}: {len(videos)} videos, {len(rows)} labels counting each modality, "
        f"{removed} to remove"
    )
    for row in sorted(rows, key=lambda row: row.keep)[: args.suspects]:
        OUT.print(f"  {row.video}  {row.label}  {row.modality}  keep {row.keep:.3f}", markup=False)
    measured = measure(videos, keep)
    if measured is not None:
        OUT.print(removal_table({loaded.recipe.name: measured}))
    OUT.print(f"written: {args.out}")
