"""How well events are found by names alone, on scores of a data set whose events are known.

The scores of a data set are those of ``rlld data scores``, or drawn ones where it is simulated: the
same for all rows. Nothing is trained. Audio-visual is what is both, whatever a rule says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rlld.bench.page import Block, Page
from rlld.bench.titles import titled
from rlld.data.dataset import load_split
from rlld.data.similarities import class_scores
from rlld.data.spec import read_spec, weak_files
from rlld.data.split import Split
from rlld.denoisers.valor import AUDIO_THRESHOLDS, VISUAL_THRESHOLDS
from rlld.metrics.scores import NAMES, Scorer, Scores
from rlld.open_classes.calibrated import Calibrated, CalibratedRule, Taught
from rlld.open_classes.published import Published
from rlld.open_classes.similarities import Array, Found, Similarities, from_scores
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text

SIMULATED = "simulated"
COMMON = 1.5
"""Spread of what all logits of a drawn clip have in common."""
SEED = 0
GROUPS = {"each clip alone": 1, "ten together": 10}
"""How many clips are parsed together, besides all."""


@dataclass(frozen=True)
class Row:
    """What one way of finding events comes to.

    Attributes:
        data: The data set, and what was done to its scores.
        way: The way.
        scores: The ten scores on its test videos.
    """

    data: str
    way: str
    scores: Scores


def measure(folders: Sequence[Path], name: str) -> list[Row]:
    """Returns the rows of every data set.

    Args:
        folders: Data-set folders with annotated test videos.
        name: Their set of scores, one prompt per class.

    Raises:
        RlldError: If a data set has no such scores, or its test videos no annotation.
    """
    rows = []
    for called, folder in titled(folders).items():
        test, validation = (_split(folder, split) for split in ("test", "validation"))
        known = None if validation is None else validation.dense
        drawn = test is not None and test.spec.features == SIMULATED
        if test is None:
            continue
        truth = test.require_dense()
        for title, move in _conditions(drawn):
            clips = compared(test, name, move)
            others = compared(validation, name, move) if validation and known is not None else []
            told = [] if known is None else list(known.numpy())
            for way, found in _ways(clips, others, told, test.spec.classes).items():
                maps = torch.from_numpy(_maps(found, truth.shape))
                rows.append(Row(f"{called}{title}", way, Scorer(truth).scores(maps)))
    return rows


def _split(folder: Path, name: str) -> Split | None:
    return load_split(folder, name) if name in weak_files(read_spec(folder)) else None


Move = Callable[[Array], Array]


def _conditions(drawn: bool) -> list[tuple[str, Move]]:
    """Returns what is done to scores (N, T, 2, C), with what is added to the title."""
    if not drawn:
        return [("", lambda scores: scores)]
    return [(", as drawn", lambda scores: scores), (", offset", offset)]


def offset(scores: Array) -> Array:
    """Adds to drawn logits what real ones have: an offset per class, and one per clip.

    Those of classes are VALOR's published thresholds about their mean, which tell where the logits
    of each class of LLP divide; drawn logits divide at 0.

    Args:
        scores: (N, T, 2, C).
    """
    random = np.random.default_rng(SEED)
    classes = scores.shape[3]
    limits = np.array([AUDIO_THRESHOLDS, VISUAL_THRESHOLDS])
    limits = np.resize(limits - limits.mean(1, keepdims=True), (2, classes))
    moved: Array = scores + limits + COMMON * random.normal(size=(len(scores), 1, 2, 1))
    return moved


def compared(split: Split, name: str, move: Move = lambda scores: scores) -> list[Similarities]:
    """Returns the clips of a split as their scores have it.

    Args:
        split: The videos.
        name: The set of scores.
        move: What is done to the scores (N, T, 2, C).
    """
    every = move(class_scores(split, name).double().cpu().numpy())
    batch = split.all()
    pictures = torch.nn.functional.normalize(batch.streams["visual_2d"].double(), dim=-1)
    steady = (pictures[:, :-1] * pictures[:, 1:]).sum(-1).cpu().numpy()
    full = torch.full((len(split),), split.spec.segments)
    lengths = (full if split.lengths is None else split.lengths).tolist()
    return [
        from_scores(scores[:count, 0], scores[:count, 1], alike[: count - 1])
        for scores, alike, count in zip(every, steady, lengths, strict=True)
    ]


def _ways(
    clips: list[Similarities],
    others: list[Similarities],
    known: Sequence[NDArray[np.bool_]],
    classes: Sequence[str],
) -> dict[str, list[Found]]:
    """Returns what each way finds in the clips."""
    config = Calibrated()
    ours = CalibratedRule(config, classes)
    found = {
        "threshold on similarity": Threshold(config, classes)(clips),
        "published (AV2A)": Published()(clips),
        **{
            f"calibrated, {told}": [
                each
                for start in range(0, len(clips), size)
                for each in ours(clips[start : start + size])
            ]
            for told, size in GROUPS.items()
        },
        "calibrated, all together": ours(clips),
    }
    if others:
        held = {
            number: maps[: len(clip)]
            for number, (clip, maps) in enumerate(zip(others, known, strict=True))
        }
        rule = CalibratedRule(config, classes, held)
        found["calibrated, with annotated validation"] = rule([*others, *clips])[len(others) :]
        heard, seen = (rule.learned(others, modality) for modality in range(len(MODALITIES)))
        taught = Taught((heard, seen), np.ones(len(classes), bool))
        alone = CalibratedRule(config, classes, taught=taught)
        found["calibrated by annotated validation, each clip alone"] = alone(clips)
    return found


class Threshold:
    """The plain baseline: so many of the highest similarities of a track as events are expected.

    Args:
        config: Says how many.
        classes: The class names.
    """

    def __init__(self, config: Calibrated, classes: Sequence[str]) -> None:
        self._shares = [config.share(classes, number).mean() for number in range(len(MODALITIES))]

    def __call__(self, clips: Sequence[Similarities]) -> list[Found]:
        """Finds the events of the clips of a collection."""
        limits = [
            np.nanquantile(np.concatenate([clip.part(number) for clip in clips]), 1 - share)
            for number, share in enumerate(self._shares)
        ]
        result = []
        for clip in clips:
            heard, seen = (clip.part(number) > limit for number, limit in enumerate(limits))
            active = np.stack([heard, seen, heard & seen])
            result.append(Found(active, active.astype(float)))
        return result


def _maps(found: Sequence[Found], shape: torch.Size) -> NDArray[np.bool_]:
    """Returns the maps of both tracks (N, T, 2, C), False behind the end of a clip."""
    maps = np.zeros(tuple(shape), bool)
    for row, clip in zip(maps, found, strict=True):
        row[: clip.active.shape[1]] = clip.active[:2].swapaxes(0, 1)
    return maps


def page(rows: Sequence[Row], command: str) -> Page:
    """Returns the rows as tables for the terminal and for files."""
    heads = ("found by", *NAMES, "mean")
    blocks = tuple(
        Block(
            data,
            tuple(head.replace("_", " ") for head in heads),
            tuple((r.way, *(f"{v:.1f}" for v in _values(r))) for r in rows if r.data == data),
        )
        for data in dict.fromkeys(row.data for row in rows)
    )
    cells = [[row.data, row.way, *(f"{v:.4f}" for v in _values(row))] for row in rows]
    return Page(
        title="Events found by the names of classes",
        command=command,
        blocks=blocks,
        remarks=(
            "Nothing is trained; audio-visual is what is both. Drawn scores: rlld's simulation of "
            "CLIP and CLAP, not these models. Offset: with VALOR's published thresholds as offsets "
            "of classes, and one per clip.",
        ),
        sheet=sheet_text([["data", *heads], *cells], ","),
        report={"rows": [{"data": r.data, "way": r.way, **r.scores.as_dict()} for r in rows]},
    )


def _values(row: Row) -> list[float]:
    return [*row.scores.as_dict().values(), row.scores.mean]
