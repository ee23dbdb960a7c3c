"""RLLD beside its honest baselines on equal terms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlld.bench.comparison import Comparison, MethodRow, published_scores, rows_of, tags_row
from rlld.bench.foreign import foreign_rows
from rlld.bench.jobs import Terms, common_terms, plan
from rlld.bench.keys import dataset_fingerprint
from rlld.bench.runs import run_all
from rlld.bench.typed import typed
from rlld.data.dataset import load_data
from rlld.errors import RlldError, nearest
from rlld.evaluation.baselines import tags_in_every_way
from rlld.recipes.composition import composition
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.utils.pool import Workers

BARE_TAGS = "bare tags"
TRUE_LABELS = "true-labels"
METHODS = (
    "han",
    "weak",
    "constant",
    "jomold",
    "supervised",
    "rlld",
    "rlld-tuned",
    "rlld-labelwise",
    "rlld-labelwise+supervised",
    TRUE_LABELS,
)
"""Rows of the table when none are named."""
SELECTION = "segment_type+event_type"
Method = tuple[str, Mapping[str, Any]]
"""Recipe and own settings of a row."""


@dataclass(frozen=True)
class Settings:
    """What every benchmark takes.

    Attributes:
        data: Data-set folders that are averaged over.
        out: Folder of the tables.
        seeds: How many seeds, from 0.
        updates: Updates of the task network; those that the data sets ask for when None.
        cache: Folder of the runs; ``out/runs`` when None.
        workers: Processes, one thread each, or ``"ray"``.
        device: Where to compute.
        log: Trackers of the runs and of the results, see ``rlld.tracking``.
        foreign: Predictions of others that have rows of their own, ``NAME=PATH`` each.

    Raises:
        RlldError: If nothing would be run.
    """

    data: tuple[Path, ...]
    out: Path
    seeds: int = 5
    updates: int | None = None
    cache: Path | None = None
    workers: Workers = 2
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in {"seeds": self.seeds, "workers": self.workers}.items():
            if value != "ray" and value < 1:
                raise RlldError(f"--{name} must be 1 or more, found {value}")
        if not self.data:
            raise RlldError("--data names no data set; give at least one folder")

    @property
    def runs(self) -> Path:
        """Folder of the runs."""
        return self.cache or self.out / "runs"

    @property
    def command(self) -> str:
        """The options as they are typed."""
        words = ["--data", *self.data, "--seeds", self.seeds, "--out", self.out]
        words += ["--updates", self.updates] if self.updates else []
        return typed(*words, *(["--foreign", *self.foreign] if self.foreign else []))

    def foreign_rows(self, taken: Collection[str]) -> tuple[list[MethodRow], list[str]]:
        """Returns the rows of predictions of others, and notes; see ``rlld.bench.foreign``.

        Args:
            taken: Titles of the other rows.
        """
        return foreign_rows(self.foreign, self.data, range(self.seeds), taken)


def denoising(
    settings: Settings,
    recipes: Sequence[str] | None = None,
    *,
    selection: str = SELECTION,
    baseline: str = "weak",
) -> Comparison:
    """Trains and compares methods.

    Args:
        settings: Data, seeds and places.
        recipes: Recipes to compare beside the bare tags; ``METHODS`` when None.
        selection: The validation score that picks the weights of every row.
        baseline: The row that differences refer to.

    Raises:
        RlldError: If a recipe is unknown, the baseline is no row, or data are wrong. A run that
            fails raises nothing; it stands in ``Comparison.failures``.
    """
    names, notes = chosen_recipes(recipes, METHODS, settings.data)
    titles = (BARE_TAGS, *names)
    others, told = settings.foreign_rows(titles)
    require_row(baseline, [*titles, *(row.method for row in others)])
    terms = common_terms(settings.data, settings.updates, selection)
    tags = _tags(settings.data, range(settings.seeds))
    command = f"rlld bench denoising {settings.command}{chosen(recipes)}"
    return compared(
        "Label denoising on equal terms",
        [tags, *others, *trained(as_they_are(names), settings, terms)],
        settings,
        terms,
        baseline=baseline,
        command=f"{command} {typed('--selection', selection, '--baseline', baseline)}",
        notes=[*notes, *told],
    )


def require_row(baseline: str, titles: Sequence[str]) -> None:
    """Refuses a baseline that is no row.

    Raises:
        RlldError: If it is none.
    """
    if baseline not in titles:
        raise RlldError(
            f"--baseline {baseline!r} is no row of the table{nearest(baseline, titles)}"
        )


def trained(methods: Mapping[str, Method], settings: Settings, terms: Terms) -> list[MethodRow]:
    """Trains methods on every data set by every seed.

    Args:
        methods: Recipe and own settings by row title.
        settings: Data, seeds and places.
        terms: What all rows have in common.

    Returns:
        A row per method.
    """
    jobs = plan(methods, settings.data, range(settings.seeds), terms, settings.device)
    return rows_of(run_all(jobs, settings.runs, settings.workers, settings.log))


def as_they_are(recipes: Iterable[str]) -> dict[str, Method]:
    """Returns the methods of rows that are recipes without own settings, by title."""
    return {name: (name, {}) for name in recipes}


def under(recipe: str, learner: str = "rlld-labelwise") -> tuple[str, Method]:
    """Returns the title and the method of a row in which a learner is on top of a recipe."""
    return f"{recipe} under {learner}", (recipe, composition(load_recipe(recipe), learner))


def chosen(recipes: Sequence[str] | None) -> str:
    """Returns the option that names the recipes of a table, nothing where none were named."""
    return f" {typed('--recipes', ','.join(recipes))}" if recipes else ""


def compared(
    title: str,
    rows: Iterable[MethodRow],
    settings: Settings,
    terms: Terms,
    *,
    baseline: str,
    command: str,
    notes: Iterable[str] = (),
) -> Comparison:
    """Puts rows that were trained by the same settings into a table; see ``Comparison``."""
    return Comparison(
        title=title,
        rows=tuple(rows),
        baseline=baseline,
        terms=terms,
        data={str(folder): dataset_fingerprint(folder) for folder in settings.data},
        seeds=tuple(range(settings.seeds)),
        command=command,
        notes=tuple(notes),
        published=published_scores(),
    )


def chosen_recipes(
    recipes: Sequence[str] | None, standard: Sequence[str], folders: Sequence[Path]
) -> tuple[list[str], list[str]]:
    """Returns the recipes of a table and what to tell of those that are not run.

    Args:
        recipes: Those asked for.
        standard: Those of the table when none are asked for.
        folders: Data-set folders.

    Raises:
        RlldError: If a recipe is unknown.
    """
    if recipes is not None:
        known = recipe_names()
        for name in recipes:
            if name not in known and not name.endswith((".yaml", ".yml")):
                raise RlldError(f"--recipes: unknown recipe {name!r}{nearest(name, known)}")
        return list(dict.fromkeys(recipes)), []
    names, notes = list(standard), []
    files = [load_data(folder).spec.annotations for folder in folders]
    if TRUE_LABELS in names and not all(f.truth_audio and f.truth_visual for f in files):
        names.remove(TRUE_LABELS)
        notes.append(f"Not run: {TRUE_LABELS}, known in simulated and rendered data only.")
    return names, notes


def _tags(folders: Sequence[Path], seeds: Sequence[int]) -> MethodRow:
    found = {dataset_fingerprint(f): tags_in_every_way(load_data(f).test) for f in folders}
    return tags_row(BARE_TAGS, found, seeds)
