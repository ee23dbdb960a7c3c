"""What answers are worth, by the way in which the questions were chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.bench.comparison import Comparison, MethodRow, rows_of
from rlld.bench.jobs import Job, Terms, common_terms, plan
from rlld.bench.runs import Failure, Result, run_all
from rlld.bench.studies.annotations import (
    ANNOTATED,
    FIGURES,
    KEEP_ALL,
    LEARNER,
    PUBLISHED,
    Point,
    curve_of,
    unanswered,
)
from rlld.bench.studies.denoisers import Settings, compared
from rlld.data.answers import UNKNOWN, Answer
from rlld.data.dataset import load_data
from rlld.data.tracks import tracks_of
from rlld.errors import RlldError, nearest
from rlld.evaluation.pool import Pool
from rlld.evaluation.questions import By, ask, pool_of
from rlld.report.figures import learning_curve
from rlld.training.run_folder import Run, load_run
from rlld.types import MODALITIES

COUNTS = (10, 25, 50, 100, 200)
"""Answers: of a class in a video and a track, yes or no."""
RANDOM = "random"
"""All tags of videos drawn evenly, the learner being told of no probability."""
Truth = NDArray[np.bool_]
Answers = dict[int, list[Answer]]
"""By how many were asked for."""


def worth_of_answers(
    settings: Settings, select: Sequence[str], counts: Sequence[int] = COUNTS
) -> tuple[Comparison, list[Path]]:
    """Trains on few and many answers to questions that were chosen in several ways.

    Args:
        settings: Data whose true events are known, seeds and places.
        select: ``random``, ``sample``, ``question``, ``doubt``, or some of them.
        counts: Answers on training videos; nothing else is annotated.

    Returns:
        The table, and the figures (PNG and SVG of segment-level and event-level Type).

    Raises:
        RlldError: If a way or a count is wrong, or the true events are not known. A run that fails
            raises nothing; it stands in ``Comparison.failures``.
    """
    unknown = [name for name in select if name not in WAYS]
    if unknown:
        raise RlldError(f"--select: unknown way {unknown[0]!r}{nearest(unknown[0], [*WAYS])}")
    if any(count < 1 for count in counts):
        raise RlldError(f"--counts must be 1 or more with --select, found {min(counts)}")
    terms = common_terms(settings.data, settings.updates, "last")
    bare = _planned(settings, [Point(PUBLISHED, 0), Point(KEEP_ALL, 0), Point(LEARNER, 0)], terms)
    outcomes = run_all(bare, settings.runs, settings.workers, settings.log)
    before = {
        (outcome.job.data, outcome.job.seed): settings.runs / outcome.job.key
        for outcome in outcomes
        if isinstance(outcome, Result) and outcome.job.method == Point(LEARNER, 0).title
    }
    jobs = _with_answers(settings, select, counts, terms, before)
    outcomes += run_all(jobs, settings.runs, settings.workers, settings.log)
    return _shown(settings, select, counts, terms, outcomes)


def _shown(
    settings: Settings,
    select: Sequence[str],
    counts: Sequence[int],
    terms: Terms,
    outcomes: list[Result | Failure],
) -> tuple[Comparison, list[Path]]:
    lines = (PUBLISHED, KEEP_ALL, LEARNER, *select)

    def place(row: MethodRow) -> tuple[int, int]:
        point = Point.of(row.method)
        return lines.index(point.line), point.videos

    rows = sorted(rows_of(outcomes), key=place)
    picked = ",".join(map(str, counts))
    comparison = compared(
        "What answers are worth",
        rows,
        settings,
        terms,
        baseline=Point(PUBLISHED, 0).title,
        command=f"rlld bench annotations {settings.command} --select {','.join(select)} "
        f"--counts {picked}",
        notes=(
            f"{LEARNER} on so many answers about training videos (a class of a video, in a track), "
            "the truth answering; no video is annotated otherwise, and the weights of the last "
            "round are kept.",
            f"{RANDOM}: all tags of videos drawn evenly, without probabilities; sample, question: "
            "what 'rlld suggest --by' draws from the tags alone, with probabilities; doubt: what "
            "it draws from the run without answers. Samples of whole videos have about so many.",
        ),
    )
    return comparison, _figures(rows, select, settings.out)


def _planned(settings: Settings, points: Sequence[Point], terms: Terms) -> list[Job]:
    methods = {point.title: (point.line, {ANNOTATED: 0}) for point in points}
    return unanswered(plan(methods, settings.data, range(settings.seeds), terms, settings.device))


def _with_answers(
    settings: Settings,
    select: Sequence[str],
    counts: Sequence[int],
    terms: Terms,
    before: dict[tuple[Path, int], Path],
) -> list[Job]:
    """Returns the jobs on answers; those of ``doubt`` where the run before them did not fail."""
    jobs = []
    for job in _planned(settings, [Point(LEARNER, 0)], terms):
        pool, truth = _unasked(job.data), _truth(job.data)
        for way in select:
            seen = pool
            if way == "doubt":
                if (job.data, job.seed) not in before:
                    continue
                seen = _unasked(job.data, load_run(before[job.data, job.seed]))
            for title, rows in _titled(way, seen, WAYS[way](seen, truth, counts, job.seed)).items():
                jobs.append(replace(job, method=title, answers=tuple(rows)))
    return jobs


def _unasked(folder: Path, run: Run | None = None) -> Pool:
    """Returns what can be asked as if nobody had answered, whatever answers the data set holds."""
    pool = pool_of(folder, run)
    if not pool.spec.annotations.answers:
        return pool
    known = np.full_like(pool.known, UNKNOWN)
    if run is not None:
        train = load_data(folder).train
        known[~tracks_of(train.streams, train.lengths).numpy()] = 0  # nobody asks about silence
    return replace(pool, known=known, chances=np.zeros_like(pool.chances))


def _titled(way: str, pool: Pool, found: Answers) -> dict[str, list[Answer]]:
    """Returns answers by the title of their row, which promises no more than there are."""
    most = int((pool.tags[:, None] & (pool.known == UNKNOWN)).sum())
    return {
        Point(way, min(count, most) if way == "sample" else len(rows)).title: rows
        for count, rows in found.items()
    }


def _truth(folder: Path) -> Truth:
    train = load_data(folder, with_truth=True).train
    if train.truth is None:
        raise RlldError(
            f"{folder}: the true events of its training videos are not known, so that nobody can "
            "answer; use a simulation"
        )
    return train.truth.any(1).numpy()


def _random(pool: Pool, truth: Truth, counts: Sequence[int], seed: int) -> Answers:
    """Answers about all tags of random videos; fewer are among more."""
    rows = [
        Answer(pool.ids[video], pool.spec.classes[label], name, bool(truth[video, m, label]))
        for video in np.random.default_rng(seed).permutation(len(pool)).tolist()
        for label in pool.tags[video].nonzero()[0].tolist()
        for m, name in enumerate(MODALITIES)
    ]
    return {count: rows[:count] for count in counts}


def _drawn(pool: Pool, truth: Truth, counts: Sequence[int], seed: int, *, by: By) -> Answers:
    """Answers to what is drawn; one question after the other where the design goes on so."""
    found: Answers = {}
    rows: list[Answer] = []
    for count in sorted(counts):
        told = rows if by == "question" else []
        more = -(-(count - len(told)) // len(MODALITIES))
        rows = told + _answered(pool, truth, told, more, seed, by) if more > 0 else told
        # Half a video of a sample would be none.
        found[count] = rows if by == "sample" else rows[:count]
    return found


def _answered(
    pool: Pool, truth: Truth, told: Sequence[Answer], count: int, seed: int, by: By
) -> list[Answer]:
    return [
        Answer(q.video, q.label, name, present, 0, q.probability)
        for q in ask(pool, count, told, by=by, seed=seed)
        for m, name in enumerate(MODALITIES)
        if name in q.tracks
        for present in [bool(truth[pool.rows[q.video], m, pool.columns[q.label]])]
    ]


WAYS: dict[str, Callable[[Pool, Truth, Sequence[int], int], Answers]] = {
    RANDOM: _random,
    "sample": partial(_drawn, by="sample"),
    "question": partial(_drawn, by="question"),
    "doubt": partial(_drawn, by="doubt"),
}


def _figures(rows: Sequence[MethodRow], select: Sequence[str], out: Path) -> list[Path]:
    paths = []
    for measure, label in FIGURES.items():
        curves = {line: curve_of(line, rows, measure) for line in (*select, LEARNER, PUBLISHED)}
        series = {line: curve for line, curve in curves.items() if curve is not None}
        stem = out / f"answers-{measure.replace('_', '-')}"
        paths += learning_curve(stem, series, "answers", label, "Cleaning labels by few answers")
    return paths
