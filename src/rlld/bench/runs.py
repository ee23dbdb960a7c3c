"""Runs of a benchmark: each is trained and measured once, by many processes, and found again."""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rlld.bench.jobs import Job
from rlld.bench.keys import dataset_fingerprint, source_fingerprint
from rlld.data.answers import Answer
from rlld.data.dataset import DataSet, load_data, with_answers
from rlld.data.spec import weak_files
from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.evaluation.labels import judges_labels, measure
from rlld.evaluation.scoring import evaluate_on, keep_probabilities, load_for
from rlld.metrics.averages import VARIANT_NAMES, flat
from rlld.metrics.scores import NAMES
from rlld.tracking import Tracking
from rlld.training.loop import train
from rlld.training.run_folder import Run
from rlld.utils.cluster import NodeError, await_file
from rlld.utils.compute import Compute
from rlld.utils.console import ERR, progress, quiet
from rlld.utils.files import held, write_text
from rlld.utils.plain import json_text, parsed
from rlld.utils.pool import Workers, each

SCORES, ERROR = "scores.json", "error.txt"
NETWORKS = "networks"
"""Where the cache keeps the state networks that its runs share, by source."""


@dataclass(frozen=True)
class Result:
    """A measured run.

    Attributes:
        job: What was run.
        scores: The ten test scores by name, in percent.
        variants: They in other ways, as in ``metrics.averages.VARIANT_NAMES``.
        tagged: ``scores`` and ``variants`` where the parser knows the tags of the test videos.
        denoising: What ``rlld.evaluation.labels.measure`` says of the training labels, None where
            the truth is unknown or the method judges no labels.
        facts: Seconds, parameters trained, updates, selected round and notes of the run.
    """

    job: Job
    scores: dict[str, float]
    variants: dict[str, float]
    tagged: dict[str, float]
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


def run_all(
    jobs: Sequence[Job],
    cache: Path,
    workers: Workers = 1,
    log: tuple[str, ...] = (),
    *,
    share: bool = True,
) -> list[Result | Failure]:
    """Trains and measures what the cache does not hold yet.

    A run that fails costs only itself; an interrupted one goes on where it stopped.

    Args:
        jobs: The runs.
        cache: Folder of the runs; each has a folder named by its key.
        workers: Processes, each with one thread, or ``"ray"``: a cluster whose nodes share the
            cache, the data sets and the version of everything.
        log: Trackers of the runs that are trained, see ``rlld.tracking``.
        share: Whether networks that a denoiser trains before are trained once for all runs that
            need the same; without it each run takes the time of its own.

    Returns:
        What became of each job, in their order.

    Raises:
        RlldError: If there is no cluster, or a node of it does not share what it has to.
    """
    tasks = {
        job.key: _Task(
            replace(job, data=job.data.absolute()), cache.absolute() / job.key, log, share
        )
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
            outcomes.append(_found(job, tasks[key].folder))
    return outcomes


def _found(job: Job, folder: Path) -> Result | Failure:
    try:
        return _read(job, folder)
    except RlldError as error:
        return Failure(job, str(error))


@dataclass(frozen=True)
class _Task:
    job: Job
    folder: Path
    log: tuple[str, ...] = ()
    share: bool = True

    def __str__(self) -> str:
        return str(self.job)


def is_finished(job: Job, cache: Path) -> bool:
    """Says whether the cache holds what a job measures."""
    return (cache.absolute() / job.key / SCORES).is_file()


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
            report = _measured(task)
    except RlldError:
        raise
    except Exception as error:
        # Whatever is wrong with one method must not cost the hours of the others.
        write_text(folder / ERROR, traceback.format_exc())
        kind, reason = type(error).__name__, " ".join(str(error).split())
        raise RlldError(f"{job}: failed with {kind} ({reason}); see {folder / ERROR}") from None
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


def _measured(task: _Task) -> dict[str, Any]:
    job, folder = task.job, task.folder
    data = load_data(job.data)
    if job.priors is not None:
        data.spec = replace(data.spec, priors=job.priors)
    if job.answers is not None:
        _answer(data, job.answers)
    compute = Compute(job.device, threads=1)
    networks = folder.parent / NETWORKS / source_fingerprint(job.recipe) if task.share else None
    with Tracking(task.log, str(job)) as tracking:
        run = train(
            job.recipe,
            data,
            folder,
            seed=job.seed,
            compute=compute,
            resume=folder.exists(),
            networks=networks,
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
    videos = load_for(run, "test", job.data)
    found, tagged = (evaluate_on(run, videos, by_tags=known) for known in (False, True))
    return {
        "identity": job.identity,
        "scores": found.scores.as_dict(),
        "variants": flat(found.variants),
        "tagged": {**tagged.scores.as_dict(), **flat(tagged.variants)},
        "denoising": _denoising(run, job.data),
        "facts": {name: run.facts[name] for name in kept if name in run.facts},
    }


def _answer(data: DataSet, answers: Sequence[Answer]) -> None:
    """Puts answers on training videos in place of all that the data set has."""
    data.train = with_answers(data.train, answers) if answers else _unanswered(data.train)
    if "validation" in weak_files(data.spec):
        data.validation = _unanswered(data.validation)


def _unanswered(split: Split) -> Split:
    return replace(split, answers=None, chances=None)


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
        every = {"scores": NAMES, "variants": VARIANT_NAMES, "tagged": (*NAMES, *VARIANT_NAMES)}
        scores, variants, tagged = (
            {name: float(report[part][name]) for name in names} for part, names in every.items()
        )
        counts, facts = report["denoising"], dict(report["facts"])
        denoising = None if counts is None else dict(counts)
        return Result(job, scores, variants, tagged, denoising, facts)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise RlldError(
            f"{path}: not the scores of a run ({error}); remove the folder to train it again"
        ) from None
