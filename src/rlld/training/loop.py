"""A run from the command to its folder: progress, logs, interruption and resuming."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from rlld.data.dataset import DataSet, load_data
from rlld.errors import RlldError
from rlld.metrics.tags import TAGS
from rlld.recipes.recipe import Recipe
from rlld.training.checkpoint import FILE, forget_state, load_state, restore, save_state
from rlld.training.monitor import NotFiniteError
from rlld.training.run_folder import CONFIG, METRICS, Run, load_run, read_config, save_run
from rlld.training.trainer import Report, Trainer
from rlld.utils.compute import Compute
from rlld.utils.config import to_dict
from rlld.utils.console import ERR, Tick, progress
from rlld.utils.files import appended, owned, unwritable, write_bytes
from rlld.utils.plain import json_text

NETWORKS = "networks"
CHECKPOINT_SECONDS = 20.0
REWARD_NOTE = (
    "validation labels rewarded the denoiser, so validation scores of this run are a training "
    "signal, not a measurement"
)
LEARNT_NOTE = (
    "the denoiser was fitted to validation labels, so validation scores of this run are not a "
    "measurement"
)
SUPERVISION_NOTE = (
    "the task network was trained on validation labels too, so validation scores of this run are "
    "not a measurement"
)
TAGS_NOTE = (
    "the validation split has no dense annotation, so weights were selected by its tags (mean "
    "average precision)"
)
LAST_NOTE = "there is no validation split, so the weights of the last update were kept"


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
) -> Run:
    """Trains a recipe on a data set.

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

    Returns:
        The run with its selected weights.

    Raises:
        RlldError: If ``out`` holds a run already, or the run in it was started otherwise.
        KeyboardInterrupt: On Ctrl-C, after the state was saved.
    """
    compute = compute or Compute()
    if recipe.build_denoiser(data.spec).uses_truth:
        data = load_data(data.folder, with_truth=True)
    with owned(out):
        return _train(
            recipe, data, out, seed, compute, resume, checkpoint_seconds, networks, watcher
        )


def _train(
    recipe: Recipe,
    data: DataSet,
    out: Path,
    seed: int,
    compute: Compute,
    resume: bool,
    checkpoint_seconds: float,
    networks: Path | None,
    watcher: Watcher | None,
) -> Run:
    identity = {"recipe": recipe.as_dict(), "seed": seed, "dataset": to_dict(data.spec)}
    if (out / CONFIG).is_file():
        return finished(out, identity, resume, compute.torch_device)
    state = None
    if resume and not (out / FILE).is_file():
        ERR.print(f"{out}: nothing was saved yet; starting from the beginning")
    elif resume:
        state = load_state(out, compute.torch_device)
        require_same(state["identity"], identity, out)
    elif (out / FILE).is_file():
        raise RlldError(f"{out}: holds an unfinished run; add --resume or choose another --out")
    record = compute.setup()
    started = time.monotonic() - (state["seconds"] if state else 0.0)
    # A run that is killed while networks are trained for its denoiser finds them again.
    kept = networks or (out / FILE).parent / NETWORKS
    trainer = Trainer(recipe, data.train, data.steering, seed, compute, networks=kept)
    if state is not None:
        restore(out, state, trainer)
    logs = open_logs([out / METRICS], state)
    logs[0].start(watcher, identity)
    try:
        title = f"training {recipe.name}"
        steps = ([report] if report else [] for report in trainer.steps())
        drive(title, trainer, steps, trainer, logs, out, identity, checkpoint_seconds, started)
    except NotFiniteError as error:
        raise NotFiniteError(f"{out / FILE} holds the last good state; {error}") from None
    trainer.restore_best()
    seconds = time.monotonic() - started
    facts = {"seed": seed, **run_facts(trainer, data, seconds, record)}
    save_run(out, trainer.network, recipe, data.spec, facts, trainer.denoiser)
    forget_state(out)
    return load_run(out, compute.torch_device)


class Watcher(Protocol):
    """Who is told of a run beside its log (``rlld.tracking``)."""

    def start(self, folder: Path, config: Mapping[str, Any]) -> Callable[[Report], None]:
        """Looks at what the log of a run folder holds; returns what takes each further round."""


class Steered(Protocol):
    """What ``drive`` runs: one run, or several in lockstep."""

    def require_finite(self) -> None:
        """Looks at the steps since the last call."""

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that changes."""


def drive(
    title: str,
    steered: Steered,
    steps: Iterator[Sequence[Report]],
    first: Trainer,
    logs: Sequence[Log],
    out: Path,
    identity: dict[str, Any],
    checkpoint_seconds: float,
    started: float,
) -> None:
    """Runs what is left, with progress, logs and resume states.

    Args:
        title: What is shown.
        steered: What is run.
        steps: Its steps; each yields one report for each log where a round ended, else none.
        first: The run whose progress is shown.
        logs: Where the reports go.
        out: Folder of the resume state.
        identity: What a resumed run has to have in common with this one.
        checkpoint_seconds: Longest time between two resume states.
        started: When it began on the monotonic clock, less what earlier attempts took.

    Raises:
        NotFiniteError: If a loss, a reward or a gradient was NaN or infinite.
        KeyboardInterrupt: On Ctrl-C, after the state was saved.
    """
    saved = time.monotonic()

    def save() -> None:
        steered.require_finite()
        state = {
            "trainer": steered.state_dict(),
            "identity": identity,
            "logs": [log.text for log in logs],
            "seconds": time.monotonic() - started,
        }
        save_state(out, state)

    save()
    with stop_requested() as stopped, progress(title, first.total_updates, first.updates) as tick:
        round_started, videos = time.monotonic(), 0
        for reports in steps:
            videos += first.schedule.batch_size
            show_round(reports[0] if reports else None, tick)
            if reports:
                elapsed = time.monotonic() - round_started
                for log, report in zip(logs, reports, strict=True):
                    log.write({**report, "seconds": elapsed, "videos_per_second": videos / elapsed})
                round_started, videos = time.monotonic(), 0
            if stopped or time.monotonic() - saved >= checkpoint_seconds:
                save()
                saved = time.monotonic()
            if stopped:
                ERR.print(f"stopped after update {first.updates}; go on with --resume")
                raise KeyboardInterrupt
    for log in logs:
        log.settle()


def show_round(report: Report | None, tick: Tick) -> None:
    """Counts a step, and shows the scores of a round that it ended."""
    remark = ""
    if report is not None:
        scores = report["validation"]
        if TAGS in scores:
            remark = f"tags {scores[TAGS]:.1f}"
        elif scores:
            remark = f"type {scores['segment_type']:.1f} / {scores['event_type']:.1f}"
    tick(1, remark)


def run_facts(
    trainer: Trainer, data: DataSet, seconds: float, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what a run folder records of a finished run, without its seed."""
    best = trainer.best
    return {
        "data": str(data.folder.resolve()),
        "training_videos": trainer.videos,
        "teaching_videos": _teaching_videos(trainer),
        "updates": trainer.updates,
        "selected_round": best["round"],
        "selected_updates": best["updates"],
        "selected_parts": trainer.parts.rounds(),
        "validation": best["scores"],
        "trained_parameters": trainer.trained_parameters,
        "seconds": seconds,
        "compute": dict(record),
        "notes": _notes(trainer),
    }


def _teaching_videos(trainer: Trainer) -> int:
    reward = [trainer.reward.split] if trainer.reward else []
    return sum(int(split.annotated.sum()) for split in (*reward, trainer.train))


def _notes(trainer: Trainer) -> list[str]:
    notes = []
    if trainer.denoiser.wants_feedback:
        notes.append(REWARD_NOTE)
    elif trainer.denoiser.learns_from_validation:
        notes.append(LEARNT_NOTE)
    if trainer.recipe.supervision.weight:
        notes.append(SUPERVISION_NOTE)
    if trainer.rule != trainer.recipe.selection:
        notes.append(TAGS_NOTE if trainer.rule.score == TAGS else LAST_NOTE)
    return [*notes, *trainer.denoiser.notes()]


def finished(out: Path, identity: Mapping[str, Any], resume: bool, device: torch.device) -> Run:
    """Returns the finished run in a folder, which was to be resumed.

    Raises:
        RlldError: If it was not to be resumed, or was started otherwise.
    """
    if not resume:
        raise RlldError(f"{out}: holds a finished run; choose another --out")
    config = read_config(out)
    found = {key: config.get(key) for key in ("recipe", "dataset")}
    require_same({**found, "seed": config["facts"].get("seed")}, identity, out)
    ERR.print(f"{out}: finished already")
    forget_state(out)
    return load_run(out, device)


def require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    """Requires that a run in a folder was started as it is to be resumed.

    Raises:
        RlldError: If it was not.
    """
    for key, value in wanted.items():
        if json.loads(json.dumps(found.get(key))) != json.loads(json.dumps(value)):
            raise RlldError(
                f"{out}: was started with another {key}; resume it with the same recipe, "
                "settings, data and seed, or choose another --out"
            )


class Log:
    """``metrics.jsonl``: one line a round.

    A resume state holds the text up to it, so that the file and the state never disagree: a resumed
    run writes the file anew.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.told: Callable[[Report], None] | None = None
        write_bytes(path, text.encode())

    def start(self, watcher: Watcher | None, identity: Mapping[str, Any]) -> None:
        """Lets somebody be told of every report that is appended from here on."""
        if watcher is not None:
            self.told = watcher.start(self.path.parent, identity)

    def write(self, report: Report) -> None:
        """Appends a report."""
        line = json_text(report, str(self.path)) + "\n"
        try:
            with appended(self.path) as file:
                file.write(line.encode())
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.text += line
        if self.told is not None:
            self.told(report)

    def settle(self) -> None:
        """Brings the file safely to disk."""
        write_bytes(self.path, self.text.encode())


def open_logs(paths: Sequence[Path], state: Mapping[str, Any] | None) -> list[Log]:
    """Opens the logs of runs as their resume state has them, empty without one.

    Raises:
        RlldError: If the state was written by an rlld that kept no text, only its length, and a
            log is shorter.
    """
    if state is None:
        texts = [""] * len(paths)
    elif "logs" in state:
        texts = state["logs"]
    else:
        counted = zip(paths, state["log_bytes"], strict=True)
        texts = [_beginning(path, size) for path, size in counted]
    return [Log(path, text) for path, text in zip(paths, texts, strict=True)]


def _beginning(path: Path, size: int) -> str:
    found = path.read_bytes()[:size] if path.is_file() and not path.is_symlink() else b""
    if len(found) < size:
        raise RlldError(
            f"{path}: holds {len(found)} bytes, the resume state counts on {size}; bring back the "
            "file, or delete the run and train again"
        )
    return found.decode()


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that a step is never left half done.

    A second signal interrupts at once, whatever is being done; the run then resumes from its last
    state.

    Yields:
        A list that is empty until a signal came. Outside the main thread, where Python delivers
        no signals, it stays empty.
    """
    received: list[int] = []
    previous = {}

    def note(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, note)
        except ValueError:
            break
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
