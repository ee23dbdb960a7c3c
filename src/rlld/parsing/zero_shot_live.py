"""Events of classes that were never trained, in a source that goes on.

What is told is what ``rlld.parsing.zero_shot`` finds in the whole by the calibrated rule, where
another collection says what similarities mean. An event stays by the mean of its run, so that it is
told, beginning and end at once, when its run is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.open_classes.calibrated import WIDTH, CalibratedRule
from rlld.open_classes.coming import Coming
from rlld.parsing.events import events_from
from rlld.parsing.live import LONGEST, Told
from rlld.parsing.zero_shot import SECONDS
from rlld.types import MODALITIES
from rlld.utils.runs import runs

if TYPE_CHECKING:
    from rlld.open_classes.named import Namer
    from rlld.open_classes.similarities import Array
    from rlld.parsing.result import Source

LATEST = WIDTH - 1
"""Segments after its end that an event waits for at most: those that a clip begins with."""


def name_live(namer: Namer, rule: CalibratedRule, source: Source) -> Iterator[Told]:
    """Finds the events of named classes as they come, in memory that does not grow.

    Args:
        namer: Knows the names.
        rule: The rule, taught of every name.
        source: The source as the features of the namer.

    Raises:
        RlldError: If it holds no segment, or its features are no numbers.
    """
    if rule.taught is None or source.outcome is None:
        raise AssertionError("a source that goes on has an outcome, and is judged by another's")
    tracks = [Coming(learned) for learned in rule.taught.learned]
    events = LiveNames(rule)
    came = False
    for chunk in source.chunks:
        found = namer.similarities([chunk])
        came = True
        parts = [track.push(_numbers(found.part(m), source)) for m, track in enumerate(tracks)]
        yield from events.push(np.stack(parts, axis=1))
    if not came:
        raise RlldError(f"{source.name}: has no segment; give one that lasts longer")
    rest = np.stack([track.finish() for track in tracks], axis=1)
    yield from events.push(rest)
    yield from events.finish(source.outcome()[0])


def _numbers(rows: Array, source: Source) -> Array:
    lacking = np.isnan(rows)
    if bool((lacking.any(1) & ~lacking.all(1)).any()):
        raise RlldError(f"{source.name}: gives features that are no numbers; check its tracks")
    return rows


class LiveNames:
    """Reads events from probabilities as they come, class by class.

    Args:
        rule: Says which runs are events.
    """

    def __init__(self, rule: CalibratedRule) -> None:
        self._rule = rule
        self._held = np.zeros((0, len(MODALITIES), len(rule.classes)))
        self._first = 0  # segment of the first row that is held
        self._since = np.zeros(len(rule.classes), int)  # segment before which a class is settled
        self._told: dict[int, set[tuple[str, float]]] = {}  # by class, of what is not settled

    def push(self, probabilities: Array) -> Iterator[Told]:
        """Takes what is likely in the next segments (n, 2, C), and yields what it makes certain."""
        self._held = np.concatenate([self._held, probabilities])
        end = self._first + len(self._held)
        for label in range(len(self._since)):
            yield from self._tell(label, float("inf"), end - self._since[label] >= LONGEST)
        first = min(int(self._since.min()), end)
        self._held, self._first = self._held[first - self._first :], first

    def finish(self, duration: float) -> Iterator[Told]:
        """Yields what is left when the source ends.

        Args:
            duration: Its length in seconds.
        """
        for label in range(len(self._since)):
            yield from self._tell(label, duration, over=True)

    def _tell(self, label: int, duration: float, over: bool) -> Iterator[Told]:
        since = int(self._since[label])
        rows = self._held[since - self._first :, :, label]
        above = rows > self._rule.config.threshold
        kept = self._rule.events(rows)
        if not over:
            for modality in range(len(MODALITIES)):
                kept[_open(above[:, modality]), modality] = False
        told = self._told.setdefault(label, set())
        name = [self._rule.classes[label]]
        for event in events_from(kept[..., None], rows[..., None], name, SECONDS, duration, since):
            if (event.modality, event.start) not in told:
                told.add((event.modality, event.start))
                yield Told("begin", event)
                yield Told("end", event)
        quiet = np.flatnonzero(~above.any(1))
        settled = len(rows) if over else int(quiet[-1]) + 1 if len(quiet) else 0
        self._since[label] = since + settled
        self._told[label] = {key for key in told if key[1] >= self._since[label] * SECONDS}


def _open(above: NDArray[np.bool_]) -> slice:
    """Returns the rows of the run that is still going on."""
    last = list(runs(above))[-1:]
    return slice(last[0][0], None) if last and last[0][1] == len(above) else slice(0, 0)
