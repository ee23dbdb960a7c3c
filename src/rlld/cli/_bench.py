"""Options of the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from rlld.recipes import RECOMMENDED

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
    """Options of the figures of a system without and with RLLD, and of Table 3."""

    terms: Literal["equal", "own"] = "equal"
    """equal: the same updates and the same selection for every row; own: as published with it."""


@dataclass(frozen=True, kw_only=True)
class ForeignArgs(BenchArgs):
    """The same, beside predictions of others."""

    foreign: tuple[str, ...] = ()
    """Predictions of others on the test videos, NAME=PATH each: a row of its own. PATH is a file of
    events in a format of 'rlld export', or a folder of them."""

    @property
    def settings(self) -> Settings:
        """They as the benchmarks take them."""
        return replace(super().settings, foreign=self.foreign)


@dataclass(frozen=True, kw_only=True)
class TableArgs(ForeignArgs, FigureArgs):
    """Options of Tables 1 and 2."""

    recipes: str | None = None
    """Recipes, joined by commas; the rows of the table when not given."""
    baseline: str | None = None
    """Row that differences refer to; that of the table when not given."""


@dataclass(frozen=True, kw_only=True)
class CurveArgs(BenchArgs):
    """Options of Figures 6 to 11 and of all curves."""

    episodes: int = 100
    """Length of each run in episodes of 32 steps."""


@dataclass(frozen=True, kw_only=True)
class DenoisingArgs(ForeignArgs, UpdatesArgs):
    """Options of ``rlld bench denoising``."""

    recipes: str | None = None
    """Recipes, joined by commas; RLLD and its baselines when not given."""
    baseline: str = "weak"
    """Row that differences refer to; weak is training on all labels."""
    selection: str = "segment_type+event_type"
    """Validation score that picks the weights of every row, or last."""


@dataclass(frozen=True, kw_only=True)
class AblationArgs(UpdatesArgs):
    """Options of ``rlld bench ablation``."""

    learner: Annotated[Literal["paper", "labelwise"], tyro.conf.Positional]
    """paper: Table 2; labelwise: the recommended learner."""
    selection: str = "segment_type+event_type"
    """Validation score that picks the weights of every row, or last."""


@dataclass(frozen=True, kw_only=True)
class AnnotationsArgs(UpdatesArgs):
    """Options of ``rlld bench annotations``."""

    counts: str | None = None
    """Annotated videos, joined by commas; 0,10,25,50,100,200,400 when not given; all of
    them are added. With --select: answers."""
    priors: str | None = None
    """Rough off-screen rates for the point without annotation: Speech=0.75,Cheering=0.5; those of
    dataset.yaml when not given."""
    select: str | None = None
    """Compare answers instead of videos, by how the questions are chosen: random, sample, question,
    doubt, joined by commas. --counts is 10,25,50,100,200 then when not given."""


@dataclass(frozen=True, kw_only=True)
class EnhanceArgs(UpdatesArgs):
    """Options of ``rlld bench enhance``."""

    recipes: str | None = None
    """Recipes, joined by commas; every network and label source when not given."""
    selection: str = "segment_type+event_type"
    """Validation score that picks the weights of every run, or last."""


@dataclass(frozen=True, kw_only=True)
class RegimesArgs(UpdatesArgs):
    """Options of ``rlld bench regimes``."""

    data: tuple[Path, ...]
    """One folder, in which the data sets are simulated where they are not there yet."""
    updates: int | None = None
    """Task-network updates of every run; those of the recommended recipe when not given."""
    recipe: str = RECOMMENDED
    """The recommended recipe."""
    preset: Literal["compact", "llp"] = "compact"
    """Features of 40 dimensions, or of the published ones."""
    simulations: tuple[int, ...] = (0, 1)
    """Seeds of the data sets of each row."""
    axes: str | None = None
    """Axes to vary, joined by commas: videos, annotated, noise, classes, streams; all when not
    given."""


@dataclass(frozen=True)
class SignalArgs:
    """Options of ``rlld bench signal``."""

    data: Path
    """Data-set folder whose true training labels are known."""
    out: Path
    """Folder of the tables: signal.md, .csv, .json, .tex."""
    after: tuple[int, ...] = (100, 300)
    """Task steps on all labels before the trials."""
    batches: int = 12
    """Batches tried after each of them."""
    repeats: int = 5
    """Fresh networks for each row of the episodes."""


@dataclass(frozen=True)
class RatesArgs:
    """Options of ``rlld bench rates``."""

    out: Path
    """Folder of the tables: rates.md, .csv, .json, .tex."""
    lfav: Path | None = None
    """Folder of LFAV's annotation (LFAV_dataset)."""
    llp: Path | None = None
    """Folder of LLP's annotation files."""
    vggsounder: Path | None = None
    """VGGSounder's vggsounder.csv."""


@dataclass(frozen=True, kw_only=True)
class OpenClassesArgs:
    """Options of ``rlld bench open-classes``."""

    data: tuple[Path, ...]
    """Data sets with annotated test videos and scores of their segments."""
    out: Path
    """Folder of the table: open-classes.md, .csv, .json, .tex."""
    scores: str = "classes"
    """Which set of their scores, one prompt per class."""


@dataclass(frozen=True, kw_only=True)
class PublishedArgs:
    """Options of ``rlld bench published``."""

    out: Path
    """Folder of the table: published.md, published.csv, published.json, published.tex."""


@dataclass(frozen=True, kw_only=True)
class QuestionsArgs:
    """Options of ``rlld bench questions``."""

    out: Path
    """Folder of the tables: questions.md, .csv, .json, .tex."""
    llp: Path | None = None
    """Folder of LLP's annotation files."""
    lfav: Path | None = None
    """LFAV_dataset, the folder of LFAV's annotation."""
    data: tuple[Path, ...] = ()
    """Simulated data sets, whose true events are known."""
    draws: int = 10
    """Draws of evidence and of questions."""
