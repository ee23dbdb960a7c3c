"""The log of a run, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlld.errors import RlldError
from rlld.training.loop import METRICS
from rlld.utils.plain import parsed


def read_rounds(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of ``metrics.jsonl`` of a run folder, one a round.

    Raises:
        RlldError: If it is missing or damaged.
    """
    path = folder / METRICS
    try:
        return [parsed(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise RlldError(
            f"{path}: not the log of a run ({error}); remove the folder to train it again"
        ) from None
