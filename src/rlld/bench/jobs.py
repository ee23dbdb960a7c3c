"""What a benchmark is to train: jobs on equal terms, each with the key of its run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from rlld.bench.keys import dataset_fingerprint, source_fingerprint
from rlld.data.answers import Answer
from rlld.data.dataset import load_data
from rlld.data.fingerprint import short_hash
from rlld.data.spec import Priors
from rlld.errors import RlldError
from rlld.metrics.scores import require_score
from rlld.recipes.recipe import FIT, Recipe, load_recipe
from rlld.training.fitted import sizes_of
from rlld.utils.compute import Compute
from rlld.utils.config import to_dict

MEASURES_VERSION = 3
"""Part of every key; raised when ``rlld.bench.runs`` measures something else."""

UPDATES, SELECTION = "schedule.updates", "selection.score"
REWARD_SHARE = "selection.reward_share"
TEACHING = 0.667
"""Share of the validation videos that may teach, in every row; the others select the weights."""
ANNOTATED, TAGGED, NOBODY = "annotated", "tagged", "nobody"
CHOSEN = {
    ANNOTATED: "weights selected by {} on a third of the validation videos, of which none teaches",
    TAGGED: "weights selected by the tags of the validation videos, which are not annotated",
    NOBODY: "weights of the last round kept, as there is no validation split",
}
"""How weights are chosen, by what is known of the validation videos."""


@dataclass(frozen=True)
class Terms:
    """What every row of a table has in common.

    Attributes:
        updates: Updates of the task network; those of each recipe when None.
        selection: The validation score that picks the kept weights; the rule of each recipe, which
            may use the same videos for teaching and selecting, when None.
        steered: What is known of the validation videos, keys of ``CHOSEN``.

    Raises:
        RlldError: If there is no such score.
    """

    updates: int | None
    selection: str | None
    steered: tuple[str, ...] = (ANNOTATED,)

    def __post_init__(self) -> None:
        if self.selection not in ("last", None):
            require_score(self.selection)

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
            chosen = "; elsewhere ".join(CHOSEN[way] for way in self.steered)
            chosen = chosen.format(self.selection)
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
    steered = _steered(folders)
    if updates is not None:
        return Terms(updates, selection, steered)
    asked = {folder: load_data(folder).spec.overrides.get(UPDATES) for folder in folders}
    found = set(asked.values())
    if len(found) > 1 or None in found:
        told = ", ".join(f"{folder}: {value}" for folder, value in asked.items())
        raise RlldError(
            f"rows compare at the same number of updates only, and dataset.yaml asks for {told}; "
            "give --updates"
        )
    return Terms(int(str(found.pop())), selection, steered)


def _steered(folders: Sequence[Path]) -> tuple[str, ...]:
    """Returns what is known of the validation videos of some data set, most first."""
    found = set()
    for folder in folders:
        videos = load_data(folder).steering
        found.add(NOBODY if not len(videos) else TAGGED if videos.dense is None else ANNOTATED)
    return tuple(way for way in CHOSEN if way in found)


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
        answers: Answers on training videos in place of all those of the data set; those when None.
        named: Recipe or file as it was asked for, for the command of the row.
    """

    method: str
    recipe: Recipe
    data: Path
    fingerprint: str
    seed: int
    device: Literal["auto", "cpu", "cuda"] = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    priors: Priors | None = None
    answers: tuple[Answer, ...] | None = None
    named: str = ""

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
            "source": source_fingerprint(self.recipe),
            "torch": torch.__version__,
            "measures": MEASURES_VERSION,
            **({} if self.answers is None else {"answers": short_hash(self._asked)}),
        }

    @property
    def _asked(self) -> dict[str, Any]:
        return {"answers": [list(answer) for answer in self.answers or ()]}

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
        given = {FIT: "false", **self.settings}
        words = ["rlld", "train", self.named or self.recipe.name, "--data", str(self.data)]
        words += ["--out", "RUN", "--seed", str(self.seed)]
        words += [word for name, value in given.items() for word in (f"--{name}", _typed(value))]
        typed = shlex.join(words)
        return f"{typed}  # {'; '.join(self._untyped)}" if self._untyped else typed

    @property
    def _untyped(self) -> list[str]:
        """What no option says."""
        told = []
        if self.answers is not None:
            known = f"with {len(self.answers)} answers on training videos"
            told.append(known if self.answers else "without the answers of the data set")
        if self.priors is not None:
            told.append(f"dataset.yaml with priors: {json.dumps(to_dict(self.priors))}")
        return told

    def __str__(self) -> str:
        return f"{self.method}, {self.data.name}, seed {self.seed}"


def _typed(value: Any) -> str:
    """Returns a setting as it is typed, before a shell takes quotes off."""
    return json.dumps(value) if isinstance(value, tuple | list | bool) else str(value)


def plan(
    methods: Mapping[str, tuple[str, Mapping[str, Any]]],
    folders: Sequence[Path],
    seeds: Iterable[int],
    terms: Terms,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> list[Job]:
    """Returns the jobs of a table, seed by seed, so that early results cover every method.

    Args:
        methods: Recipe and own overrides by row title; the terms win over the overrides. The data
            decide what a recipe leaves to them where ``fit: true`` is among its overrides.
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
        data = load_data(folder)
        defaults = data.spec.overrides
        for method, (name, own) in methods.items():
            settings = {**own, **terms.overrides}
            sizes = sizes_of(data) if own.get(FIT) else None
            recipe = load_recipe(name, settings, defaults, sizes)
            recipes[folder, method] = (recipe, settings, name)
    return [
        Job(method, recipe, folder, prints[folder], seed, device, settings, named=name)
        for seed in seeds
        for (folder, method), (recipe, settings, name) in recipes.items()
    ]
