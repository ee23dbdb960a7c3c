"""Files of bare answers: whether the event of a tag is perceived in a modality, yes or no.

An answer needs no times, only a look at (or an ear for) the clip. Tab-, comma- or semicolon-
separated text with the columns ``video``, ``class``, ``modality`` and ``present`` in any order, and
``probability`` where questions were drawn by lot; other columns are passed over, and a row whose
``present`` is empty is a question not yet answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlld.data.lines import BOM, read_bytes
from rlld.data.problems import Problem, Report, strict
from rlld.errors import nearest
from rlld.types import MODALITIES
from rlld.utils.files import write_text
from rlld.utils.sheets import SheetError, read_sheet, sheet_text

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec
    from rlld.taxonomy import Taxonomy

FILE = "answers.csv"
"""Name of the file inside the annotation folder of a packed data set."""
COLUMNS = ("video", "class", "modality", "present")
CHANCE = "probability"
"""A column that only answers to questions that were drawn have."""
SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
Asked = tuple[str, str, str, bool | None] | tuple[str, str, str, bool | None, float | None]
YES, NO = ("yes", "1", "true", "y"), ("no", "0", "false", "n")
UNKNOWN = -1
"""Presence of an event of which nothing is known; 1 is present, 0 absent."""


class Answer(NamedTuple):
    """One answered question.

    Attributes:
        video: Video id.
        label: Class name.
        modality: ``audio`` or ``visual``.
        present: Whether the event is perceived there in some segment.
        line: Line in the file, counted from 1; 0 for an answer from elsewhere.
        probability: Chance that a question about this class fell to this video, in (0, 1]; None
            where nobody drew it.
    """

    video: str
    label: str
    modality: str
    present: bool
    line: int = 0
    probability: float | None = None

    @property
    def question(self) -> tuple[str, str, str]:
        """What was asked."""
        return self[:3]


def read_answers(path: Path, taxonomy: Taxonomy, report: Report = strict) -> list[Answer]:
    """Reads a file of answers.

    Args:
        path: The file.
        taxonomy: The classes.
        report: Receives every problem; the default raises on the first error.

    Returns:
        The answers of the rows without error, in file order, each question once.

    Raises:
        RlldError: If the file cannot be read or (with the default ``report``) on a missing column,
            an unknown class or modality, a ``present`` that is neither yes nor no, a probability
            outside of (0, 1], or two answers that contradict each other; names file, line and
            field.
    """
    found: dict[tuple[str, str, str], Answer] = {}
    for line, row in _rows(path, report):
        text = _fault(row, taxonomy)
        if text:
            report(Problem(path, line, "error", text))
            continue
        if not row["present"]:
            continue
        present = row["present"].lower() in YES
        chance = chance_of(row[CHANCE])
        answer = Answer(row["video"], row["class"], row["modality"], present, line, chance)
        first = found.setdefault(answer.question, answer)
        if first.present != present:
            text = (
                f"present is {row['present']!r} for {answer.modality} {answer.label} of "
                f"'{answer.video}', and line {first.line} says the contrary; keep one"
            )
            report(Problem(path, line, "error", text))
        elif first.line != line:
            report(Problem(path, line, "note", f"repeats line {first.line}; it counts once"))
    return list(found.values())


def _fault(row: Mapping[str, str], taxonomy: Taxonomy) -> str:
    """Says what is wrong with a row, or nothing."""
    if not row["video"]:
        return "video is empty, expected a video id; add it"
    if row["class"] not in taxonomy.classes:
        return (
            f"class is {row['class']!r}, which is unknown{nearest(row['class'], taxonomy.classes)}"
        )
    if row["modality"] not in MODALITIES:
        return f"modality is {row['modality']!r}, expected {' or '.join(MODALITIES)}; correct it"
    if row["present"] and row["present"].lower() not in YES + NO:
        return (
            f"present is {row['present']!r}, expected yes or no (1 or 0), or nothing where it is "
            "not known; correct it"
        )
    if row[CHANCE] and chance_of(row[CHANCE]) is None:
        return (
            f"probability is {row[CHANCE]!r}, expected a number above 0 and up to 1, or nothing "
            "where the question was not drawn; correct it"
        )
    return ""


def chance_of(cell: str) -> float | None:
    """Reads a probability, None where a cell holds none that a question can be drawn with."""
    try:
        chance = float(cell)
    except ValueError:
        return None
    return chance if 0 < chance <= 1 else None


def _rows(path: Path, report: Report) -> Iterable[tuple[int, dict[str, str]]]:
    """Yields line number and cells, stripped, of every row that has them; a chance may be empty."""
    try:
        text = read_bytes(path).decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        report(Problem(path, line, "error", "not UTF-8 text; save the file as UTF-8"))
        return
    head = text.partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    try:
        yield from _cells(path, text, separator, report)
    except SheetError as error:
        report(Problem(path, error.line, "error", error.text))


def _cells(
    path: Path, text: str, separator: str, report: Report
) -> Iterator[tuple[int, dict[str, str]]]:
    rows = read_sheet(text, separator)
    _, header = next(rows, (1, []))
    names = [name.strip().lower() for name in header]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        problem = (
            f"expected a header line with the columns {', '.join(COLUMNS)} (separated by tabs or "
            f"commas), found {separator.join(header)[:80]!r} without {', '.join(missing)}; correct "
            "it"
        )
        report(Problem(path, 1, "error", problem))
        return
    places = {name: names.index(name) for name in (*COLUMNS, CHANCE) if name in names}
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < len(names):
            problem = (
                f"expected {len(names)} fields ({', '.join(names)}) separated by "
                f"{SEPARATORS[separator]}, found {len(cells)}; correct the line"
            )
            report(Problem(path, line, "error", problem))
            continue
        yield line, {CHANCE: "", **{name: cells[at].strip() for name, at in places.items()}}


def answered(answers: Iterable[Answer], ids: Sequence[str], spec: DataSpec) -> NDArray[np.int8]:
    """Returns what answers say of some videos.

    Args:
        answers: The answers; those of other videos are left out.
        ids: Video ids, N of them.
        spec: The data set.

    Returns:
        (N, 2, C), int8: 1 present, 0 absent, ``UNKNOWN`` where there is no answer.
    """
    found = np.full((len(ids), len(MODALITIES), len(spec.classes)), UNKNOWN, dtype=np.int8)
    for place, answer in _placed(answers, ids, spec):
        found[place] = answer.present
    return found


def chances(
    answers: Iterable[Answer], ids: Sequence[str], spec: DataSpec
) -> NDArray[np.float32] | None:
    """Returns with which probability the answered questions were drawn.

    Args:
        answers: The answers; those of other videos are left out.
        ids: Video ids, N of them.
        spec: The data set.

    Returns:
        (N, 2, C), 0 where nobody drew; None where nobody drew anything.
    """
    found = np.zeros((len(ids), len(MODALITIES), len(spec.classes)), dtype=np.float32)
    for place, answer in _placed(answers, ids, spec):
        found[place] = answer.probability or 0.0
    return found if found.any() else None


def _placed(
    answers: Iterable[Answer], ids: Sequence[str], spec: DataSpec
) -> Iterator[tuple[tuple[int, int, int], Answer]]:
    """Yields answers on some videos with their place by video, modality and class."""
    video = {name: position for position, name in enumerate(ids)}
    label = {name: position for position, name in enumerate(spec.classes)}
    for answer in answers:
        if answer.video in video:
            modality = MODALITIES.index(answer.modality)
            yield (video[answer.video], modality, label[answer.label]), answer


def answer_text(answers: Iterable[Asked]) -> str:
    """Returns a file of answers: tab-separated, ``present`` empty where it is None.

    Args:
        answers: Video, class, modality, the answer and, for some, the chance that it was drawn
            with; without any chance there is no column for it.
    """
    known = {None: "", True: "yes", False: "no"}
    rows = [(*row, None)[:5] for row in answers]
    cells = [
        (video, label, modality, known[present], "" if chance is None else f"{chance:.6g}")
        for video, label, modality, present, chance in rows
    ]
    drawn = any(chance for *_, chance in cells)
    header = (*COLUMNS, CHANCE)
    return sheet_text(row if drawn else row[:4] for row in (header, *cells))


def file_text(answers: Iterable[Answer]) -> str:
    """Returns the file that keeps answers."""
    return answer_text((*answer[:4], answer.probability) for answer in answers)


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Writes a file of answers, replaced whole."""
    write_text(path, file_text(answers))
