"""Everything that a run needs to go on exactly where it stopped."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from rlld.errors import RlldError
from rlld.files import write_bytes
from rlld.names import inside

FILE = Path("resume") / "state.pt"


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


def _place(folder: Path) -> Path:
    return inside(folder, FILE.as_posix(), "resume state")


def load_state(folder: Path, device: torch.device) -> dict[str, Any]:
    """Reads the resume state of a run, tensors and plain values only.

    Raises:
        RlldError: If there is none, or it holds anything but tensors and plain values.
    """
    path = _place(folder)
    if not path.is_file():
        raise RlldError(f"{folder}: nothing to resume ({FILE} is missing); train without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        # torch.load raises whatever the damaged bytes lead to; none of it may pass as a state.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RlldError(f"{path}: not a resume state ({reason}); train without --resume") from None
    return state


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
