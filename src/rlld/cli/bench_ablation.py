"""Take a learner apart: the rows of the paper's Table 2, or the parts of the labelwise learner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld bench ablation``."""

    learner: Annotated[Literal["paper", "labelwise"], tyro.conf.Positional]
    """paper: Table 2; labelwise: the recommended learner."""
    data: tuple[Path, ...]
    """Data-set folders; scores are averaged over them."""
    out: Path
    """Folder of the tables: ablation-LEARNER.md, .csv, .json, .tex."""
    seeds: int = 5
    """Trainings of each row on each data set: seeds 0, 1, ..."""
    updates: int | None = None
    """Task-network updates of every row; what dataset.yaml asks for when not given."""
    selection: str = "segment_type+event_type"
    """Validation score that picks the weights of every row, or last."""
    workers: int = 2
    """Processes, each with one thread."""
    on: Literal["here", "ray"] = "here"
    """Where: ray runs one training per CPU of a Ray cluster, whose nodes share data and cache."""
    cache: Path | None = None
    """Folder of the runs, OUT/runs when not given; finished runs are never repeated."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    from rlld.bench.ablation import ablation
    from rlld.bench.denoising import Settings
    from rlld.bench.tables import show

    workers = args.workers if args.on == "here" else args.on
    settings = Settings(
        args.data, args.out, args.seeds, args.updates, args.cache, workers, args.device
    )
    comparison = ablation(settings, args.learner, selection=args.selection)
    show(comparison, args.out, f"ablation-{args.learner}")
