"""Methods side by side: means, spreads and paired differences of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rlld.bench.jobs import Job, Terms
from rlld.bench.runs import Failure, Result
from rlld.bench.statistics import Estimate, Pair, estimate, paired_difference
from rlld.metrics.averages import VARIANT_NAMES
from rlld.metrics.scores import NAMES
from rlld.types import MODALITIES
from rlld.utils.config import read_yaml

DENOISING = ("f1", "auc", "within_class_auc")
REMOVAL = tuple(f"{modality}_{name}" for name in DENOISING for modality in MODALITIES)
MEASURES = (*NAMES, *VARIANT_NAMES, *REMOVAL)
"""The ten scores, they in other ways, then the measures of removal on the training labels."""
HEADLINES = ("segment_type", "event_type")


@dataclass(frozen=True)
class MethodRow:
    """A method and its runs.

    Attributes:
        method: Its title.
        values: Percentages by measure and pair; a measure that is not known is left out.
        commands: The commands that train its runs by hand; none for the bare tags.
        failures: Why runs of it came to nothing.
    """

    method: str
    values: dict[str, dict[Pair, float]]
    commands: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def runs(self) -> int:
        """Trainings that were measured."""
        return len(self.values.get(NAMES[0], {})) if self.commands else 0

    def estimate(self, measure: str) -> Estimate | None:
        """Returns the mean of a measure, None where it is not known."""
        values = self.values.get(measure)
        return estimate(values) if values else None


@dataclass(frozen=True)
class Comparison:
    """A table.

    Attributes:
        title: What is compared.
        rows: The methods.
        baseline: The row that differences refer to.
        terms: What all rows have in common.
        data: Data-set folders with their fingerprints.
        seeds: Seeds of the runs.
        command: What made the table.
        notes: What the reader has to know besides.
        published: Published scores by method.
        against: What a method is compared with where that is not the baseline.
    """

    title: str
    rows: tuple[MethodRow, ...]
    baseline: str
    terms: Terms
    data: dict[str, str]
    seeds: tuple[int, ...]
    command: str
    notes: tuple[str, ...] = ()
    published: dict[str, PublishedScores] = field(default_factory=dict)
    against: dict[str, str] = field(default_factory=dict)

    def difference(self, row: MethodRow, measure: str) -> Estimate | None:
        """Returns row minus baseline over the pairs that both have; None for the baseline."""
        other = self.against.get(row.method, self.baseline)
        base = next((each for each in self.rows if each.method == other), None)
        if base is None or row is base:
            return None
        return paired_difference(row.values.get(measure, {}), base.values.get(measure, {}))

    @property
    def failures(self) -> list[str]:
        """Why runs came to nothing."""
        return [reason for row in self.rows for reason in row.failures]

    def as_dict(self) -> dict[str, Any]:
        """Returns everything JSON-ready, each run included."""
        return {
            "title": self.title,
            "command": self.command,
            "terms": asdict(self.terms),
            "data": self.data,
            "seeds": list(self.seeds),
            "baseline": self.baseline,
            "notes": list(self.notes),
            "rows": [self._row(row) for row in self.rows],
        }

    def _row(self, row: MethodRow) -> dict[str, Any]:
        published = self.published.get(row.method)
        measures = {}
        for name in row.values:
            found, difference = row.estimate(name), self.difference(row, name)
            measures[name] = {
                **(found.as_dict() if found else {}),
                "difference": difference.as_dict() if difference else None,
                "by_run": [
                    {"data": data, "seed": seed, "value": value}
                    for (data, seed), value in row.values[name].items()
                ],
            }
        return {
            "method": row.method,
            "runs": row.runs,
            "measures": measures,
            "published": asdict(published) if published else None,
            "commands": list(row.commands),
            "failures": list(row.failures),
        }


@dataclass(frozen=True)
class PublishedScores:
    """Published scores on LLP.

    Attributes:
        source: Where they are printed.
        scores: The ten scores by name, as printed.
        errors: Why a printed score is wrong, by its name.
    """

    source: str
    scores: dict[str, float]
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> PublishedScores:
        """Reads an entry of a file of published scores: ``source``, ``scores``, ``errors``."""
        scores = dict(zip(NAMES, entry["scores"], strict=True))
        return cls(entry["source"], scores, entry.get("errors", {}))


def published_scores() -> dict[str, PublishedScores]:
    """Returns published scores on LLP by recipe."""
    known = read_yaml(Path(__file__).with_name("published.yaml"))
    return {name: PublishedScores.of(entry) for name, entry in known.items()}


def rows_of(outcomes: Iterable[Result | Failure]) -> list[MethodRow]:
    """Gathers runs by method, in the order in which methods appear."""
    grouped: dict[str, list[Result | Failure]] = {}
    for outcome in outcomes:
        grouped.setdefault(outcome.job.method, []).append(outcome)
    return [_row_of(method, group) for method, group in grouped.items()]


def tags_row(
    title: str, scores: Mapping[str, Mapping[str, float]], seeds: Sequence[int]
) -> MethodRow:
    """Returns the row of a method that trains nothing, so that every seed shares its scores.

    Args:
        title: Its title.
        scores: The ten scores and their variants by data-set fingerprint.
        seeds: Seeds of the other rows.
    """
    values = {
        name: {(data, seed): found[name] for data, found in scores.items() for seed in seeds}
        for name in (*NAMES, *VARIANT_NAMES)
    }
    return MethodRow(title, values)


def tagged_row(title: str, outcomes: Iterable[Result | Failure]) -> MethodRow:
    """Returns the row of runs that know the tags of the test videos.

    Args:
        title: Its title.
        outcomes: The runs, all of one method.
    """
    values: dict[str, dict[Pair, float]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Result):
            _add(values, outcome.job, outcome.tagged)
    return MethodRow(title, values)


def _add(values: dict[str, dict[Pair, float]], job: Job, found: Mapping[str, float]) -> None:
    for name, value in found.items():
        values.setdefault(name, {})[job.fingerprint, job.seed] = value


def _row_of(method: str, group: Sequence[Result | Failure]) -> MethodRow:
    values: dict[str, dict[Pair, float]] = {}
    for outcome in group:
        if isinstance(outcome, Failure):
            continue
        _add(values, outcome.job, {**outcome.scores, **outcome.variants, **_denoising(outcome)})
    failures = tuple(outcome.reason for outcome in group if isinstance(outcome, Failure))
    return MethodRow(method, values, tuple(outcome.job.command for outcome in group), failures)


def _denoising(result: Result) -> dict[str, float]:
    found = {
        f"{modality}_{name}": (result.denoising or {}).get(modality, {}).get(name)
        for modality in MODALITIES
        for name in DENOISING
    }
    return {name: value for name, value in found.items() if value is not None}
