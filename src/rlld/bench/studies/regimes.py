"""Other data than LLP: is the recommended recipe ever worse than doing without it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlld.bench.comparison import Comparison, rows_of, tagged_row, tags_row
from rlld.bench.grid import Grid
from rlld.bench.jobs import Terms, plan
from rlld.bench.keys import dataset_fingerprint
from rlld.bench.runs import run_all
from rlld.bench.statistics import Estimate
from rlld.bench.studies.denoisers import BARE_TAGS, SELECTION, Settings
from rlld.bench.typed import typed
from rlld.data.dataset import load_data
from rlld.errors import RlldError, nearest
from rlld.evaluation.baselines import tags_in_every_way
from rlld.recipes import RECOMMENDED
from rlld.recipes.fitting import FEW_ANNOTATED
from rlld.recipes.recipe import FIT, load_recipe
from rlld.synthetic.features.conditions import Conditions
from rlld.synthetic.features.presets import Name
from rlld.synthetic.features.writing import LIKE_LLP, simulate
from rlld.training.fitted import sizes_of
from rlld.utils.console import quiet

BASELINES = ("han", "weak", "constant")
NEEDS_ANNOTATION = "constant"
KNOWING = ", tags known"
TEST_VIDEOS = 1200


@dataclass(frozen=True)
class Cell:
    """One kind of data.

    Attributes:
        videos: Training videos.
        annotated: Videos with dense annotation.
        conditions: Noise, classes and missing features.
    """

    videos: int = 1000
    annotated: int = 50
    conditions: Conditions = LIKE_LLP

    def folder(self, preset: Name, seed: int) -> str:
        """Returns the name of its data set."""
        options = str(self.conditions).replace(" --", "-").replace(" ", "-")
        return f"{preset}-{self.videos}-{self.annotated}{options}-seed{seed}"


BASE = Cell()
"""What a person may have at hand; each axis departs from it."""
AXES: Mapping[str, Mapping[str, Cell]] = {
    "videos": {f"{n:,} videos": replace(BASE, videos=n) for n in (100, 300, 10_000)},
    "annotated": {f"{n} annotated": replace(BASE, annotated=n) for n in (0, 10, 649)},
    "noise": {
        "audio is noisy": replace(BASE, conditions=Conditions("mirrored")),
        "both are noisy": replace(BASE, conditions=Conditions("both")),
        "no noise": replace(BASE, conditions=Conditions("none")),
        "10 x nobody": replace(BASE, conditions=Conditions("nobody")),
    },
    "classes": {f"{n} classes": replace(BASE, conditions=Conditions(classes=n)) for n in (3, 100)},
    "streams": {
        "no audio features": replace(BASE, conditions=Conditions(missing="audio")),
        "no visual features": replace(BASE, conditions=Conditions(missing="visual")),
    },
}
"""Rows by axis."""


@dataclass(frozen=True)
class Choice:
    """What of the grid is run.

    Attributes:
        recipe: The recommended recipe.
        preset: Dimensions of the features.
        simulations: Seeds of the data sets of every row.
        axes: Which axes are varied.

    Raises:
        RlldError: If an axis is unknown or no data set would be made.
    """

    recipe: str = RECOMMENDED
    preset: Name = "compact"
    simulations: tuple[int, ...] = (0, 1)
    axes: tuple[str, ...] = tuple(AXES)

    def __post_init__(self) -> None:
        if not self.simulations:
            raise RlldError("--simulations names no seed; give at least one")
        for axis in self.axes:
            if axis not in AXES:
                raise RlldError(f"--axes: unknown axis {axis!r}{nearest(axis, AXES)}")

    @property
    def cells(self) -> dict[str, Cell]:
        """The rows by title."""
        varied = {title: cell for axis in self.axes for title, cell in AXES[axis].items()}
        return {"base": BASE, **varied}

    def __str__(self) -> str:
        """Returns the options as they are typed."""
        seeds = ("--simulations", *self.simulations)
        text = typed("--recipe", self.recipe, "--preset", self.preset, *seeds)
        return text if self.axes == tuple(AXES) else f"{text} --axes {','.join(self.axes)}"


STANDARD = Choice()


def regimes(settings: Settings, choice: Choice = STANDARD) -> Grid:
    """Simulates data of many kinds, and trains the recommended recipe and its baselines on each.

    Args:
        settings: Seeds and places; its ``data`` is the folder where the data sets are made.
        choice: What of the grid.

    Raises:
        RlldError: If the recipe is unknown or a data set cannot be made. A run that fails raises
            nothing; it stands in the comparison of its row.
    """
    load_recipe(choice.recipe)
    if len(settings.data) != 1:
        raise RlldError(
            f"--data: expected one folder, in which the data sets are made, found "
            f"{len(settings.data)}"
        )
    folders = {title: _simulated(cell, settings, choice) for title, cell in choice.cells.items()}
    terms = {
        title: _terms(found[0], choice.recipe, settings.updates) for title, found in folders.items()
    }
    jobs = [
        job
        for title, cell in choice.cells.items()
        for job in plan(
            _methods(choice.recipe, cell),
            folders[title],
            range(settings.seeds),
            terms[title],
            settings.device,
        )
    ]
    outcomes = run_all(jobs, settings.runs, settings.workers, settings.log)
    command = f"rlld bench regimes {settings.command} {choice}"

    def comparison(title: str) -> Comparison:
        prints = {folder: dataset_fingerprint(folder) for folder in folders[title]}
        own = [outcome for outcome in outcomes if outcome.job.data in prints]
        tags = {code: tags_in_every_way(load_data(each).test) for each, code in prints.items()}
        knowing = f"{choice.recipe}{KNOWING}"
        best = [outcome for outcome in own if outcome.job.method == choice.recipe]
        return Comparison(
            title=title,
            rows=(
                tags_row(BARE_TAGS, tags, range(settings.seeds)),
                *rows_of(own),
                tagged_row(knowing, best),
            ),
            # Bare tags know the tags of the test videos, which no other row does.
            against={BARE_TAGS: knowing, knowing: knowing},
            baseline=choice.recipe,
            terms=terms[title],
            data={str(folder): code for folder, code in prints.items()},
            seeds=tuple(range(settings.seeds)),
            command=command,
        )

    return Grid(
        stem="regimes",
        title="Regimes: other sizes, other noise",
        heading="data",
        comparisons={title: comparison(title) for title in folders},
        command=command,
        notes=_notes(settings, choice, terms["base"]),
        flags=_above if settings.seeds > 1 else _higher,
        flagged=f"above {choice.recipe}"
        + (" by more than the interval" if settings.seeds > 1 else ", be it by chance"),
    )


def _simulated(cell: Cell, settings: Settings, choice: Choice) -> list[Path]:
    """Makes the data sets of a row where they are not there yet."""
    videos, found = (cell.videos, cell.annotated, TEST_VIDEOS), []
    for seed in choice.simulations:
        found.append(settings.data[0] / cell.folder(choice.preset, seed))
        with quiet():
            simulate(found[-1], choice.preset, seed=seed, videos=videos, conditions=cell.conditions)
    return found


def _terms(folder: Path, recipe: str, updates: int | None) -> Terms:
    """Returns what all methods have in common on a kind of data.

    They are as long as the recommended recipe. Where too few videos are annotated to choose
    weights by, it keeps the last ones, and so do all.
    """
    data = load_data(folder)
    sizes = sizes_of(data)
    fitted = load_recipe(recipe, {FIT: True}, data.spec.overrides, sizes)
    chosen = SELECTION if sizes.annotated >= FEW_ANNOTATED else None
    return Terms(updates or fitted.schedule.total_updates(sizes.videos), chosen)


def _methods(recipe: str, cell: Cell) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Returns the recipes that are possible; the data decide what each leaves to them."""
    names = dict.fromkeys((*BASELINES, recipe))
    possible = [name for name in names if cell.annotated or name != NEEDS_ANNOTATION]
    return {name: (name, {FIT: True}) for name in possible}


def _above(difference: Estimate) -> bool:
    """Says whether a method is better than the recommended one beyond chance."""
    return difference.has_interval and difference.low > 0


def _higher(difference: Estimate) -> bool:
    """Says whether a method is better where no interval tells of chance."""
    return difference.mean > 0


def _notes(settings: Settings, choice: Choice, terms: Terms) -> tuple[str, ...]:
    return (
        f"base: {BASE.videos:,} training videos with LLP's 25 classes and noise, {BASE.annotated} "
        "annotated ones; each other row differs from it in what its name says.",
        f"Data: simulated, preset {choice.preset}, seeds "
        f"{', '.join(map(str, choice.simulations))}; training seeds "
        f"{', '.join(map(str, range(settings.seeds)))}; {TEST_VIDEOS} test videos.",
        f"Every method of a row has as many updates as {choice.recipe} (base: {terms.updates}) and "
        "the same rule of selection: the weights of the last round; from "
        f"{FEW_ANNOTATED} annotated videos on those that are best by {SELECTION} on a third of "
        "them, which teaches nothing.",
        f"{NEEDS_ANNOTATION} needs annotated videos.",
        f"{BARE_TAGS.capitalize()} are the tags of the test videos in all their segments: they are "
        f"compared with {choice.recipe}{KNOWING}, which knows them too, all else with "
        f"{choice.recipe}, which does not.",
    )
