"""Adding bare answers to a data set that is packed already."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rlld.data.annotations import read_weak
from rlld.data.answers import FILE, Answer, read_answers, write_answers
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    DataSpec,
    annotation_file,
    read_spec,
    spec_text,
    weak_files,
)
from rlld.errors import RlldError
from rlld.utils.files import held, owned, write_text


@dataclass(frozen=True)
class Added:
    """What became of the answers of a file.

    Attributes:
        used: Answers on labels of training and validation videos.
        unused: Answers on other videos, or on classes that a video is not tagged with.
        total: Answers that the data set has now.
    """

    used: int
    unused: int
    total: int


def add_answers(folder: Path, path: Path) -> Added:
    """Adds a file of answers to a data set; a new answer replaces an old one.

    Args:
        folder: The data-set folder; ``annotations/answers.csv`` is written, and ``dataset.yaml``
            if it names no answers yet.
        path: The file.

    Raises:
        RlldError: If a file is wrong, or no answer is about a label of the data set.
    """
    with held(folder / FILE_NAME), owned(folder):  # 'data new' writes both files too
        spec = read_spec(folder)
        return _add(folder, spec, read_answers(path, spec.taxonomy), str(path))


def keep_answers(
    folder: Path, answers: Sequence[Answer], withdrawn: Collection[Answer], place: str
) -> Added:
    """Adds answers to a data set; a new answer replaces an old one.

    Args:
        folder: The data-set folder; see ``add_answers``.
        answers: The answers.
        withdrawn: Answers that are taken back, where the data set holds them as they were given.
        place: Where they come from, for messages.

    Raises:
        RlldError: If a file is wrong, or no answer is about a label of the data set.
    """
    with held(folder / FILE_NAME), owned(folder):  # 'data new' writes both files too
        return _add(folder, read_spec(folder), answers, place, withdrawn)


def _add(
    folder: Path,
    spec: DataSpec,
    answers: Sequence[Answer],
    place: str,
    withdrawn: Collection[Answer] = (),
) -> Added:
    tagged = set()
    for split, file in weak_files(spec).items():
        if split != "test":
            weak = read_weak(annotation_file(folder / ANNOTATIONS, file), spec.taxonomy)
            tagged |= {
                (weak.ids[n], spec.classes[c]) for n, c in zip(*weak.labels.nonzero(), strict=True)
            }
    used = [answer for answer in answers if (answer.video, answer.label) in tagged]
    if not used and not withdrawn:
        raise RlldError(
            f"{place}: none of its {len(answers)} answers is about a tag of a training or "
            f"validation video of {folder}; look at its video column"
        )
    name = spec.annotations.answers or FILE
    target = annotation_file(folder / ANNOTATIONS, name)
    before = read_answers(target, spec.taxonomy) if spec.annotations.answers else []
    gone = set(map(_given, withdrawn))
    before = [answer for answer in before if _given(answer) not in gone]
    merged = {answer.question: answer for answer in [*before, *used]}
    write_answers(target, merged.values())
    if not spec.annotations.answers:
        with_answers = replace(spec, annotations=replace(spec.annotations, answers=name))
        write_text(folder / FILE_NAME, spec_text(with_answers))
    return Added(len(used), len(answers) - len(used), len(merged))


def _given(answer: Answer) -> tuple[object, ...]:
    """Returns what an answer says, as a file holds it."""
    chance = answer.probability
    return (*answer[:4], None if chance is None else f"{chance:.6g}")
