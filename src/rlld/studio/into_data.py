"""What people said in the studio, into the annotation files of the data set.

Answers become rows of ``answers.csv``. A corrected clip counts as watched: in a data set of
``rlld data new`` it has dense annotation and serves for validation from now on. In another data
set training clips have none, so there a corrected clip answers all questions about its tags
instead. A test clip teaches nothing, whatever is said of it: its events become the truth that runs
are scored by, and answers on it are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rlld.data.add_answers import keep_answers
from rlld.data.answers import Answer
from rlld.data.spec import dense_files
from rlld.errors import listed
from rlld.media.listing import LISTING
from rlld.parsing.result import Event
from rlld.studio import events as form
from rlld.studio.agreement import settled, votes_of
from rlld.studio.clips import Catalogue
from rlld.studio.store import Kept
from rlld.types import MODALITIES


@dataclass(frozen=True)
class Written:
    """What became of answers and corrections.

    Attributes:
        answers: Answers that teach: one for a class in a modality of a video.
        corrected: Corrected clips that the data set holds.
        left_out: What was not written since the data set lacks it; sentences.
        text: All of this for a reader.
    """

    answers: int
    corrected: int
    left_out: tuple[str, ...]
    text: str


def write_kept(folder: Path) -> Written:
    """Writes what the studio of a data set holds, whether it is open or not.

    Raises:
        RlldError: If it holds nothing, or cannot be read or written.
    """
    with closing(Kept(folder)) as kept:
        return write(folder, kept)


def write(folder: Path, kept: Kept) -> Written:
    """Writes what people said into the annotation files of a data set.

    What was written before and is said no more is taken out again. The data set is taken as it is
    now, whatever it was when its studio was opened.

    Args:
        folder: The data-set folder.
        kept: What they said.

    Raises:
        RlldError: If a file is wrong, or cannot be written.
    """
    from rlld.workflows.import_events import replace_events

    catalogue = Catalogue(folder)
    corrected = _corrected(catalogue, kept)
    dense = {video: own for video, own in corrected.items() if _has_dense(catalogue, video)}
    moved: tuple[str, ...] = ()
    if dense:
        moved = replace_events(catalogue.folder, dense).moved
    answers = _answers(catalogue, kept, corrected, dense)
    withdrawn = _withdrawn(kept)
    used = 0
    if answers or (withdrawn and catalogue.answers):
        place = str(kept.folder)
        used = keep_answers(catalogue.folder, answers, withdrawn, place).used
    left_out = _left_out(catalogue, kept)
    text = "; ".join((_told(catalogue, used, corrected, dense, moved), *left_out))
    return Written(used, len(corrected), left_out, text)


def _corrected(catalogue: Catalogue, kept: Kept) -> dict[str, tuple[Event, ...]]:
    """Returns the events of the corrected clips that are still in the data set."""
    classes = catalogue.spec.classes
    return {
        video: tuple(event for event in form.parsed(version.events) if event.label in classes)
        for video, version in kept.corrected().items()
        if video in catalogue.videos
    }


def _left_out(catalogue: Catalogue, kept: Kept) -> tuple[str, ...]:
    """Says which corrections and answers are of clips or classes that the data set lacks."""
    corrected, found = kept.corrected(), []
    unasked = {
        each.video
        for each in kept.answers()
        if not each.unsure and not _teaches(catalogue, each.video, each.label)
    }
    gone = [video for video in corrected if video not in catalogue.videos]
    names = {
        event["class"]
        for video, version in corrected.items()
        if video in catalogue.videos
        for event in version.events
    }
    if gone:
        clips = _count(len(gone), "corrected clip")
        found.append(f"left out: {clips} that the data set has no more ({listed(gone)})")
    if lost := sorted(names.difference(catalogue.spec.classes)):
        found.append(f"left out: events of classes that the data set has no more ({listed(lost)})")
    if unasked:
        clips = _count(len(unasked), "clip")
        found.append(
            f"left out: answers about {clips} that are gone, test, or lack the tag now "
            f"({listed(sorted(unasked))})"
        )
    return tuple(f"{each}, kept in {kept.folder} alone" for each in found)


def _has_dense(catalogue: Catalogue, video: str) -> bool:
    """Says whether a clip can have dense annotation."""
    split = catalogue[video].split
    if (catalogue.folder / LISTING).is_file():
        return True
    return split != "train" and bool(dense_files(catalogue.spec, split))


def _answers(
    catalogue: Catalogue,
    kept: Kept,
    corrected: Mapping[str, tuple[Event, ...]],
    dense: Mapping[str, object],
) -> list[Answer]:
    """Returns the answers that teach; those of corrected clips say what their events say."""
    given = kept.answers()
    chances = {(each.video, each.label): each.probability for each in given}
    found = [
        Answer(video, label, modality, present, 0, chances[video, label])
        for (video, label, modality), present in settled(votes_of(given)).items()
        if _teaches(catalogue, video, label) and video not in corrected
    ]
    known = {answer.question: answer.probability for answer in catalogue.answers}
    for video, events in corrected.items():
        occurs = {(event.label, modality) for event in events for modality in _tracks(event)}
        for tag in catalogue[video].tags:
            label = catalogue.spec.classes[tag]
            for modality in MODALITIES:
                question = (video, label, modality)
                # Where events tell it, an answer is only needed instead of one that said else.
                if _teaches(catalogue, video, label) and (video not in dense or question in known):
                    present = (label, modality) in occurs
                    found.append(Answer(*question, present, 0, known.get(question)))
    return found


def _teaches(catalogue: Catalogue, video: str, label: str) -> bool:
    known = catalogue.videos.get(video)
    if known is None or known.split == "test" or label not in catalogue.spec.classes:
        return False
    return catalogue.spec.taxonomy.index(label) in known.tags


def _tracks(event: Event) -> tuple[str, ...]:
    return MODALITIES if event.modality == "audio_visual" else (event.modality,)


def _withdrawn(kept: Kept) -> list[Answer]:
    """Returns what was said and is said no more, or is not agreed on any more."""
    standing = kept.answers()
    sure = settled(votes_of(standing))
    apart = [each for each in standing if any(item not in sure for item in votes_of([each]))]
    return [
        Answer(*item, present, 0, each.probability)
        for each in (*kept.withdrawn(), *apart)
        for item, said in votes_of([each]).items()
        for present in said.values()
        if item not in sure
    ]


def _told(
    catalogue: Catalogue,
    answers: int,
    corrected: Mapping[str, object],
    dense: Mapping[str, object],
    moved: tuple[str, ...],
) -> str:
    tested = sum(catalogue[video].split == "test" for video in corrected)
    clips = _count(len(corrected), "corrected clip")
    each = " (one for each class and track)" if answers else ""
    parts = [f"{catalogue.folder}: {_count(answers, 'answer')}{each} and {clips} written"]
    if moved:
        parts.append(
            f"{_count(len(moved), 'clip')} for validation from now on, and not for training"
        )
    if rest := len(corrected) - len(dense):
        whose = "its" if rest == 1 else "their"
        parts.append(
            f"{_count(rest, 'training clip')} as answers to the questions about {whose} tags"
        )
    if tested:
        parts.append(f"{_count(tested, 'test clip')} as truth alone, which teaches nothing")
    return "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
