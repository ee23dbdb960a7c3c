"""Runs from the command to their folders: what is new, what goes on, what is finished."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from rlld.data.dataset import DataSet, load_data
from rlld.data.fingerprint import taught_by
from rlld.errors import RlldError
from rlld.recipes.recipe import Recipe
from rlld.training.checkpoint import (
    CONTENT,
    FILE,
    forget_state,
    load_state,
    require_run_folder,
    require_same,
    restore,
)
from rlld.training.compared import Facts, comparing
from rlld.training.drive import Keeper, Steered, drive
from rlld.training.facts import run_facts
from rlld.training.log import Watcher, open_logs
from rlld.training.monitor import NotFiniteError
from rlld.training.run_folder import CONFIG, METRICS, Run, load_run, read_config, save_run
from rlld.training.speed.multi_seed import Lockstep
from rlld.training.trainer import Report, Trainer
from rlld.utils.compute import TURN, Compute, require_seed
from rlld.utils.config import to_dict
from rlld.utils.console import ERR
from rlld.utils.files import owned

NETWORKS = "networks"
CHECKPOINT_SECONDS = 20.0


def train(
    recipe: Recipe,
    data: DataSet,
    out: Path,
    *,
    seed: int = 0,
    compute: Compute | None = None,
    resume: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    networks: Path | None = None,
    watcher: Watcher | None = None,
    decided: Sequence[str] = (),
    compare: bool = False,
) -> Run:
    """Trains a recipe on a data set; trainings in threads of one process take turns.

    Args:
        recipe: What to train.
        data: The data set; its test split is not touched.
        out: The run folder.
        seed: Seed of everything random.
        compute: Device and precision; the default finds a GPU and works in float32.
        resume: Go on with the unfinished run in ``out``; a finished one is returned as it is,
            and where nothing was saved yet the run starts from the beginning.
        checkpoint_seconds: Longest time between two resume states.
        networks: Folder where networks that are trained for the denoiser are kept, for other runs
            that would train the same; kept nowhere when None.
        watcher: Is told of every round.
        decided: Lines that the user reads when the training begins; see ``fitted_recipe``.
        compare: Train a network on the bare tags too, whose scores the run folder keeps; see
            ``rlld.training.compared``.

    Returns:
        The run with its selected weights.

    Raises:
        RlldError: If ``out`` holds a run already, or the run in it was started otherwise.
        KeyboardInterrupt: On Ctrl-C, after the state was saved.
    """
    seed = require_seed(seed)
    with TURN:
        session = Session(
            recipe=recipe,
            data=_with_truth(recipe, data),
            out=out,
            runs=[(seed, out)],
            chance={"seed": seed},
            compute=compute or Compute(),
            resume=resume,
            checkpoint_seconds=checkpoint_seconds,
            watcher=watcher,
            networks=networks,
            decided=decided,
            compare=compare,
        )
        return session.run()[0]


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
    decided: Sequence[str] = (),
) -> list[Run]:
    """Trains a recipe with several seeds at once; see ``train``.

    Args:
        recipe: What to train.
        data: The data set; its test split is not touched.
        out: Folder of the run folders ``seed-N``.
        seeds: The seeds.
        compute: Device and precision.
        resume: Go on with the unfinished training in ``out``.
        checkpoint_seconds: Longest time between two resume states.
        watcher: Is told of every round of every run.
        decided: Lines that the user reads when the training begins.

    Returns:
        The runs, in the order of the seeds.

    Raises:
        RlldError: If ``out`` holds such runs already, or the recipe's seeds cannot be trained at
            once.
        KeyboardInterrupt: On Ctrl-C, after the state was saved.
    """
    seeds = [require_seed(seed) for seed in seeds]
    with TURN:
        session = Session(
            recipe=recipe,
            data=_with_truth(recipe, data),
            out=out,
            runs=[(seed, out / f"seed-{seed}") for seed in seeds],
            chance={"seeds": seeds},
            compute=compute or Compute(),
            resume=resume,
            checkpoint_seconds=checkpoint_seconds,
            watcher=watcher,
            decided=decided,
        )
        return session.run()


def _with_truth(recipe: Recipe, data: DataSet) -> DataSet:
    if recipe.build_denoiser(data.spec).uses_truth:
        return load_data(data.folder, with_truth=True)
    return data


@dataclass(frozen=True)
class Session:
    """A training from the command to its folders, of one run or of several at once.

    Attributes:
        recipe: What is trained.
        data: The data set.
        out: Folder of the resume state.
        runs: Seed and folder of each run.
        chance: What of the seeds a resume state is compared with: ``seed``, or ``seeds`` where
            there are several.
        compute: Device and precision.
        resume: Whether to go on with what is there.
        checkpoint_seconds: Longest time between two resume states.
        watcher: Is told of every round.
        networks: Folder where networks that are trained for the denoiser are kept for other runs.
        decided: Lines that the user reads when the training begins.
        compare: Whether a network on the bare tags is trained beside each run.
    """

    recipe: Recipe
    data: DataSet
    out: Path
    runs: Sequence[tuple[int, Path]]
    chance: Mapping[str, Any]
    compute: Compute
    resume: bool
    checkpoint_seconds: float
    watcher: Watcher | None
    networks: Path | None = None
    decided: Sequence[str] = ()
    compare: bool = False

    @property
    def several(self) -> bool:
        """Whether runs are trained at once."""
        return "seeds" in self.chance

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a resumed training has to have in common with this one."""
        dataset, content = to_dict(self.data.spec), taught_by(self.data.folder, self.data.spec)
        recipe = self.recipe.as_dict()
        return {"recipe": recipe, **self.chance, "dataset": dataset, CONTENT: content}

    def run(self) -> list[Run]:
        """Trains what is left to train, and returns the runs with their selected weights."""
        for _, folder in self.runs:
            require_run_folder(folder)
        with owned(self.out):
            if all((folder / CONFIG).is_file() for _, folder in self.runs):
                return self._finished()
            state = self._state()
            record = self.compute.setup()
            started = time.monotonic() - (state["seconds"] if state else 0.0)
            trainers = self._trainers()
            for line in self.decided:
                ERR.print(line)
            compared = self._drive(trainers, state, started)
            for trainer in trainers:
                trainer.restore_best()
            seconds = (time.monotonic() - started) / len(trainers)
            for (seed, folder), trainer, weak in zip(self.runs, trainers, compared, strict=True):
                facts = {"seed": seed, CONTENT: self.identity[CONTENT]}
                facts |= {**run_facts(trainer, self.data, seconds, record), **weak}
                network, denoiser = trainer.network, trainer.denoiser
                save_run(folder, network, self.recipe, self.data.spec, facts, denoiser)
            forget_state(self.out)
            return [load_run(folder, self.compute.torch_device) for _, folder in self.runs]

    def _finished(self) -> list[Run]:
        """Returns finished runs, which were to be resumed.

        Raises:
            RlldError: If they were not to be resumed, or were started otherwise.
        """
        if not self.resume:
            raise self._held("finished")
        for seed, folder in self.runs:
            config = read_config(folder)
            found = {key: config.get(key) for key in ("recipe", "dataset")}
            found |= {key: config["facts"].get(key) for key in ("seed", CONTENT)}
            require_same(found, self._identity_of(seed), folder)
            ERR.print(f"{folder}: finished already")
        forget_state(self.out)
        return [load_run(folder, self.compute.torch_device) for _, folder in self.runs]

    def _state(self) -> dict[str, Any] | None:
        """Returns the resume state, None where the training begins.

        Raises:
            RlldError: If runs are there that are not to be resumed, or were started otherwise.
        """
        if not (self.out / FILE).is_file():
            if any((folder / CONFIG).is_file() for _, folder in self.runs):
                raise self._held("finished")
            if self.resume:
                ERR.print(f"{self.out}: nothing was saved yet; starting from the beginning")
            return None
        if not self.resume:
            raise self._held("unfinished")
        state = load_state(self.out, self.compute.torch_device, len(self.runs))
        require_same(state["identity"], self.identity, self.out)
        return state

    def _held(self, kind: str) -> RlldError:
        article = "an" if kind == "unfinished" else "a"
        held = f"{kind} runs" if self.several else f"{article} {kind} run"
        advice = "add --resume or choose" if kind == "unfinished" else "choose"
        return RlldError(f"{self.out}: holds {held}; {advice} another --out")

    def _identity_of(self, seed: int) -> dict[str, Any]:
        """Returns the identity that a run would have by itself."""
        shared = {key: value for key, value in self.identity.items() if key != "seeds"}
        return {**shared, "seed": seed}

    def _trainers(self) -> list[Trainer]:
        # The runs share what they read. One that is killed while networks are trained for its
        # denoiser finds them again.
        train = self.data.train.to(self.compute.torch_device, self.compute.dtype)
        kept = self.networks or (self.out / FILE).parent / NETWORKS
        validation = self.data.steering
        return [
            Trainer(self.recipe, train, validation, seed, self.compute, networks=kept)
            for seed, _ in self.runs
        ]

    def _drive(
        self, trainers: list[Trainer], state: dict[str, Any] | None, started: float
    ) -> list[Facts]:
        """Runs the steps that are left, from the resume state on if there is one.

        Returns:
            What each run is compared with.
        """
        steered, steps = _at_once(trainers) if self.several else _alone(*trainers)
        compared: list[Facts] = [{} for _ in trainers]
        if self.compare:
            steps = chain(steps, comparing(trainers, compared))
        if state is not None:
            restore(self.out, state, steered)
        logs = open_logs([folder / METRICS for _, folder in self.runs], state)
        for (seed, _), log in zip(self.runs, logs, strict=True):
            log.start(self.watcher, self._identity_of(seed))
        title = f"{len(trainers)} seeds of {self.recipe.name}" if self.several else self.recipe.name
        keeper = Keeper(self.out, self.identity, self.checkpoint_seconds, started)
        try:
            drive(f"training {title}", steered, steps, trainers[0], logs, keeper)
        except NotFiniteError as error:
            raise NotFiniteError(f"{self.out / FILE} holds the last good state; {error}") from None
        return compared


def _alone(trainer: Trainer) -> tuple[Steered, Iterator[Sequence[Report]]]:
    return trainer, ([report] if report else [] for report in trainer.steps())


def _at_once(trainers: Sequence[Trainer]) -> tuple[Steered, Iterator[Sequence[Report]]]:
    together = Lockstep(trainers)
    return together, (reports or [] for reports in together.steps())
