"""Whether a run had learned to its end, from the losses of its rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.lengths import enough
from rlld.recipes.fitting import longer
from rlld.training.run_folder import METRICS, Run, read_rounds

TAIL = 0.2
"""The last part of the learning in which the loss is looked at."""
LEAST_ROUNDS, LEAST_TAIL = 8, 4
SHARE = 0.06
"""A loss that falls there by more than this share of its whole fall is still falling: what an
exponential does that was stopped before 2.5 of its time constants had passed."""
STEEP = 0.18
"""The same of a run as long as its data ask for: nearly as steep as on the mean, as if the rate
were too low. Such runs still fall by 6 to 16 %, and on real clips twice the updates did worse."""
CERTAIN = 3.0
"""Standard errors by which the slope has to differ from none."""


def rounds_of(run: Run) -> list[dict[str, Any]]:
    """Returns the lines of the log of a run; none of one that was converted or fetched without it.

    Raises:
        RlldError: If the log is damaged.
    """
    return read_rounds(run.path) if (run.path / METRICS).is_file() else []


def still_falls(losses: Sequence[float], rates: Sequence[float]) -> float | None:
    """Returns what share of its whole fall the loss fell in the last fifth of the learning.

    The learning is measured by the sum of the learning rates: a loss that stands still because the
    rate has decayed to nothing has not ended, it was stopped.

    Args:
        losses: Mean loss of each round.
        rates: Learning rate of each round.

    Returns:
        The share; None where the loss does not clearly fall, or the rounds are too few to tell.
    """
    loss, done = np.asarray(losses, float), np.cumsum(np.asarray(rates, float))
    if len(loss) < LEAST_ROUNDS or not np.isfinite(loss).all() or done[-1] <= 0:
        return None
    done /= done[-1]
    first = min(int(np.searchsorted(done, 1 - TAIL, side="right")), len(loss) - LEAST_TAIL)
    slope, error = _line(done[first:], loss[first:])
    whole = loss[0] - loss[first:].min()
    if whole <= 0 or -slope <= CERTAIN * error:
        return None
    share = float(-slope * TAIL / whole)
    return share if share > SHARE else None


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the slope of the line through points, by least squares, and its standard error."""
    shift = x - x.mean()
    spread = float((shift**2).sum())
    slope = float((shift * y).sum()) / spread
    rest = y - y.mean() - slope * shift
    return slope, float(((rest**2).sum() / (len(x) - 2) / spread) ** 0.5)


def falling_note(
    rounds: Sequence[Mapping[str, Any]], videos: int | None, selected: int | None = None
) -> str | None:
    """Says that the loss of a run still fell, and the setting that mends it.

    A loss that falls while scores on validation videos do not is learned by heart: nothing is said
    of a run as long as its data ask for whose best weights are from before the last fifth.

    Args:
        rounds: The lines of its log.
        videos: Training videos, None where they are unknown.
        selected: The update whose weights were kept, None where it is unknown.
    """
    known = [line for line in rounds if "loss" in line]
    share = still_falls([r["loss"] for r in known], [r["learning_rate"] for r in known])
    if share is None:
        return None
    updates = known[-1]["updates"]
    passed = selected is not None and selected < (1 - TAIL) * updates
    if updates >= enough(videos) and (share <= STEEP or passed):
        return None
    return (
        f"the loss still fell when the run ended (in the last fifth of the learning by "
        f"{100 * share:.0f} % of its whole fall): {updates} updates were few; train with "
        f"--schedule.updates {longer(updates, videos)}"
    )
