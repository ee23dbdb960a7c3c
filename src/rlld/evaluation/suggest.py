"""What to ask next, of a data set with or without a run on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rlld.errors import RlldError
from rlld.evaluation.questions import Asked, By, ask, pool_of

if TYPE_CHECKING:
    from rlld.training.run_folder import Run


ASKED = ("train", "validation")
"""Splits whose answers teach."""


def suggest_for(
    run: Run | None,
    count: int,
    split: str,
    data: Path | None,
    *,
    by: By = "question",
    seed: int = 0,
) -> Asked:
    """Draws questions about the tags of a split.

    Args:
        run: A run, which adds what it believes and where to look; None where there is none yet.
        count: How many questions.
        split: ``train`` or ``validation``.
        data: The data-set folder; that of the training when None.
        by: How they are drawn; see ``ask``.
        seed: Seed of the lot.

    Raises:
        RlldError: If there is neither run nor data set, the data set does not fit the run, or
            everything is known of the split.
    """
    if split not in ASKED:
        raise RlldError(
            f"split: expected {' or '.join(ASKED)}, found {split!r}; answers on it "
            "would teach nothing"
        )
    folder = data or (Path(known) if run and (known := run.facts.get("data")) else None)
    if folder is None:
        what = "name a run or a data set" if run is None else f"{run.path} names no data set"
        raise RlldError(f"nothing to ask about: {what}; give one with --data")
    found = ask(pool_of(folder, run, (split,)), count, by=by, seed=seed)
    if not found.questions:
        other = "validation" if split == "train" else "train"
        raise RlldError(
            f"{folder}: every tag of its {split} videos is answered or annotated; choose --split "
            f"{other}"
        )
    return found
