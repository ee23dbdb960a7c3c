"""What a trained denoiser says of every label: keep or remove, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.denoisers.base import Denoiser
from rlld.evaluation.scoring import keep_probabilities
from rlld.metrics.noise_detection import THRESHOLD, DenoisingReport, denoising_report
from rlld.training.facts import LEARNT_NOTE, REWARD_NOTE, SUPERVISION_NOTE
from rlld.training.run_folder import Run, load_denoiser, load_held_out
from rlld.training.validation import partition
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text

SCORE_NOTES = (REWARD_NOTE, LEARNT_NOTE, SUPERVISION_NOTE)
"""Remarks on validation scores, not on labels."""
HEADER = ("filename", "event_labels", "modality", "keep_probability", "decision")


@dataclass(frozen=True)
class Verdict:
    """What the denoiser says of one label in one modality.

    Attributes:
        video: Video id.
        label: Class name.
        modality: ``audio`` or ``visual``.
        keep: Probability that the label is kept.
        present: Whether the event truly occurs in the modality; None where unknown.
    """

    video: str
    label: str
    modality: str
    keep: float
    present: bool | None = None

    @property
    def decision(self) -> str:
        """``keep`` or ``remove``."""
        return "keep" if self.keep >= THRESHOLD else "remove"

    @property
    def right(self) -> bool | None:
        """Whether the decision agrees with the true events; None where they are unknown."""
        return None if self.present is None else self.present == (self.decision == "keep")


def verdicts(videos: Split, keep: Tensor) -> list[Verdict]:
    """Returns a verdict for each weak label and modality, in the order of the videos.

    Args:
        videos: The videos.
        keep: Keep probabilities (N, 2, C).
    """
    values, presence = keep.tolist(), true_presence(videos).tolist()
    known = {0: False, 1: True}
    return [
        Verdict(
            videos.ids[number],
            videos.spec.classes[label],
            modality,
            values[number][index][label],
            known.get(presence[number][index][label]),
        )
        for number, label in videos.labels.nonzero().tolist()
        for index, modality in enumerate(MODALITIES)
    ]


def verdict_text(rows: Sequence[Verdict]) -> str:
    """Returns the verdicts as tab-separated text with a header."""
    cells = ((row.video, row.label, row.modality, f"{row.keep:.6f}", row.decision) for row in rows)
    return sheet_text([HEADER, *cells])


@dataclass(frozen=True)
class Suspect:
    """A label that the denoiser would rather remove.

    Attributes:
        verdict: The label and its keep probability.
        other: Keep probability of the same label in the other modality.
        rank: Its place among the labels of its class and modality, 1 is the most suspect;
            labels of one keep probability share the better place.
        labels: Labels of its class.
        removed: Labels of its class and modality that are removed.
    """

    verdict: Verdict
    other: float
    rank: int
    labels: int
    removed: int

    def __str__(self) -> str:
        row = self.verdict
        return f"{row.video}  {row.label}  {row.modality}  keep {row.keep:.3f}  {self.reason}"

    @property
    def reason(self) -> str:
        """What speaks against the label, in one sentence."""
        modality = self.verdict.modality
        opposite = MODALITIES[1 - MODALITIES.index(modality)]
        stays = "keeps" if self.other >= THRESHOLD else "doubts"
        kind = f"{modality} {self.verdict.label} labels"
        place = f"rank {self.rank} of {self.labels} {kind}, {self.removed or 'none'} of which go"
        if self.removed == self.labels:
            place = f"all {self.labels} {kind} go"
        return f"{opposite} {stays} it ({self.other:.2f}); {place}"


def judges_labels(run: Run) -> bool:
    """Returns whether the denoiser of a run says of every label how probably it is kept."""
    kind = type(run.recipe.build_denoiser(run.spec))
    return (
        kind.keep_probability is not Denoiser.keep_probability
        and kind.networks is not Denoiser.networks
    )


def suspects(rows: Sequence[Verdict], count: int) -> list[Suspect]:
    """Returns the most suspect labels, the lowest keep probability first.

    Equal probabilities keep the order of the videos.

    Args:
        rows: All verdicts of a split.
        count: How many to return at most.
    """
    keep = {(row.video, row.label, row.modality): row.keep for row in rows}
    labels = Counter((row.label, row.modality) for row in rows)
    removed = Counter((row.label, row.modality) for row in rows if row.decision == "remove")
    seen: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str, float], int] = {}
    found = []
    for row in sorted(rows, key=lambda row: row.keep)[:count]:
        kind = (row.label, row.modality)
        seen[kind] += 1
        rank = places.setdefault((*kind, row.keep), seen[kind])
        opposite = MODALITIES[1 - MODALITIES.index(row.modality)]
        other = keep[row.video, row.label, opposite]
        found.append(Suspect(row, other, rank, labels[kind], removed[kind]))
    return found


def true_presence(videos: Split) -> Tensor:
    """Returns what is known of every event (N, 2, C), int8: 1 present, 0 absent, -1 unknown.

    Everything is known of simulated training videos and of videos with dense annotation, single
    labels where there are bare answers.
    """
    return videos.presence if videos.truth is None else videos.truth.any(1).to(torch.int8)


def label_report(videos: Split, keep: Tensor) -> DenoisingReport:
    """Measures keep probabilities by modality and class.

    Args:
        videos: The videos; where their true events are unknown, only removals are counted. Those
            of training videos are taken from a simulation alone: answers are obeyed, not predicted.
        keep: Keep probabilities (N, 2, C).
    """
    presence, classes = true_presence(videos), videos.spec.classes
    known = presence >= 0
    if (videos.name == "train" and videos.truth is None) or not known.any():
        return denoising_report(keep, videos.labels, None, classes)
    return denoising_report(keep, videos.labels, (presence > 0)[:, None], classes, known=known)


def cross_checked(run: Run, splits: Sequence[Split]) -> DenoisingReport | None:
    """Measures on the videos that taught the policy, each judged by one that it did not teach.

    It tells how good the cleaning is where the true events of the cleaned videos are unknown.

    Args:
        run: The run.
        splits: Splits of its data set; only videos that taught are looked at.

    Returns:
        The measures; None where the run keeps no held-out probabilities of these videos.
    """
    held_out = load_held_out(run)
    keep, labels, presence = [], [], []
    for split in splits:
        found = split.presence.cpu()
        for number, name in enumerate(split.ids):
            if name in held_out:
                keep.append(held_out[name])
                labels.append(split.labels[number].cpu())
                presence.append(found[number])
    if not keep:
        return None
    known = torch.stack(presence)
    return denoising_report(
        torch.stack(keep),
        torch.stack(labels),
        (known > 0)[:, None],
        run.spec.classes,
        known=known >= 0,
    )


def measure(videos: Split, keep: Tensor) -> dict[str, dict[str, Any]] | None:
    """Returns ``label_report`` by modality, JSON-ready; None where no true events are known.

    Args:
        videos: The videos; ``truth`` of training videos or ``dense`` of annotated ones is used.
        keep: Keep probabilities (N, 2, C).
    """
    report = label_report(videos, keep)
    return report.as_dict() if report.known else None


@dataclass(frozen=True)
class Judged:
    """Keep probabilities of a split, and what to know of them.

    Attributes:
        keep: (N, 2, C); values without a weak label have no meaning.
        notes: Whether these labels taught the policy, and the remarks of the run.
    """

    keep: Tensor
    notes: tuple[str, ...]


def judge(run: Run, videos: Split) -> Judged:
    """Lets the denoiser of a run judge the labels of a split.

    Validation videos that taught the policy are judged by policies that did not see their
    annotation where the run keeps such probabilities (``held_out.safetensors``).

    Args:
        run: A run whose denoiser learns keep probabilities.
        videos: The videos, on the run's device.

    Raises:
        RlldError: If the run's denoiser learns no keep probabilities.
    """
    keep = keep_probabilities(run, videos)
    notes = [note for note in run.facts.get("notes", ()) if note not in SCORE_NOTES]
    taught = teachers(run, videos)
    if not taught:
        return Judged(keep, tuple(notes))
    if videos.name == "train":
        return Judged(keep, (_obeyed(len(taught)), *notes))
    held_out = load_held_out(run)
    crossed = [name for name in taught if name in held_out]
    place = {name: number for number, name in enumerate(videos.ids)}
    for name in crossed:
        keep[place[name]] = held_out[name].to(keep)
    return Judged(keep, (_teaching(len(taught), len(crossed), len(videos)), *notes))


def teachers(run: Run, videos: Split) -> list[str]:
    """Returns the ids of the videos whose annotation taught the policy of a run.

    Args:
        run: The run.
        videos: A split; none of the test split has taught.
    """
    if videos.name == "test":
        return []
    taught = set(load_held_out(run))
    if videos.name == "validation" and videos.dense is not None:
        denoiser = load_denoiser(run)
        if denoiser.learns_from_validation or denoiser.wants_feedback:
            rule = run.recipe.selection
            reward, _ = partition(videos, rule.reward_share, run.facts["seed"], rule.annotated)
            taught.update(reward.ids)
    return [name for name in videos.ids if name in taught]


def _obeyed(answered: int) -> str:
    return (
        f"answers on {answered} of these videos taught the policy; the labels that they speak of "
        "are kept or removed as answered"
    )


def _teaching(taught: int, crossed: int, videos: int) -> str:
    whom = f"{taught} of these {videos} videos" if taught < videos else "these videos"
    if crossed == taught:
        return (
            f"the annotation of {whom} taught the policy; their labels were judged by "
            "policies that did not see it (cross-validated), so the figures are a measurement"
        )
    return (
        f"the annotation of {whom} taught the policy that judges their labels, so the "
        "figures are a training signal, not a measurement; measure on the test split"
    )
