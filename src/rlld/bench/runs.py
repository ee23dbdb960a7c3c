"""Runs of a benchmark: each is trained and measured once, by many processes, and found again."""

from __future__ import annotations

import json
import platform
import shlex
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from rlld.bench.keys import dataset_fingerprint, short_hash, source_fingerprint
from rlld.data.dataset import load_data
from rlld.data.spec import Priors
from rlld.errors import RlldError
from rlld.evaluation.labels import judges_labels, measure
from rlld.evaluation.scoring import evaluate, keep_probabilities
from rlld.metrics.scores import NAMES, named_score
from rlld.recipes.recipe import Recipe, load_recipe
from rlld.tracking import Tracking
from rlld.training.loop import train
from rlld.training.run_folder import Run
from rlld.utils.cluster import NodeError, await_file
from rlld.utils.compute import Compute
from rlld.utils.config import to_dict
from rlld.utils.console import ERR, progress, quiet
from rlld.utils.files import held, write_text
from rlld.utils.plain import json_text, parsed
from rlld.utils.pool import Workers, each

SCORES, ERROR = "scores.json", "error.txt"
NETWORKS = "networks"
"""Where the cache keeps the state networks that its runs share, by source."""
MEASURES_VERSION = 1
"""Part of every key; raised when ``_measured`` measures something else."""

UPDATES, SELECTION = "schedule.updates", "selection.score"
REWARD_SHARE = "selection.reward_share"
TEACHING = 0.667
"""Share of the validation videos that may teach, in every row; the others select the weights."""


@dataclass(frozen=True)
class Terms:
    """What every row of a table has in common.

    Attributes:
        updates: Updates of the task network; those of each recipe when None.
        selection: The validation score that picks the kept weights; the rule of each recipe, which
            may use the same videos for teaching and selecting, when None.

    Raises:
        RlldError: If there is no such score.
    """

    updates: int | None
    selection: str | None

    def __post_init__(self) -> None:
        if self.selection not in ("last", None):
            named_score(dict.fromkeys(NAMES, 0.0), self.selection)

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings that enforce them, by dotted path."""
        found: dict[str, Any] = {} if self.updates is None else {UPDATES: self.updates}
        if self.selection is not None:
            share = 1.0 if self.selection == "last" else TEACHING
            found |= {SELECTION: self.selection, REWARD_SHARE: share}
        return found

    def __str__(self) -> str:
        if self.updates is None or self.selection is None:
            return (
                "each recipe at its own terms: length and selection rule as published, but for "
                "what dataset.yaml asks of every recipe"
            )
        chosen = "weights of the last round kept"
        if self.selection != "last":
            chosen = (
                f"weights selected by {self.selection} on a third of the validation videos, of "
                "which none teaches"
            )
        return f"equal terms: {self.updates} updates of the task network, {chosen}"


def common_terms(folders: Sequence[Path], updates: int | None, selection: str) -> Terms:
    """Finds the terms of a table.

    Args:
        folders: Data-set folders.
        updates: Updates of the task network; those that the data sets ask for when None.
        selection: The validation score that picks the kept weights.

    Raises:
        RlldError: If no number of updates is given or the data sets ask for different ones.
    """
    if updates is not None:
        return Terms(updates, selection)
    asked = {folder: load_data(folder).spec.overrides.get(UPDATES) for folder in folders}
    found = set(asked.values())
    if len(found) > 1 or None in found:
        told = ", ".join(f"{folder}: {value}" for folder, value in asked.items())
        raise RlldError(
            f"rows compare at the same number of updates only, and dataset.yaml asks for {told}; "
            "give --updates"
        )
    return Terms(int(str(found.pop())), selection)


@dataclass(frozen=True)
class Job:
    """One training and what is measured after it.

    Attributes:
        method: Title of its row.
        recipe: What is trained, all overrides applied.
        data: Data-set folder.
        fingerprint: Hash of the data set, see ``dataset_fingerprint``.
        seed: Seed of the run.
        device: Where to compute.
        settings: The overrides that made the recipe, for the command of the row.
        priors: Rates of wrong tags in place of those of ``dataset.yaml``; those when None.
    """

    method: str
    recipe: Recipe
    data: Path
    fingerprint: str
    seed: int
    device: Literal["auto", "cpu", "cuda"] = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    priors: Priors | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that its result depends on, JSON-ready."""
        return {
            "recipe": self.recipe.as_dict(),
            "data": self.fingerprint,
            "priors": to_dict(self.priors),
            "seed": self.seed,
            "device": Compute(self.device).torch_device.type,
            "rlld": version("rlld"),
            "source": source_fingerprint(),
            "torch": torch.__version__,
            "measures": MEASURES_VERSION,
        }

    @property
    def key(self) -> str:
        """The name of its folder in the cache."""
        return short_hash(self.identity)

    @property
    def gpus(self) -> int:
        """How many GPUs it takes."""
        return int(Compute(self.device).torch_device.type == "cuda")

    @property
    def command(self) -> str:
        """The command that trains the same by hand; benchmarks compare published settings."""
        settings = " ".join(f"--{name} {_typed(value)}" for name, value in self.settings.items())
        paths = f"--data {self.data} --out RUN --seed {self.seed}"
        typed = f"rlld train {self.recipe.name} {paths} --fit false {settings}".rstrip()
        if self.priors is None:
            return typed
        return f"{typed}  # dataset.yaml with priors: {json.dumps(to_dict(self.priors))}"

    def __str__(self) -> str:
        return f"{self.method}, {self.data.name}, seed {self.seed}"


def _typed(value: Any) -> str:
    """Returns a setting as it is typed in a shell."""
    return shlex.quote(json.dumps(value) if isinstance(value, tuple | list) else str(value))


@dataclass(frozen=True)
class Result:
    """A measured run.

    Attributes:
        job: What was run.
        scores: The ten test scores by name, in percent.
        denoising: What ``rlld.evaluation.labels.measure`` says of the training labels, None where
            the truth is unknown or the method judges no labels.
        facts: Seconds, parameters trained, updates, selected round and notes of the run.
    """

    job: Job
    scores: dict[str, float]
    denoising: dict[str, Any] | None
    facts: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A run that came to nothing.

    Attributes:
        job: What was to be run.
        reason: Why it failed, one sentence.
    """

    job: Job
    reason: str


def plan(
    methods: Mapping[str, tuple[str, Mapping[str, Any]]],
    folders: Sequence[Path],
    seeds: Iterable[int],
    terms: Terms,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> list[Job]:
    """Returns the jobs of a table, seed by seed, so that early results cover every method.

    Args:
        methods: Recipe and own overrides by row title; the terms win over the overrides.
        folders: Data-set folders.
        seeds: Seeds of the runs.
        terms: What every row has in common.
        device: Where to compute.

    Raises:
        RlldError: If a recipe is unknown, a setting does not fit, or a data set is damaged.
    """
    prints = {folder: dataset_fingerprint(folder) for folder in folders}
    recipes = {}
    for folder in folders:
        defaults = load_data(folder).spec.overrides
        for method, (name, own) in methods.items():
            settings = {**own, **terms.overrides}
            recipes[folder, method] = (load_recipe(name, settings, defaults), settings)
    return [
        Job(method, recipe, folder, prints[folder], seed, device, settings)
        for seed in seeds
        for (folder, method), (recipe, settings) in recipes.items()
    ]


def run_all(
    jobs: Sequence[Job], cache: Path, workers: Workers = 1, log: tuple[str, ...] = ()
) -> list[Result | Failure]:
    """Trains and measures what the cache does not hold yet.

    A run that fails costs only itself; an interrupted one goes on where it stopped.

    Args:
        jobs: The runs.
        cache: Folder of the runs; each has a folder named by its key.
        workers: Processes, each with one thread, or ``"ray"``: a cluster whose nodes share the
            cache, the data sets and the version of everything.
        log: Trackers of the runs that are trained, see ``rlld.tracking``.

    Returns:
        What became of each job, in their order.

    Raises:
        RlldError: If there is no cluster, or a node of it does not share what it has to.
    """
    tasks = {
        job.key: _Task(replace(job, data=job.data.absolute()), cache.absolute() / job.key, log)
        for job in jobs
    }
    waiting = [task for task in tasks.values() if not (task.folder / SCORES).is_file()]
    failures = _run_waiting(waiting, len(tasks), workers)
    outcomes: list[Result | Failure] = []
    for job in jobs:
        key = job.key
        if key in failures:
            outcomes.append(Failure(job, str(failures[key])))
        else:
            outcomes.append(_read(job, tasks[key].folder))
    return outcomes


@dataclass(frozen=True)
class _Task:
    job: Job
    folder: Path
    log: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.job)


def _run_waiting(waiting: Sequence[_Task], total: int, workers: Workers) -> dict[str, RlldError]:
    done, failures = total - len(waiting), {}
    shared = waiting[0].folder.parent if waiting else None
    gpus = max((task.job.gpus for task in waiting), default=0)
    if done:
        ERR.print(f"{done} of {total} runs are in the cache")
    started = time.monotonic()
    with progress("runs", total, done) as tick:
        outcomes = each(_execute, waiting, workers, shared=shared, gpus=gpus)
        for number, (task, outcome) in enumerate(outcomes, start=1):
            left = (time.monotonic() - started) / number * (len(waiting) - number)
            told = outcome
            if isinstance(outcome, RlldError):
                failures[task.job.key] = outcome
                told = "failed"
            else:
                await_file(task.folder / SCORES)
            remark = f"{task}: {told} ({done + number} of {total}, {_minutes(left)} left)"
            ERR.print(remark)
            tick(1)
    return failures


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _execute(task: _Task) -> str:
    """Trains and measures one run in a worker process; returns its score for the log."""
    _require_same(task.job, task.folder.name)
    # Another benchmark may train the very same: it is waited for, and its run is found.
    with held(task.folder / SCORES, wait=True):
        return _executed(task)


def _executed(task: _Task) -> str:
    job, folder = task.job, task.folder
    if (folder / SCORES).is_file():  # or the worker was lost after its work was done
        return _told(_read(job, folder).scores)
    try:
        with quiet():
            report = _measured(job, folder, task.log)
    except RlldError:
        raise
    except Exception as error:
        # Whatever is wrong with one method must not cost the hours of the others.
        write_text(folder / ERROR, traceback.format_exc())
        kind = type(error).__name__
        raise RlldError(f"{job}: failed with {kind} ({error}); see {folder / ERROR}") from None
    write_text(folder / SCORES, json_text(report, str(folder / SCORES), indent=1) + "\n")
    return _told(report["scores"])


def _told(scores: Mapping[str, float]) -> str:
    return f"type {scores['segment_type']:.1f} / {scores['event_type']:.1f}"


def _require_same(job: Job, key: str) -> None:
    """Requires that where it runs, a job is the one that was planned.

    Raises:
        NodeError: If versions, the device or the data differ.
    """
    if job.key != key or dataset_fingerprint(job.data) != job.fingerprint:
        raise NodeError(
            f"{job}: {platform.node()} has another rlld, torch or device, or other data in "
            f"{job.data}, than where the benchmark was started; make them the same"
        )


def _measured(job: Job, folder: Path, log: tuple[str, ...]) -> dict[str, Any]:
    data = load_data(job.data)
    if job.priors is not None:
        data.spec = replace(data.spec, priors=job.priors)
    compute = Compute(job.device, threads=1)
    with Tracking(log, str(job)) as tracking:
        run = train(
            job.recipe,
            data,
            folder,
            seed=job.seed,
            compute=compute,
            resume=True,
            networks=folder.parent / NETWORKS / source_fingerprint(),
            watcher=tracking,
        )
        tracking.finish(run)
    kept = (
        "seconds",
        "trained_parameters",
        "updates",
        "selected_round",
        "selected_updates",
        "teaching_videos",
        "notes",
    )
    return {
        "identity": job.identity,
        "scores": evaluate(run, "test", job.data).scores.as_dict(),
        "denoising": _denoising(run, job.data),
        "facts": {name: run.facts[name] for name in kept if name in run.facts},
    }


def _denoising(run: Run, folder: Path) -> dict[str, Any] | None:
    files = run.spec.annotations
    if not judges_labels(run) or not (files.truth_audio and files.truth_visual):
        return None
    videos = load_data(folder, with_truth=True).train.to(run.device, torch.float32)
    return measure(videos, keep_probabilities(run, videos))


def _read(job: Job, folder: Path) -> Result:
    path = folder / SCORES
    try:
        report = parsed(path.read_text(encoding="utf-8"))
        scores = {name: float(score) for name, score in report["scores"].items()}
        counts, facts = report["denoising"], dict(report["facts"])
        return Result(job, scores, None if counts is None else dict(counts), facts)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise RlldError(
            f"{path}: not the scores of a run ({error}); remove the folder to train it again"
        ) from None
