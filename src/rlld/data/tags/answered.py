"""Answers of people on their clips: is the event of a tag heard, is it seen?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlld.data.answers import CHANCE, Answer, chance_of
from rlld.data.tags.columns import NO, YES
from rlld.data.tags.events import NAMES, class_in, modalities_in, read_table
from rlld.data.tags.names import ClipNames
from rlld.errors import RlldError

ROLES = {
    "class": NAMES["class"],
    "modality": NAMES["modality"],
    "present": ("present", "answer", "there", "occurs"),
    CHANCE: (CHANCE,),
}
"""What the columns may be called."""


@dataclass(frozen=True)
class Answered:
    """Answers on clips.

    Attributes:
        rows: The answers, each question once; classes as they are spelled.
        strangers: Names that mean no clip.
        notes: How the files were read.
    """

    rows: tuple[Answer, ...] = ()
    strangers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_answered(paths: Sequence[Path], names: ClipNames) -> Answered:
    """Reads answers: columns for the clip, the class, audio or visual, and yes or no.

    Args:
        paths: The files, tables of any kind that tags are read from, such as the sheets of
            ``rlld suggest --answers``. A row without yes or no is a question that is not answered.
        names: The clips.

    Raises:
        RlldError: If a file cannot be read, lacks a column, holds what is neither yes nor no, or
            two answers contradict each other.
    """
    found: dict[tuple[str, str, str], tuple[Answer, str]] = {}
    strangers: dict[str, None] = {}
    notes: list[str] = []
    for path in paths:
        table = read_table(path, names, ROLES, (CHANCE,))
        notes += table.notes
        strangers |= dict.fromkeys(table.strangers)
        columns = table.columns
        for row, video in table.rows:
            place = f"{path}:{row.line}"
            label = class_in(row.text(columns["class"]), place)
            present = _yes(row.text(columns["present"]), place)
            if label is None or present is None:
                continue
            chance = _chance(row.text(columns[CHANCE]), place) if CHANCE in columns else None
            for modality in modalities_in(path, row, columns["modality"]):
                answer = Answer(video, label, modality, present, row.line, chance)
                question = (video, label.casefold(), modality)
                before, where = found.setdefault(question, (answer, place))
                if before.present != present:
                    raise RlldError(
                        f"{place}: says {_word(present)} to {modality} {label} of {video!r}, and "
                        f"{where} says {_word(before.present)}; keep one"
                    )
    rows = tuple(answer for answer, _ in found.values())
    return Answered(rows, tuple(strangers), tuple(notes))


def _yes(cell: str, place: str) -> bool | None:
    """Reads a yes or a no, None where there is neither."""
    word = cell.casefold()
    if word and word not in YES | NO:
        raise RlldError(
            f"{place}: present is {cell!r}, expected yes or no (1 or 0), or nothing where it is "
            "not known; correct it"
        )
    return word in YES if word else None


def _chance(cell: str, place: str) -> float | None:
    """Reads a probability, None where there is none."""
    chance = chance_of(cell)
    if cell and chance is None:
        raise RlldError(
            f"{place}: probability is {cell!r}, expected a number above 0 and up to 1, or nothing "
            "where the question was not drawn; correct it"
        )
    return chance


def _word(present: bool) -> str:
    return "yes" if present else "no"
