"""Everything that a run needs to go on exactly where it stopped."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from rlld.data.spec import FILE_NAME
from rlld.errors import RlldError
from rlld.utils.files import write_bytes
from rlld.utils.foreign.damage import DamagedError, Told, guarded
from rlld.utils.foreign.saved import kind_of, read_saved
from rlld.utils.names import inside

FILE = Path("resume") / "state.pt"
TOLD = Told("not a resume state", "train without --resume")
SETTINGS = "param_groups"
"""What an optimizer is set to belongs to the device, and is not restored."""
CONTENT = "content"
"""What says of a run which files of its data set taught it."""
NAMES = {CONTENT: "other tags, events, answers or features than its data set has now"}
"""What differs, where the key does not tell."""
FITS = Told("is not the state of this run", "train without --resume")


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Writes the resume state of a run aside and renames it.

    Args:
        folder: The run folder.
        state: Tensors, numbers, text and containers of them, nothing else.
    """
    content = BytesIO()
    torch.save(state, content)
    write_bytes(_place(folder), content.getbuffer())


def forget_state(folder: Path) -> None:
    """Removes what a finished run needs no more, halves of states that were killed included."""
    shutil.rmtree((folder / FILE).parent, ignore_errors=True)


def require_run_folder(folder: Path) -> None:
    """Refuses to mix a run with the files of a data set.

    Raises:
        RlldError: If the folder is one.
    """
    if (folder / FILE_NAME).is_file():
        raise RlldError(
            f"{folder}: is the folder of a data set ({FILE_NAME}); give the run another --out"
        )


def _place(folder: Path) -> Path:
    return inside(folder, FILE.as_posix(), "resume state")


class Resumable(Protocol):
    """What goes on where it stopped: one run, or several in lockstep."""

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that changes."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""


def load_state(folder: Path, device: torch.device, runs: int = 1) -> dict[str, Any]:
    """Reads the resume state of a run, tensors and plain values only.

    Args:
        folder: The run folder.
        device: Where its tensors shall live.
        runs: How many runs it is the state of.

    Raises:
        RlldError: If there is none, or it holds anything else than ``Keeper`` saves.
    """
    path = _place(folder)
    if not path.is_file():
        raise RlldError(f"{folder}: nothing to resume ({FILE} is missing); train without --resume")
    state = read_saved(path, TOLD, device=device)
    with guarded(path, TOLD):
        _require_alike(state, {"trainer": {}, "identity": {}, "seconds": 0.0})
        json.dumps(state["identity"])
        # States of rlld 0.1 before it kept the text of the logs say how long they were.
        logs = state["logs"] if "logs" in state else state["log_bytes"]
        kind = str if "logs" in state else int
        if type(logs) is not list or len(logs) != runs or any(type(e) is not kind for e in logs):
            raise DamagedError(f"its logs are {kind_of(logs)}, expected {runs} of {kind.__name__}")
        if kind is int and min(logs) < 0:
            raise DamagedError("a log of less than no bytes")
    found: dict[str, Any] = state
    return found


def restore(folder: Path, state: dict[str, Any], steered: Resumable) -> None:
    """Puts what ``load_state`` returned into a run, after comparing it with that run.

    Raises:
        RlldError: If it is the state of something else.
    """
    with guarded(folder / FILE, FITS):
        own = steered.state_dict()
        found = state["trainer"]
        _require_alike(found, own)
        for run, fresh in zip(found.get("runs", [found]), own.get("runs", [own]), strict=True):
            _require_kept(run, fresh["network"])
        steered.load_state_dict(found)


def _require_alike(found: Any, own: Any, place: str = "") -> None:
    """Requires the kinds of values of a fresh state; what is empty or None there may be anything.

    Raises:
        DamagedError: Where another kind is found, a number is not finite, or something is missing.
    """
    if isinstance(own, dict):
        if not isinstance(found, dict):
            raise DamagedError(f"{place or 'it'} holds {kind_of(found)}, expected entries")
        for key, value in own.items():
            if key == SETTINGS:
                continue
            if key not in found:
                raise DamagedError(f"{place}{key!r} is missing")
            _require_alike(found[key], value, f"{place}{key!r} ")
    elif isinstance(own, list) and own and isinstance(own[0], dict):
        if not isinstance(found, list) or len(found) != len(own):
            raise DamagedError(f"{place}is no list of {len(own)}")
        for each, value in zip(found, own, strict=True):
            _require_alike(each, value, place)
    elif isinstance(own, Tensor):
        if not isinstance(found, Tensor) or found.shape != own.shape:
            shape = tuple(found.shape) if isinstance(found, Tensor) else kind_of(found)
            raise DamagedError(f"{place}is {shape}, expected shape {tuple(own.shape)}")
    elif isinstance(own, (int, float)) and not isinstance(own, bool):
        numbers = (int,) if isinstance(own, int) else (int, float)
        if type(found) not in numbers or not 0 <= found < math.inf:
            raise DamagedError(f"{place}is {str(found)[:40]}, expected a number")
    elif own is not None and not isinstance(found, type(own)):
        raise DamagedError(f"{place}is {kind_of(found)}, expected {type(own).__name__}")


def _require_kept(run: dict[str, Any], network: dict[str, Tensor]) -> None:
    """Requires of the kept round and the sums of the current one what is used much later."""
    if run["best"]:
        kept = {"round": 0, "updates": 0, "scores": {}, "weights": network, "denoiser": {}}
        _require_alike(run["best"], kept, "'best' ")
    for name, part in run["parts"].items():
        own = {key: value for key, value in network.items() if key.startswith(f"{name}.")}
        _require_alike(part, {"round": 0, "weights": own}, f"'parts' {name!r} ")
    for names, sums in run["totals"].items():
        _require_alike(sums, torch.zeros(len(names.split())), "'totals' ")
    if run["totals"] and not run["count"]:
        raise DamagedError("'count' is 0, but there are totals")


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Returns the state of torch's global generators, which dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restores what ``random_state`` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], out: Path) -> None:
    """Requires that a run in a folder was started as it is to be resumed.

    Args:
        found: What it was started with; older runs do not say what their data set held.
        wanted: What it is to go on with.
        out: The folder, for messages.

    Raises:
        RlldError: If it was not.
    """
    for key, value in wanted.items():
        if key == CONTENT and found.get(key) is None:
            continue
        if json.loads(json.dumps(found.get(key))) != json.loads(json.dumps(value)):
            raise RlldError(
                f"{out}: was started with {NAMES.get(key, f'another {key}')}; resume it with the "
                "same recipe, settings, data and seed, or choose another --out"
            )
