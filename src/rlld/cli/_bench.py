"""What the verbs of ``rlld bench`` take in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rlld.bench.studies.denoisers import Settings


@dataclass(frozen=True, kw_only=True)
class BenchArgs:
    """Data, places and machines of a benchmark."""

    data: tuple[Path, ...]
    """Data-set folders; scores are averaged over them."""
    out: Path
    """Folder of the results."""
    seeds: int = 5
    """Trainings of each row on each data set: seeds 0, 1, ..."""
    workers: int = 2
    """Processes, each with one thread."""
    on: Literal["here", "ray"] = "here"
    """Where: ray runs one training per CPU of a Ray cluster, whose nodes share data and cache."""
    cache: Path | None = None
    """Folder of the runs, OUT/runs when not given; finished runs are never repeated."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    log: str | None = None
    """Trackers of the trained runs and of the results, joined by commas: tensorboard, wandb."""

    @property
    def settings(self) -> Settings:
        """They as the benchmarks take them."""
        from rlld.bench.studies.denoisers import Settings
        from rlld.tracking import tracker_names

        return Settings(
            data=self.data,
            out=self.out,
            seeds=self.seeds,
            cache=self.cache,
            workers=self.workers if self.on == "here" else self.on,
            device=self.device,
            log=tracker_names(self.log),
        )


@dataclass(frozen=True, kw_only=True)
class UpdatesArgs(BenchArgs):
    """The same, where every row is trained equally long."""

    updates: int | None = None
    """Task-network updates of every row; what dataset.yaml asks for when not given."""

    @property
    def settings(self) -> Settings:
        """They as the benchmarks take them."""
        return replace(super().settings, updates=self.updates)


@dataclass(frozen=True, kw_only=True)
class FigureArgs(UpdatesArgs):
    """Options of the figures of a system without and with RLLD."""

    terms: Literal["equal", "own"] = "equal"
    """equal: the same updates and the same selection for every row; own: as published with it."""


@dataclass(frozen=True, kw_only=True)
class TableArgs(FigureArgs):
    """Options of the tables of the paper."""

    recipes: str | None = None
    """Recipes, joined by commas; the rows of the table when not given."""
    baseline: str | None = None
    """Row that differences refer to; that of the table when not given."""


def names(joined: str | None) -> list[str] | None:
    """Returns names that were joined by commas."""
    return None if joined is None else [name.strip() for name in joined.split(",")]


def show_table(number: int, args: TableArgs) -> None:
    """Trains what the cache does not hold, prints a table, draws and writes it."""
    from rlld.bench.studies.paper import draw_table, table
    from rlld.bench.tables import show

    settings = args.settings
    comparison = table(
        number,
        settings,
        names(args.recipes),
        conditions=args.terms,
        baseline=args.baseline,
    )
    stem = f"table{number}"
    figures = _told(draw_table(comparison, args.out / stem))
    show(comparison, args.out, stem, figures, settings.log)


def show_figure(number: int, args: FigureArgs) -> None:
    """Trains what the cache does not hold, draws a figure and writes its numbers."""
    from rlld.bench.studies.paper import draw_figure, figure
    from rlld.bench.tables import show

    settings = args.settings
    comparison = figure(number, settings, conditions=args.terms)
    stem = f"figure{number}"
    figures = _told(draw_figure(number, comparison, args.out / stem))
    show(comparison, args.out, stem, figures, settings.log)


def track(args: BenchArgs, stem: str, command: str, files: Sequence[Path]) -> None:
    """Gives the trackers of a benchmark the files that it wrote."""
    from rlld.tracking import Results, track_results, tracker_names

    results = Results({}, tuple(files))
    track_results(tracker_names(args.log), args.out, stem, {"command": command}, results)


def _told(paths: list[Path]) -> list[Path]:
    from rlld.utils.console import OUT

    OUT.print(f"drawn: {', '.join(map(str, paths))}")
    return paths
