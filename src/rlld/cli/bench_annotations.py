"""Draw what annotated videos are worth: scores over how many there are, beside baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rlld.data.spec import Priors


@dataclass(frozen=True)
class Args:
    """Options of ``rlld bench annotations``."""

    data: tuple[Path, ...]
    """Data-set folders; scores are averaged over them."""
    out: Path
    """Folder of the tables and figures."""
    seeds: int = 5
    """Trainings of each point on each data set: seeds 0, 1, ..."""
    counts: str = "0,10,25,50,100,200,400"
    """Annotated videos, joined by commas; all of them are added."""
    priors: str | None = None
    """Rough off-screen rates for the point without annotation: Speech=0.75,Cheering=0.5; those of
    dataset.yaml when not given."""
    suggested: bool = True
    """Draw the line of videos that rlld suggest chooses."""
    updates: int | None = None
    """Task-network updates of every run; what dataset.yaml asks for when not given."""
    workers: int = 2
    """Processes, each with one thread."""
    on: Literal["here", "ray"] = "here"
    """Where: ray runs one training per CPU of a Ray cluster, whose nodes share data and cache."""
    cache: Path | None = None
    """Folder of the runs, OUT/runs when not given; finished runs are never repeated."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table, writes it and the figures."""
    from rlld.bench.annotations import learning_curves
    from rlld.bench.denoising import Settings
    from rlld.bench.tables import show
    from rlld.console import OUT

    workers = args.workers if args.on == "here" else args.on
    settings = Settings(
        args.data, args.out, args.seeds, args.updates, args.cache, workers, args.device
    )
    comparison, figures = learning_curves(
        settings,
        counts=_counts(args.counts),
        priors=_priors(args),
        suggested=args.suggested,
    )
    OUT.print(f"figures: {', '.join(map(str, figures))}", markup=False)
    show(comparison, args.out, "annotations")


def _counts(text: str) -> list[int]:
    from rlld.errors import RlldError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RlldError(f"--counts: expected numbers joined by commas, found {text!r}") from None


def _priors(args: Args) -> Priors | None:
    from rlld.data.spec import Priors, read_spec
    from rlld.errors import RlldError

    if args.priors is None:
        return None
    rates = {}
    for part in args.priors.split(","):
        name, _, rate = part.partition("=")
        for folder in args.data:
            read_spec(folder).taxonomy.index(name)
        try:
            rates[name] = float(rate)
        except ValueError:
            rates[name] = -1.0
        if not 0 <= rates[name] <= 1:
            raise RlldError(f"--priors: expected CLASS=RATE with a rate in [0, 1], found {part!r}")
    return Priors(visual=rates)
