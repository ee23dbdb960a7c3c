"""What to ask next of a person who looks at clips: is it heard, is it seen?

Questions are drawn by lot with probabilities that are known, so that the answers tell how many tags
of a class are wrong. Those that a policy doubts most would tell it of doubtful tags alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlld.data.answers import UNKNOWN, Answer, answer_text
from rlld.errors import RlldError, nearest
from rlld.evaluation.designs import (
    By,
    Draw,
    Rates,
    Units,
    by_doubt,
    by_question,
    by_sample,
    open_units,
)
from rlld.evaluation.pool import Pool, pool_of
from rlld.evaluation.wrong import expected_gain, wrong_rates
from rlld.types import MODALITIES
from rlld.utils.console import as_text
from rlld.utils.files import write_text
from rlld.utils.sheets import sheet_text

__all__ = ["Asked", "By", "Pool", "Question", "ask", "pool_of"]

DESIGNS: dict[By, Callable[[Pool, Units, Rates, int, int], Draw]] = {
    "question": by_question,
    "sample": by_sample,
    "doubt": by_doubt,
}
UNIT = "labels that these answers are expected to put right"
HEADER = ("video", "split", "class", "audible", "visible", "probability", "at", "end", "why")
PERCEIVED = dict(zip(MODALITIES, ("audible", "visible"), strict=True))
AUDIT = "drawn by doubt: finds wrong tags; to teach by, questions by class are better"
OPEN = 0.15
"""A class is open in a track while its rate may be so far from what it seems."""
NAMED = 5
"""Classes that are named as open."""


class Question(NamedTuple):
    """A look at one clip, for one class.

    Attributes:
        video: Video id.
        split: Its split.
        label: Class name.
        audio: How probably it is heard, as the run believes; None without a belief.
        visual: How probably it is seen.
        probability: Chance that one question about this class falls to this video.
        at: Where to begin to look, in seconds.
        end: Where to end.
        why: Why it is asked.
        tracks: What is asked: whether it is audible (``audio``), visible (``visual``), or both.
    """

    video: str
    split: str
    label: str
    audio: float | None
    visual: float | None
    probability: float
    at: float
    end: float
    why: str
    tracks: tuple[str, ...]

    def __str__(self) -> str:
        beliefs = dict(zip(MODALITIES, (self.audio, self.visual), strict=True))
        asked = " ".join(
            f"{PERCEIVED[name]}?" + ("" if beliefs[name] is None else f" {beliefs[name]:.2f}")
            for name in self.tracks
        )
        return f"{self.video}  {self.label}: {asked}  {self.why}"


@dataclass(frozen=True, repr=False)
class Asked:
    """Questions in the order in which to ask them; prints as a line each.

    Attributes:
        questions: The questions.
        gain: Labels, of all tags in both tracks, that the answers are expected to put right.
        stop: Which classes are still open, or that it is time to stop.
        note: What to know of the way they were drawn; empty where there is nothing.
    """

    questions: tuple[Question, ...]
    gain: float
    stop: str
    note: str = ""

    def __len__(self) -> int:
        return len(self.questions)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions)

    def to_csv(self, path: str | Path) -> None:
        """Writes the questions with their reasons, tab-separated.

        Raises:
            RlldError: If the file cannot be written.
        """
        rows = ([_cell(cell) for cell in row[: len(HEADER)]] for row in self.questions)
        write_text(Path(path), sheet_text([HEADER, *rows]))

    def to_sheet(self, path: str | Path) -> None:
        """Writes a sheet to fill in, for ``rlld data answers``.

        Raises:
            RlldError: If the file cannot be written.
        """
        rows = (
            (question.video, question.label, name, None, question.probability)
            for question in self.questions
            for name in question.tracks
        )
        write_text(Path(path), answer_text(rows))

    def __str__(self) -> str:
        told = f"{self.gain:.1f} {UNIT}"
        return as_text([*map(str, self.questions), told, *filter(None, (self.note, self.stop))])

    def __repr__(self) -> str:
        return f"<{len(self)} questions>"


def ask(
    pool: Pool,
    count: int,
    answers: Iterable[Answer] = (),
    *,
    by: By = "question",
    seed: int = 0,
    skip: Collection[tuple[str, str]] = (),
) -> Asked:
    """Draws questions.

    ``question`` gives each next one to the class where it is expected to put most labels right, and
    draws its video by lot. ``sample`` draws typical videos by their tags and asks about all tags of
    them. ``doubt`` draws what is worth checking, half by what the run doubts and half by lot alone.

    Args:
        pool: What can be asked about.
        count: How many questions; fewer when there are fewer. ``sample`` asks about as many.
        answers: Answers that the files of the data set do not hold.
        by: How they are drawn.
        seed: Seed of the lot.
        skip: Videos and classes that are not asked about.

    Raises:
        RlldError: If ``count`` is not positive, or there is no belief to doubt.
    """
    if count < 1:
        raise RlldError(f"--count must be 1 or more, found {count}")
    if by not in DESIGNS:
        raise RlldError(f"by: unknown way {by!r}{nearest(by, DESIGNS)}")
    if by == "doubt" and not pool.believed:
        raise RlldError(
            "--by doubt needs a run whose denoiser learns (rlld-labelwise); give one, or leave "
            "--by out"
        )
    told = pool.told(answers)
    rates = wrong_rates(told)
    units = _without(told, open_units(told), skip)
    drawn = DESIGNS[by](told, units, rates, count, seed)
    questions = tuple(_question(told, rates, drawn, at) for at in range(len(drawn.chances)))
    more = np.bincount(drawn.units.label, minlength=told.tags.shape[1])
    note = AUDIT if by == "doubt" else ""
    return Asked(questions, expected_gain(rates, more), _stop(told, rates), note)


def _without(pool: Pool, units: Units, skip: Collection[tuple[str, str]]) -> Units:
    if not skip:
        return units
    out = np.zeros(pool.tags.shape, bool)
    for video, label in skip:
        if video in pool.rows and label in pool.columns:
            out[pool.rows[video], pool.columns[label]] = True
    return units.at(np.flatnonzero(~out[units.video, units.label]))


def _question(pool: Pool, rates: Rates, drawn: Draw, at: int) -> Question:
    video, label = (int(each[at]) for each in drawn.units)
    unknown = pool.known[video, :, label] == UNKNOWN
    asked = (name for m, name in enumerate(MODALITIES) if unknown[m])
    audio, visual = (1 - pool.wrong[video, :, label]).tolist() if pool.believed else (None, None)
    start, end = pool.moments[video, label].tolist()
    return Question(
        pool.ids[video],
        pool.splits[video],
        pool.spec.classes[label],
        audio,
        visual,
        float(drawn.chances[at]),
        start,
        end,
        _why(rates, label),
        tuple(asked),
    )


def _why(rates: Rates, label: int) -> str:
    own = [row[label] for row in rates]
    parts = (
        f"{rate.interval[0]:.0%} to {rate.interval[1]:.0%} not {how}"
        for rate, how in zip(own, PERCEIVED.values(), strict=True)
    )
    answers = max(rate.answers for rate in own)
    return f"{answers} of {own[0].tags:,} tags answered; estimated wrong: {', '.join(parts)}"


def _stop(pool: Pool, rates: Rates) -> str:
    """Says which classes are open, those that cost most first."""
    every = [
        (rate, f"{label} {rate.interval[0]:.0%} to {rate.interval[1]:.0%} not {how}")
        for row, how in zip(rates, PERCEIVED.values(), strict=True)
        for rate, label in zip(row, pool.spec.classes, strict=True)
        if rate.tags
    ]
    open_ = sorted(
        (each for each in every if each[0].wide > OPEN),
        key=lambda each: -each[0].tags * each[0].variance(),
    )
    if not open_:
        return (
            f"Stop: every rate of wrong tags is known to {100 * OPEN:.0f} points or better; more "
            "answers put little right."
        )
    more = f"; and {len(open_) - NAMED} more" if len(open_) > NAMED else ""
    named = "; ".join(text for _, text in open_[:NAMED])
    return (
        f"Open: how many tags are wrong is known too roughly for {len(open_)} of {len(every)} "
        f"classes and tracks: {named}{more}."
    )


def _cell(cell: str | float | tuple[str, ...] | None) -> str:
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
