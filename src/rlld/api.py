"""The Python face: names and folders in, results that print as tables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rlld.comparing.compare import SideBySide, compare_sources
from rlld.data.dataset import DataSet, load_data
from rlld.errors import RlldError
from rlld.evaluation.questions import Asked, By
from rlld.evaluation.scoring import Evaluation
from rlld.evaluation.scoring import evaluate as evaluate_run
from rlld.evaluation.suggest import suggest_for
from rlld.parsing.parse import parse as parse_with
from rlld.parsing.result import Features, Parse
from rlld.recipes.recipe import Recipe
from rlld.report.audit import LabelAudit, audit_labels
from rlld.tracking import Tracking, tracker_names
from rlld.training.compared import is_cheap
from rlld.training.fitted import fitted_recipe
from rlld.training.loop import train as train_recipe
from rlld.training.run_folder import Run, load_run
from rlld.utils.compute import Compute


def train(
    recipe: str | Path | Recipe,
    data: str | Path | DataSet,
    out: str | Path,
    *,
    seed: int = 0,
    resume: bool = False,
    compute: Compute | None = None,
    overrides: Mapping[str, Any] | None = None,
    log: str | None = None,
) -> Run:
    """Trains a recipe on a data set; trainings in threads of one process take turns.

    Args:
        recipe: A packaged recipe by name, a YAML file, or a recipe.
        data: A data-set folder, or a loaded data set.
        out: The run folder to make.
        seed: Seed of everything random.
        resume: Go on with the unfinished run in ``out``.
        compute: Device and precision.
        overrides: Dotted recipe settings, ``{"denoiser.lr": 1e-4}``; for a recipe by name only.
            A recipe that is one already is trained as it is, without what ``dataset.yaml`` asks
            for.
        log: Trackers beside the log of the run, joined by commas: ``tensorboard,wandb``.

    Returns:
        The run.

    Raises:
        RlldError: If anything given does not fit.
    """
    loaded = data if isinstance(data, DataSet) else load_data(data)
    decided: list[str] = []
    if not isinstance(recipe, Recipe):
        recipe, decided = fitted_recipe(recipe, loaded, overrides)
    elif overrides:
        raise RlldError(
            f"overrides: {', '.join(overrides)} cannot change a recipe that is built already; give "
            "its name or file, or build it with them: load_recipe(name, overrides)"
        )
    with Tracking(tracker_names(log)) as tracking:
        run = train_recipe(
            recipe,
            loaded,
            Path(out),
            seed=seed,
            compute=compute,
            resume=resume,
            watcher=tracking,
            decided=decided,
            compare=is_cheap(recipe, loaded),
        )
        tracking.finish(run)
    return run


def evaluate(
    run: str | Path | Run,
    split: str = "test",
    data: str | Path | None = None,
    *,
    by_tags: bool = False,
    metrics: Sequence[str] = (),
    online: bool = False,
) -> Evaluation:
    """Scores a run; see ``rlld.evaluation.scoring.evaluate``.

    Args:
        run: A run, its folder, or ``hub:owner/name``.
        split: ``train``, ``validation`` or ``test``.
        data: The data-set folder; that of the training when None.
        by_tags: Whether the known tags gate instead of the video-level probabilities.
        metrics: Scores of other tasks too: ``accuracy``, ``map``, ``segment-map``,
            ``psds``, ``collar``, ``event-mean``, ``moment-map``.
        online: Whether every segment is decided from what comes up to it alone.
    """
    loaded = run if isinstance(run, Run) else load_run(run)
    folder = None if data is None else Path(data)
    return evaluate_run(loaded, split, folder, by_tags=by_tags, metrics=metrics, online=online)


def compare(
    *sources: str | Path | Run,
    split: str = "test",
    data: str | Path | None = None,
    form: str | None = None,
    classes: str | Path | None = None,
    compute: Compute | None = None,
) -> SideBySide:
    """Compares runs, and predictions of others, on the same videos.

    ``print(rlld.compare("RUN", "OTHER"))`` shows what ``rlld compare`` does.

    Args:
        sources: Two or more: runs, their folders, ``hub:owner/name``, files of predictions in a
            format of ``rlld export`` or folders of them; ``NAME=SOURCE`` says what tables call
            one. Differences are to the first.
        split: ``validation`` or ``test``.
        data: The data-set folder; those of the trainings when None.
        form: Format of the files of predictions; told by suffix and content when None.
        classes: A table of what these files call the classes, with the columns ``theirs`` and
            ``ours``; ``-`` for ours leaves a name out.
        compute: Where to load runs that are given by name; the CPU when None.

    Returns:
        The comparison: ``scores``, ``write(folder)``.

    Raises:
        RlldError: If a source cannot be read, or they see other videos.
    """
    device = torch.device("cpu") if compute is None else compute.torch_device
    folder = None if data is None else Path(data)
    names = None if classes is None else Path(classes)
    return compare_sources(sources, split, folder, device, form, names)


def denoise(
    run: str | Path | Run,
    split: str = "train",
    data: str | Path | None = None,
    *,
    compute: Compute | None = None,
) -> LabelAudit:
    """Audits the labels of a split: which of them the denoiser of a run would remove, and why.

    ``print(rlld.denoise("RUN"))`` shows what ``rlld denoise`` does, without writing anything.

    Args:
        run: A run whose denoiser learns (rlld), its folder, or ``hub:owner/name``.
        split: ``train``, ``validation`` or ``test``.
        data: The data-set folder; that of the training when None.
        compute: Where to load a run that is given by name; the CPU when None.

    Returns:
        The audit: ``suspects(n)``, ``to_csv(path)``, ``report(path)``.

    Raises:
        RlldError: If the denoiser learns no keep probabilities, or the data set does not fit.
    """
    loaded, name = _loaded(run, compute)
    return audit_labels(loaded, split, None if data is None else Path(data), name)


def suggest(
    run: str | Path | Run | None = None,
    count: int = 25,
    split: str = "train",
    data: str | Path | None = None,
    *,
    by: By = "question",
    seed: int = 0,
    compute: Compute | None = None,
) -> Asked:
    """Draws what to ask next of a person who looks at clips: is it heard, is it seen?

    Args:
        run: A run, its folder, or ``hub:owner/name``, whose beliefs are shown; None asks by the
            tags of ``data`` alone.
        count: How many questions, each about one class in one video.
        split: ``train`` or ``validation``.
        data: The data-set folder; that of the training when None.
        by: ``question``: by the class where answers put most right, its video by lot; ``sample``:
            typical videos with all of their tags; ``doubt``: to find wrong tags.
        seed: Seed of the lot.
        compute: Where to load a run that is given by name; the CPU when None.

    Returns:
        The questions, the most valuable first: ``to_csv(path)``, ``to_sheet(path)``.

    Raises:
        RlldError: If there is neither run nor data set, they do not fit, everything is known, or
            there is nothing to doubt.
    """
    loaded = None if run is None else _loaded(run, compute)[0]
    folder = None if data is None else Path(data)
    return suggest_for(loaded, count, split, folder, by=by, seed=seed)


def parse(
    run: str | Path | Run,
    source: str | Path | Features,
    tags: Sequence[str] | None = None,
    name: str = "",
) -> Parse:
    """Parses a clip or its features; see ``rlld.parsing.parse.parse``.

    Args:
        run: A run, its folder, or ``hub:owner/name``; to parse several clips, load it once.
        source: A media file, or features by stream name, each (S, D) for S segments.
        tags: Classes that the video is known to hold; no other is reported.
        name: Name of the result; the file name when empty.
    """
    return parse_with(load_run(run) if isinstance(run, str | Path) else run, source, tags, name)


def _loaded(run: str | Path | Run, compute: Compute | None) -> tuple[Run, str]:
    """Returns a run and what the user calls it."""
    if isinstance(run, Run):
        return run, str(run.path)
    return load_run(run, "cpu" if compute is None else compute.torch_device), str(run)
