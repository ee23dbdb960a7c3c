"""What annotated videos are worth: learning curves over how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rlld.bench.comparison import Comparison, MethodRow, rows_of
from rlld.bench.jobs import Job, Terms, common_terms, plan
from rlld.bench.runs import run_all
from rlld.bench.statistics import Estimate
from rlld.bench.studies.denoisers import Settings, compared
from rlld.bench.typed import typed
from rlld.data.dataset import load_data
from rlld.data.spec import Priors, read_spec
from rlld.errors import RlldError
from rlld.report.figures import Curve, learning_curve

COUNTS = (0, 10, 25, 50, 100, 200, 400)
"""Annotated videos; all of them come last by themselves."""
LEARNER, BASELINES = "rlld-labelwise", ("supervised", "constant")
"""The baselines need annotation; without any they are training on all labels."""
KEEP_ALL, PUBLISHED = "weak", "han"
ANNOTATED = "selection.annotated"
PRIORS = "priors"
"""The learner without annotation but with rates of wrong tags."""
LINES = (PUBLISHED, KEEP_ALL, PRIORS, LEARNER, *BASELINES)
FIGURES = {"segment_type": "Segment-level Type (%)", "event_type": "Event-level Type (%)"}


class Point(NamedTuple):
    """One position of a line.

    Attributes:
        line: Name of the line.
        videos: Annotated videos.
    """

    line: str
    videos: int

    @property
    def title(self) -> str:
        """Title of its row."""
        return f"{self.line} {self.videos}"

    @classmethod
    def of(cls, title: str) -> Point:
        """Reads the title of a row."""
        line, _, videos = title.rpartition(" ")
        return cls(line, int(videos))


def learning_curves(
    settings: Settings,
    *,
    counts: Sequence[int] = COUNTS,
    priors: Priors | None = None,
) -> tuple[Comparison, list[Path]]:
    """Trains on few and many annotated videos and draws the learning curves.

    Args:
        settings: Data, seeds and places.
        counts: Annotated videos, drawn from the validation split by the seed of the run; all of
            them are added, and counts beyond are left out.
        priors: Rates of wrong tags for the point without annotation; those of ``dataset.yaml``
            when None, and no such point where there are none.

    Returns:
        The table, and the figures (PNG and SVG of segment-level and event-level Type).

    Raises:
        RlldError: If a count is negative or data are wrong. A run that fails raises nothing; it
            stands in ``Comparison.failures``.
    """
    if any(count < 0 for count in counts):
        raise RlldError(f"--counts must not be negative, found {min(counts)}")
    terms = common_terms(settings.data, settings.updates, "last")
    size = min(len(load_data(folder).validation) for folder in settings.data)
    steps = sorted({count for count in counts if count < size} | {size})
    jobs = unanswered([*_random(settings, steps, terms), *_without(settings, priors, terms)])
    outcomes = run_all(jobs, settings.runs, settings.workers, settings.log)
    rows = sorted(rows_of(outcomes), key=_place)
    comparison = compared(
        "What annotated videos are worth",
        rows,
        settings,
        terms,
        baseline=Point(PUBLISHED, 0).title,
        command=_command(settings, counts, priors),
        notes=(
            "Annotated videos are drawn from the validation split by the seed; nothing looks at "
            "the annotation of the others, and the weights of the last round are kept.",
            *_priors_notes(rows),
        ),
    )
    return comparison, _figures(rows, settings.out)


def _command(settings: Settings, counts: Sequence[int], priors: Priors | None) -> str:
    text = f"rlld bench annotations {settings.command} --counts {','.join(map(str, counts))}"
    if priors is not None:
        rates = ",".join(f"{name}={rate}" for name, rate in priors.visual.items())
        text += f" {typed('--priors', rates)}"
    return text


def _priors_notes(rows: Sequence[MethodRow]) -> list[str]:
    if not any(Point.of(row.method).line == PRIORS for row in rows):
        return []
    return [f"{PRIORS}: {LEARNER} without annotation, with rough rates of wrong tags."]


def unanswered(jobs: Iterable[Job]) -> list[Job]:
    """Returns jobs that know none of the answers which their data sets may hold."""
    # Where there are none nothing is replaced: the run is that of every other benchmark.
    return [
        replace(job, answers=()) if read_spec(job.data).annotations.answers else job for job in jobs
    ]


def _random(settings: Settings, steps: Sequence[int], terms: Terms) -> list[Job]:
    """Returns the jobs on randomly drawn videos, the whole of each line."""
    bare = (PUBLISHED, KEEP_ALL)
    methods = {Point(line, 0).title: (line, {ANNOTATED: 0}) for line in bare}
    for count in (count for count in steps if count):
        for line in (LEARNER, *BASELINES):
            methods[Point(line, count).title] = (line, {ANNOTATED: count})
    return plan(methods, settings.data, range(settings.seeds), terms, settings.device)


def _without(settings: Settings, priors: Priors | None, terms: Terms) -> list[Job]:
    """Returns the jobs of the learner without annotation, and with priors in its place."""
    methods = {Point(LEARNER, 0).title: (LEARNER, {ANNOTATED: 0})}
    bare = plan(methods, settings.data, range(settings.seeds), terms, settings.device)
    jobs = [replace(job, priors=Priors()) for job in bare]
    for job in bare:
        given = priors or load_data(job.data).spec.priors
        if given.audio or given.visual:
            jobs.append(replace(job, method=Point(PRIORS, 0).title, priors=given))
    return jobs


def _figures(rows: Sequence[MethodRow], out: Path) -> list[Path]:
    paths = []
    for measure, label in FIGURES.items():
        series = {}
        for line in (LEARNER, PRIORS, *BASELINES, PUBLISHED):
            curve = curve_of(line, rows, measure)
            if curve is not None:
                series[line] = curve
        if series:
            stem = out / f"annotations-{measure.replace('_', '-')}"
            title = "Cleaning labels by few annotated videos"
            paths += learning_curve(stem, series, "annotated videos", label, title)
    return paths


def curve_of(line: str, rows: Sequence[MethodRow], measure: str) -> Curve | None:
    """Returns a measure of one line over its points, None where there are none."""
    points: dict[int, Estimate] = {}
    for row in rows:
        point, found = Point.of(row.method), row.estimate(measure)
        # Without annotation the baselines are training on all labels.
        shared = line in BASELINES and point.line == KEEP_ALL
        if found is not None and (point.line == line or shared):
            points[point.videos] = found
    if not points or (line in BASELINES and set(points) == {0}):
        return None
    order = sorted(points)
    at = [points[videos] for videos in order]
    return Curve(order, [e.mean for e in at], [e.low for e in at], [e.high for e in at])


def _place(row: MethodRow) -> tuple[int, int]:
    point = Point.of(row.method)
    return LINES.index(point.line), point.videos
