"""Which question is asked next: drawn by ``rlld.evaluation.questions``, some of them twice."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.data.answers import UNKNOWN, Answer
from rlld.evaluation.questions import Pool, ask, pool_of
from rlld.studio.agreement import settled, votes_of
from rlld.studio.store import Answered
from rlld.types import MODALITIES

if TYPE_CHECKING:
    from rlld.training.run_folder import Run

SHARED = 5
"""Of so many questions one is asked of several people, so that their agreement is known."""
AHEAD = 25
"""Questions whose gain is told."""


@dataclass(frozen=True)
class Outlook:
    """What further answers are worth.

    Attributes:
        gain: What the next ``AHEAD`` answers are expected to bring, in ``UNIT``.
        stop: What is open, or that it is time to stop.
    """

    gain: float
    stop: str


class Queue:
    """The questions of a data set.

    Args:
        folder: The data-set folder.
        run: A run whose beliefs and doubtful moments are shown; without one there are none.
    """

    def __init__(self, folder: Path, run: Run | None = None) -> None:
        self.folder, self.run = folder, run
        self._lock = threading.Lock()
        self._pool: Pool | None = None
        self._seen: tuple[Sequence[Answered], Outlook] | None = None

    def pool(self) -> Pool:
        """Returns what can be asked about; with a run it takes seconds once."""
        with self._lock:
            if self._pool is None:
                self._pool = pool_of(self.folder, self.run)
            return self._pool

    def following(
        self, person: str, answers: Sequence[Answered], count: int
    ) -> list[dict[str, Any]]:
        """Returns the next questions for a person, never one that they answered.

        Args:
            person: Who.
            answers: What everybody said.
            count: How many at most.
        """
        pool = self.pool()
        done = {(each.video, each.label) for each in answers if each.person == person}
        others = [each for each in answers if (each.video, each.label) not in done]
        shared = list({(each.video, each.label): each for each in others}.values())
        taken = {(each.video, each.label) for each in shared}
        drawn = ask(pool, count, told(answers, pool), skip=done | taken).questions
        fresh = [
            _shown(pool, *question[:3], question.probability, question.why) for question in drawn
        ]
        found: list[dict[str, Any]] = []
        while len(found) < count and (fresh or shared):
            turn = (len(done) + len(found)) % SHARED == SHARED - 1
            if shared and (turn or not fresh):
                other = shared.pop(0)
                if (again := self.again(other, f"asked of {other.person} too")) is not None:
                    found.append(again)
            else:
                found.append(fresh.pop(0))
        return found

    def again(self, given: Answered, why: str) -> dict[str, Any] | None:
        """Returns the question of an answer; None where the data set has no such tag any more."""
        pool = self.pool()
        if given.video not in pool.rows or given.label not in pool.columns:
            return None
        split = pool.splits[pool.rows[given.video]]
        return _shown(pool, given.video, split, given.label, given.probability, why)

    def moment(self, video: str, label: str) -> tuple[float, float] | None:
        """Returns where to look for a class in a video; None where nobody asks about it."""
        pool = self.pool()
        if video not in pool.rows or label not in pool.columns:
            return None
        place, tag = pool.rows[video], pool.columns[label]
        start, end = pool.moments[place, tag].tolist()
        return start, end

    def outlook(self, answers: Sequence[Answered]) -> Outlook | None:
        """Returns what further answers are worth; None while a run still looks at the clips."""
        if self._pool is None and self.run is not None:
            return None
        if self._seen is None or self._seen[0] != answers:  # the page asks for it at every turn
            pool = self.pool()
            asked = ask(pool, AHEAD, told(answers, pool))
            self._seen = answers, Outlook(round(asked.gain, 1), asked.stop)
        return self._seen[1]


def told(answers: Iterable[Answered], pool: Pool) -> list[Answer]:
    """Returns what most people say, as the data set's own files would hold it."""
    given = list(answers)
    chances = {(each.video, each.label): each.probability for each in given}
    return [
        Answer(video, label, modality, present, 0, chances[video, label])
        for (video, label, modality), present in settled(votes_of(given)).items()
        if label in pool.spec.classes
    ]


def _shown(
    pool: Pool, video: str, split: str, label: str, probability: float | None, why: str
) -> dict[str, Any]:
    """Returns a question as the page has it."""
    place, tag = pool.rows[video], pool.columns[label]
    start, end = pool.moments[place, tag].tolist()
    beliefs = {
        modality: round(1 - float(pool.wrong[place, m, tag]), 4) if pool.believed else None
        for m, modality in enumerate(MODALITIES)
    }
    unknown = [
        modality for m, modality in enumerate(MODALITIES) if pool.known[place, m, tag] == UNKNOWN
    ]
    return {
        "id": f"{video}/{label}",
        "video": video,
        "class": label,
        "split": split,
        "at": start,
        "end": end,
        **beliefs,
        "probability": probability,
        "why": why,
        "tracks": unknown,
    }
