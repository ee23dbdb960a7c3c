"""Several seeds of one recipe in one training, each in a run folder of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlld.data.dataset import DataSet, load_data
from rlld.errors import RlldError
from rlld.recipes.recipe import Recipe
from rlld.training.checkpoint import FILE, forget_state, load_state, restore
from rlld.training.loop import (
    CHECKPOINT_SECONDS,
    NETWORKS,
    Watcher,
    drive,
    finished,
    open_logs,
    require_same,
    run_facts,
)
from rlld.training.monitor import NotFiniteError
from rlld.training.run_folder import CONFIG, METRICS, Run, load_run, save_run
from rlld.training.speed.multi_seed import Lockstep
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute
from rlld.utils.config import to_dict
from rlld.utils.files import owned


def train_seeds(
    recipe: Recipe,
    data: DataSet,
    out: Path,
    seeds: Sequence[int],
    *,
    compute: Compute | None = None,
    resume: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    watcher: Watcher | None = None,
) -> list[Run]:
    """Trains a recipe with several seeds at once; see ``rlld.training.loop.train``.

    Args:
        recipe: What to train.
        data: The data set; its test split is not touched.
        out: Folder of the run folders ``seed-N``.
        seeds: The seeds.
        compute: Device and precision.
        resume: Go on with the unfinished training in ``out``.
        checkpoint_seconds: Longest time between two resume states.
        watcher: Is told of every round of every run.

    Returns:
        The runs, in the order of the seeds.

    Raises:
        RlldError: If ``out`` holds such runs already, or the recipe's seeds cannot be trained at
            once.
        KeyboardInterrupt: On Ctrl-C, after the state was saved.
    """
    compute = compute or Compute()
    if recipe.build_denoiser(data.spec).uses_truth:
        data = load_data(data.folder, with_truth=True)
    with owned(out):
        return _train(recipe, data, out, seeds, compute, resume, checkpoint_seconds, watcher)


def _train(
    recipe: Recipe,
    data: DataSet,
    out: Path,
    seeds: Sequence[int],
    compute: Compute,
    resume: bool,
    checkpoint_seconds: float,
    watcher: Watcher | None,
) -> list[Run]:
    device = compute.torch_device
    folders = [out / f"seed-{seed}" for seed in seeds]
    identity = {"recipe": recipe.as_dict(), "seeds": list(seeds), "dataset": to_dict(data.spec)}
    state: dict[str, Any] | None = None
    if (out / FILE).is_file():
        if not resume:
            raise RlldError(f"{out}: holds unfinished runs; add --resume or choose another --out")
        state = load_state(out, device, len(seeds))
        require_same(state["identity"], identity, out)
    elif resume and all((folder / CONFIG).is_file() for folder in folders):
        forget_state(out)
        alone = {key: identity[key] for key in ("recipe", "dataset")}
        return [
            finished(folder, {**alone, "seed": seed}, resume, device)
            for seed, folder in zip(seeds, folders, strict=True)
        ]
    elif any((folder / CONFIG).is_file() for folder in folders):
        raise RlldError(f"{out}: holds finished runs; choose another --out")
    record = compute.setup()
    started = time.monotonic() - (state["seconds"] if state else 0.0)
    train = data.train.to(device, compute.dtype)
    kept = (out / FILE).parent / NETWORKS
    trainers = [
        Trainer(recipe, train, data.steering, seed, compute, networks=kept) for seed in seeds
    ]
    together = Lockstep(trainers)
    if state is not None:
        restore(out, state, together)
    logs = open_logs([folder / METRICS for folder in folders], state)
    for seed, log in zip(seeds, logs, strict=True):
        alone = {key: value for key, value in identity.items() if key != "seeds"}
        log.start(watcher, {**alone, "seed": seed})
    try:
        title = f"training {len(seeds)} seeds of {recipe.name}"
        steps = (reports or [] for reports in together.steps())
        first = together.first
        drive(title, together, steps, first, logs, out, identity, checkpoint_seconds, started)
    except NotFiniteError as error:
        raise NotFiniteError(f"{out / FILE} holds the last good state; {error}") from None
    seconds = time.monotonic() - started
    for seed, folder, trainer in zip(seeds, folders, trainers, strict=True):
        trainer.restore_best()
        facts = {"seed": seed, **run_facts(trainer, data, seconds / len(seeds), record)}
        save_run(folder, trainer.network, recipe, data.spec, facts, trainer.denoiser)
    forget_state(out)
    return [load_run(folder, device) for folder in folders]
