"""Compare label denoisers on equal terms: recipes x data sets x seeds, cached and resumable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Args:
    """Options of ``rlld bench denoising``."""

    data: tuple[Path, ...]
    """Data-set folders; scores are averaged over them."""
    out: Path
    """Folder of the tables: denoising.md, .csv, .json, .tex."""
    seeds: int = 5
    """Trainings of each recipe on each data set: seeds 0, 1, ..."""
    recipes: str | None = None
    """Recipes, joined by commas; RLLD and its baselines when not given."""
    baseline: str = "weak"
    """Row that differences refer to; weak is training on all labels."""
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
    from rlld.bench.denoising import Settings, denoising
    from rlld.bench.tables import show

    workers = args.workers if args.on == "here" else args.on
    settings = Settings(
        args.data, args.out, args.seeds, args.updates, args.cache, workers, args.device
    )
    recipes = args.recipes.split(",") if args.recipes is not None else None
    comparison = denoising(settings, recipes, selection=args.selection, baseline=args.baseline)
    show(comparison, args.out, "denoising")
