"""Golden cases of AV2A: thresholds and events of made clips."""

from __future__ import annotations

from pathlib import Path

import common
import numpy as np
from common import Case, Expected, Runner

from rlld.open_classes.published import Published
from rlld.open_classes.similarities import TRACKS, Similarities

TOLERANCE = 1e-9
"""Both sides count in float64."""


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def vectors(case: Case) -> dict[str, np.ndarray]:
    """Returns the made embeddings of words, pictures and sounds."""
    drawn = {name: value.double().numpy() for name, value in common.inputs(case).items()}
    made = {}
    for modality in ("audio", "visual"):
        texts = unit(drawn[f"{modality}_text"])
        segments = len(drawn[f"{modality}_noise"])
        first, last = np.sort(segments * drawn[f"{modality}_times"], axis=0)
        time = np.arange(segments)[:, None]
        held = (drawn[f"{modality}_held"] > 0) & (time + 1 > first) & (time < last)
        made[f"text_{modality}"] = texts
        made[modality] = unit(held @ texts + 0.25 * drawn[f"{modality}_noise"])
    return made


def parse(case: Case, expected: Expected, _: Path) -> None:
    """The scores of segments, and the events that stay."""
    made = vectors(case)
    steady = (made["visual"][:-1] * made["visual"][1:]).sum(1)
    alike = [made[modality] @ made[f"text_{modality}"].T for modality in ("audio", "visual")]
    (found,) = Published(**case["settings"])([Similarities(*alike, steady)])
    for track, scores, active in zip(TRACKS, found.scores, found.active, strict=True):
        common.close(f"{track}_scores", scores, expected[f"{track}_scores"], TOLERANCE)
        common.close(f"{track}_events", active, expected[f"{track}_events"], 0)


RUNNERS: dict[str, Runner] = {"av2a": parse}
