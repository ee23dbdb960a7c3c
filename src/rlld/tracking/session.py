"""A run and its trackers from the first round to the last, also when it was interrupted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlld.errors import RlldError, nearest
from rlld.tracking.base import Place, Results, Tracker
from rlld.tracking.results import run_results
from rlld.tracking.tensorboard import TensorBoard
from rlld.tracking.wandb import Wandb
from rlld.training.run_folder import Run, read_rounds
from rlld.utils.config import to_dict
from rlld.utils.extras import optional
from rlld.utils.files import write_text
from rlld.utils.plain import json_text, parsed

TRACKERS: dict[str, Callable[[Place, int, int], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
}
NOTHING = -1
"""The last step of what has no rounds: its results are told at step 0."""
SENT = "tracking.json"
"""What trackers know of a run: its id, the last update that each was told of, and which of them
have its figures."""


def tracker_names(joined: str | None) -> tuple[str, ...]:
    """Reads the names of trackers that were joined by commas.

    Raises:
        RlldError: If there is no such tracker, or its package is not installed.
    """
    found = () if joined is None else (name.strip() for name in joined.split(","))
    names = tuple(dict.fromkeys(found))
    for name in names:
        if name not in TRACKERS:
            known = ", ".join(TRACKERS)
            raise RlldError(
                f"--log: expected names out of {known} joined by commas, found {name!r}"
                f"{nearest(name, TRACKERS)}"
            )
        optional(name, f"--log {name}")
    return names


class Tracking:
    """Trackers of the runs of one training; a context that closes them.

    Args:
        names: Which, see ``tracker_names``.
        title: What a reader calls the run; the name of its folder when None.
    """

    def __init__(self, names: Iterable[str] = (), title: str | None = None) -> None:
        self.names, self.title = tuple(names), title
        self._sessions: dict[Path, _Session] = {}

    def start(self, folder: Path, config: Mapping[str, Any]) -> Callable[[dict[str, Any]], None]:
        """Opens the trackers of a run and tells them of the rounds that its log holds already.

        Args:
            folder: The run folder, its log cut to what counts.
            config: Everything that was set, JSON-ready.

        Returns:
            What takes each further round.

        Raises:
            RlldError: If a tracker cannot be opened.
        """
        if not self.names:
            return lambda report: None
        rounds = read_rounds(folder)
        kept = rounds[-1]["updates"] if rounds else 0
        known = _read_sent(folder / SENT)
        place = Place(folder, self.title or folder.absolute().name, config, known["id"])
        session = _Session({}, folder / SENT, known["id"], known["sent"], known["ended"])
        self._sessions[folder] = session
        for name in self.names:
            sent = known["sent"].get(name, 0)
            session.trackers[name] = TRACKERS[name](place, sent, kept)
            for report in rounds:
                if report["updates"] > sent:
                    session.tell(name, report)
        session.remember()
        return session.take

    def finish(self, run: Run) -> None:
        """Gives the trackers the figures and pages of a run, each once.

        A run that was interrupted between its end and this is finished when it is resumed: its
        trackers are opened here.
        """
        lacking = [name for name in self.names if name not in _read_sent(run.path / SENT)["ended"]]
        if not lacking:
            return
        if run.path not in self._sessions:
            self.start(run.path, _config_of(run))
        session, results = self._sessions[run.path], run_results(run, read_rounds(run.path))
        for name in lacking:
            session.trackers[name].results(results)
            session.ended.append(name)
            session.remember()

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for session in self._sessions.values():
            for tracker in session.trackers.values():
                tracker.close(failed=kind is not None)


@dataclass
class _Session:
    """The trackers of one run."""

    trackers: dict[str, Tracker]
    file: Path
    id: str
    sent: dict[str, int]
    ended: list[str]

    def take(self, report: dict[str, Any]) -> None:
        """Tells every tracker of a round."""
        for name in self.trackers:
            self.tell(name, report)
        self.remember()

    def tell(self, name: str, report: Mapping[str, Any]) -> None:
        self.trackers[name].scalars(scalars(report), report["updates"])
        self.sent[name] = report["updates"]

    def remember(self) -> None:
        content = {"id": self.id, "sent": self.sent, "ended": self.ended}
        write_text(self.file, json_text(content, str(self.file)) + "\n")


def scalars(report: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of a line of ``metrics.jsonl``, grouped: validation and training."""
    own = {name: value for name, value in report.items() if not isinstance(value, Mapping)}
    own.pop("updates")
    return {f"training/{name}": float(value) for name, value in own.items()} | {
        f"validation/{name}": float(value) for name, value in report["validation"].items()
    }


def _config_of(run: Run) -> dict[str, Any]:
    """Returns what trackers are told of the settings of a run when it begins."""
    seed = run.facts.get("seed")
    return {"recipe": run.recipe.as_dict(), "seed": seed, "dataset": to_dict(run.spec)}


def track_results(
    names: Iterable[str], folder: Path, title: str, config: Mapping[str, Any], results: Results
) -> None:
    """Gives trackers what has no rounds: the figures and tables of a benchmark.

    Args:
        names: Which, see ``tracker_names``.
        folder: Where the files of the trackers go.
        title: What a reader calls it.
        config: What made it, JSON-ready.
        results: What there is.
    """
    place = Place(folder, title, config, uuid.uuid4().hex[:8])
    for name in names:
        tracker = TRACKERS[name](place, NOTHING, NOTHING)
        tracker.results(results)
        tracker.close(failed=False)


def _read_sent(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"id": uuid.uuid4().hex[:8], "sent": {}, "ended": []}
    try:
        known = parsed(path.read_text(encoding="utf-8"))
        sent = {str(name): int(updates) for name, updates in known["sent"].items()}
        # Those that were written before figures were noted have none as far as one can tell.
        return {"id": str(known["id"]), "sent": sent, "ended": [*map(str, known.get("ended", ()))]}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RlldError(
            f"{path}: expected the id of a run and the updates that trackers know ({error}); "
            "remove it to begin new ones"
        ) from None
