"""Which videos to annotate next: those whose labels the denoiser is least sure of."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rlld.data.answers import answer_text
from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.evaluation.labels import judge, teachers
from rlld.evaluation.scoring import load_for
from rlld.training.run_folder import Run
from rlld.types import MODALITIES
from rlld.utils.console import as_text
from rlld.utils.files import write_text
from rlld.utils.sheets import sheet_text

HEADER = ("filename", "event_labels", "information_bits", "reason")
PERCEIVED = dict(zip(MODALITIES, ("audible", "visible"), strict=True))
SHOWN = 3
"""Questions that a reason names."""


@dataclass(frozen=True)
class Question:
    """What annotating a video would answer.

    Attributes:
        label: Class name.
        modality: ``audio`` or ``visual``.
        keep: Probability that the event is there.
        bits: What the answer is worth, less the more videos of the class were suggested before.
    """

    label: str
    modality: str
    keep: float
    bits: float

    def __str__(self) -> str:
        return f"{self.label} {PERCEIVED[self.modality]}? {self.keep:.2f}"


@dataclass(frozen=True)
class Suggestion:
    """A video to annotate.

    Attributes:
        video: Its id.
        labels: Its tags.
        bits: Expected information when it was chosen.
        questions: What it would answer, the most valuable first.
    """

    video: str
    labels: tuple[str, ...]
    bits: float
    questions: tuple[Question, ...]

    @property
    def reason(self) -> str:
        """The questions that are worth most, with the probability of yes."""
        return "; ".join(map(str, self.questions[:SHOWN]))

    def __str__(self) -> str:
        return f"{self.video}  {self.bits:.2f} bits  {self.reason}"


@dataclass(frozen=True, repr=False)
class Suggestions:
    """Videos to annotate, the best first; prints as a line each.

    Attributes:
        chosen: The suggestions.
        pool: The videos that they were chosen from.
    """

    chosen: tuple[Suggestion, ...]
    pool: Split

    def __len__(self) -> int:
        return len(self.chosen)

    def __iter__(self) -> Iterator[Suggestion]:
        return iter(self.chosen)

    def to_csv(self, path: str | Path) -> None:
        """Writes the suggestions with their reasons, tab-separated.

        Raises:
            RlldError: If the file cannot be written.
        """
        write_text(Path(path), suggestion_text(self.chosen))

    def to_sheet(self, path: str | Path) -> None:
        """Writes a sheet of the open questions to fill in, for ``rlld data answers``.

        Raises:
            RlldError: If the file cannot be written.
        """
        write_text(Path(path), question_text(self.chosen, self.pool))

    def __str__(self) -> str:
        return as_text(map(str, self))

    def __repr__(self) -> str:
        return f"<{len(self)} suggestions of {len(self.pool)} {self.pool.name} videos>"


def suggest_for(run: Run, count: int, split: str, data: Path | None, name: str) -> Suggestions:
    """Chooses videos of a split whose labels the denoiser of a run doubts most.

    Args:
        run: A run whose denoiser learns keep probabilities.
        count: How many to choose; all when there are fewer.
        split: ``train`` or ``validation``; what is annotated and taught the run is not chosen.
        data: The data-set folder; that of the training when None.
        name: What the user calls the run.

    Raises:
        RlldError: If the denoiser learns none, the data set does not fit the run, or no video is
            left to choose.
    """
    videos = load_for(run, split, data).to(run.device)
    known = answered_fully(videos).intersection(teachers(run, videos))
    found = suggest(videos, judge(run, videos).keep, count, known)
    if not found:
        raise RlldError(f"{name}: every {split} video taught it; choose --split train")
    return Suggestions(tuple(found), videos)


def doubt(keep: Tensor) -> Tensor:
    """Returns the entropy of keep probabilities in bits, 0 (certain) to 1 (an even chance)."""
    nats: Tensor = torch.special.entr(torch.stack([keep, 1 - keep]).double()).sum(0)
    return nats / math.log(2)


def suggest(
    videos: Split, keep: Tensor, count: int, known: Collection[str] = ()
) -> list[Suggestion]:
    """Chooses videos whose annotation is expected to tell most.

    A video is worth the entropy of the keep probabilities of its labels in both modalities. The
    k-th video of a class counts 1 / k of it, so that one noisy class (Speech) does not fill the
    list: the choice is greedy by what a video adds. Equal videos go in the order of the split.

    Args:
        videos: The pool.
        keep: Keep probabilities (N, 2, C).
        count: How many to choose; all when there are fewer.
        known: Ids that are annotated already.

    Raises:
        RlldError: If ``count`` is not positive or a keep probability is no number.
    """
    if count < 1:
        raise RlldError(f"--count must be 1 or more, found {count}")
    tagged = videos.labels.bool().cpu()
    values = keep.detach().cpu().double()
    if values[tagged[:, None].expand_as(values)].isnan().any():
        raise RlldError("keep probabilities: not a number; the denoiser is broken, train again")
    bits = torch.where(tagged[:, None], doubt(values), 0.0)
    open_ = torch.tensor([name not in known for name in videos.ids], dtype=torch.bool)
    per_class, chosen_before = bits.sum(1), torch.zeros(tagged.shape[1], dtype=torch.float64)
    found = []
    for _ in range(min(count, int(open_.sum()))):
        weight = 1 / (1 + chosen_before)
        gain = torch.where(open_, per_class @ weight, -1.0)
        best = int(gain.argmax())
        questions = _questions(videos, best, values[best], bits[best] * weight)
        labels = tuple(videos.spec.classes[c] for c in tagged[best].nonzero()[:, 0].tolist())
        found.append(Suggestion(videos.ids[best], labels, float(gain[best]), questions))
        open_[best] = False
        chosen_before += tagged[best]
    return found


def answered_fully(videos: Split) -> set[str]:
    """Returns the ids of the videos of whose labels everything is known."""
    unknown = (videos.presence < 0) & videos.labels.bool()[:, None]
    complete = (~unknown).all((1, 2)).tolist()
    return {name for name, done in zip(videos.ids, complete, strict=True) if done}


def question_text(found: Sequence[Suggestion], videos: Split) -> str:
    """Returns a sheet of the open questions on suggested videos, for ``rlld data answers``.

    Args:
        found: The suggestions.
        videos: The pool that they come from.
    """
    place = {name: number for number, name in enumerate(videos.ids)}
    unknown = (videos.presence < 0).tolist()
    index = {name: position for position, name in enumerate(videos.spec.classes)}
    return answer_text(
        (each.video, question.label, question.modality, None)
        for each in found
        for question in each.questions
        if unknown[place[each.video]][MODALITIES.index(question.modality)][index[question.label]]
    )


def suggestion_text(found: Sequence[Suggestion]) -> str:
    """Returns suggestions as tab-separated text with a header, the best first."""
    rows = ((each.video, ",".join(each.labels), f"{each.bits:.4f}", each.reason) for each in found)
    return sheet_text([HEADER, *rows])


def _questions(videos: Split, number: int, keep: Tensor, bits: Tensor) -> tuple[Question, ...]:
    """Returns the questions of one video: keep probabilities and worth are (2, C)."""
    labels = videos.labels[number].nonzero()[:, 0].tolist()
    questions = [
        Question(videos.spec.classes[c], modality, float(keep[m, c]), float(bits[m, c]))
        for c in labels
        for m, modality in enumerate(MODALITIES)
    ]
    return tuple(sorted(questions, key=lambda question: -question.bits))
