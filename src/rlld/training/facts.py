"""What a run folder records of a finished run, and what a reader of its scores must know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from rlld.data.dataset import DataSet
from rlld.data.spec import Modalities
from rlld.data.split import Split
from rlld.data.store import ids_hash
from rlld.metrics.tags import TAGS
from rlld.training.trainer import Trainer

REWARD_NOTE = (
    "validation labels rewarded the denoiser, so validation scores of this run are a training "
    "signal, not a measurement"
)
LEARNT_NOTE = (
    "the denoiser was fitted to validation labels, so validation scores of this run are not a "
    "measurement"
)
SUPERVISION_NOTE = (
    "the task network was trained on validation labels too, so validation scores of this run are "
    "not a measurement"
)
TAGS_NOTE = (
    "the validation split has no dense annotation, so weights were selected by its tags (mean "
    "average precision)"
)
LANES_NOTES: Mapping[Modalities, str] = {
    "joint": (
        "the events of this data set are known only where they are heard and seen at once, so "
        "audio and visual scores by themselves measure nothing, nor do Type and Event"
    ),
    "audio": (
        "the events of this data set are known only where they are heard, so scores other than "
        "audio ones measure nothing"
    ),
}
LAST_NOTE = "there is no validation split, so the weights of the last update were kept"
LABELS = "training_labels"
"""The fact that tells which labels a run was trained on: their ``labels_hash``."""


def run_facts(
    trainer: Trainer, data: DataSet, seconds: float, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what a run folder records of a finished run, without its seed."""
    best = trainer.best
    return {
        "data": str(data.folder.resolve()),
        "training_videos": trainer.videos,
        LABELS: labels_hash(trainer.train),
        "teaching_videos": _teaching_videos(trainer),
        "updates": trainer.updates,
        "selected_round": best["round"],
        "selected_updates": best["updates"],
        "selected_parts": trainer.parts.rounds(),
        "validation": best["scores"],
        "trained_parameters": trainer.trained_parameters,
        "seconds": seconds,
        "compute": dict(record),
        "notes": _notes(trainer),
    }


def labels_hash(videos: Split) -> str:
    """Returns 16 hexadecimal digits for the ids of videos and their tags, in order."""
    tags = videos.labels.bool().cpu().numpy().tobytes()
    return hashlib.sha256(ids_hash(videos.ids).encode() + tags).hexdigest()[:16]


def _teaching_videos(trainer: Trainer) -> int:
    reward = [trainer.reward.split] if trainer.reward else []
    return sum(int(split.annotated.sum()) for split in (*reward, trainer.train))


def _notes(trainer: Trainer) -> list[str]:
    notes = []
    if trainer.denoiser.wants_feedback:
        notes.append(REWARD_NOTE)
    elif trainer.denoiser.learns_from_validation:
        notes.append(LEARNT_NOTE)
    if trainer.teachers is not None:
        notes.append(SUPERVISION_NOTE)
    if trainer.rule != trainer.recipe.selection:
        notes.append(TAGS_NOTE if trainer.rule.score == TAGS else LAST_NOTE)
    if trainer.train.spec.modalities in LANES_NOTES:
        notes.append(LANES_NOTES[trainer.train.spec.modalities])
    if trainer.recipe.gate.judged and not trainer.denoiser.networks():
        notes.append(
            f"gate.judged asks for a policy, denoiser {trainer.recipe.denoiser.name} learns none: "
            "the network decides alone"
        )
    return [*notes, *trainer.network.notes(), *trainer.denoiser.notes()]
