"""What a trained denoiser says of every label: keep or remove, and how sure it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rlld.data.split import Split
from rlld.metrics.denoising import removal
from rlld.types import MODALITIES

THRESHOLD = 0.5
HEADER = ("filename", "event_labels", "modality", "keep_probability", "decision")


@dataclass(frozen=True)
class Verdict:
    """What the denoiser says of one label in one modality.

    Attributes:
        video: Video id.
        label: Class name.
        modality: ``audio`` or ``visual``.
        keep: Probability that the label is kept.
    """

    video: str
    label: str
    modality: str
    keep: float

    @property
    def decision(self) -> str:
        """``keep`` or ``remove``."""
        return "keep" if self.keep >= THRESHOLD else "remove"


def verdicts(videos: Split, keep: Tensor) -> Iterator[Verdict]:
    """Yields a verdict for each weak label and modality, in the order of the videos.

    Args:
        videos: The videos.
        keep: Keep probabilities (N, 2, C).
    """
    values = keep.tolist()
    for number, label in videos.labels.nonzero().tolist():
        for index, modality in enumerate(MODALITIES):
            name = videos.spec.classes[label]
            yield Verdict(videos.ids[number], name, modality, values[number][index][label])


def verdict_text(rows: list[Verdict]) -> str:
    """Returns the verdicts as tab-separated text with a header."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow((row.video, row.label, row.modality, f"{row.keep:.6f}", row.decision))
    return text.getvalue()


def measure(videos: Split, keep: Tensor) -> dict[str, dict[str, float]] | None:
    """Measures the decisions where the true events are known.

    Args:
        videos: The videos; ``truth`` of training videos or ``dense`` of annotated ones is used.
        keep: Keep probabilities (N, 2, C).

    Returns:
        ``Removal.as_dict`` by modality, None where no true events are known.
    """
    truth = videos.truth if videos.truth is not None else videos.dense
    if truth is None:
        return None
    found: dict[str, Any] = removal(keep >= THRESHOLD, videos.labels, truth)
    return {name: value.as_dict() for name, value in found.items()}
