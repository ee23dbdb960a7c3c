"""Networks of one line, and features that are their answer, for tests of windows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.metrics.gates import Gate
from rlld.parsing.result import Event
from rlld.types import Prediction

CLASSES = ("Crow", "Owl", "Wren")
GATES = (
    Gate(),
    Gate("video", "video", 0.4, 0.4, 0.45),
    Gate(segment_threshold=0.4, smoothing=0.25),
)


def pooling(streams: Mapping[str, Tensor]) -> Prediction:
    """A network whose answer depends on the whole window."""
    audio, visual = streams["audio"], streams["visual_2d"]
    segment = torch.stack([audio, visual], 2) * 0.9 + 0.1 * audio.mean(1)[:, None, None]
    return Prediction(segment, audio.mean(1), visual.mean(1), (audio + visual).mean(1) / 2)


def features(seed: int, segments: int) -> Tensor:
    """Probabilities (S, 2, C) that stay high or low for a while."""
    generator = np.random.default_rng(seed)
    level = generator.random((segments, 2, len(CLASSES)))
    stay = generator.random(level.shape) < generator.choice((0.3, 0.8))
    for row in range(1, segments):
        level[row] = np.where(stay[row], level[row - 1], level[row])
    return torch.from_numpy(level).float()


def streams(values: Tensor) -> dict[str, Tensor]:
    return {"audio": values[:, 0], "visual_2d": values[:, 1]}


def spec_of(length: int) -> DataSpec:
    return DataSpec("live", CLASSES, length, 0.5)


def key(event: Event) -> tuple[str, str, float, float]:
    return event.label, event.modality, event.start, event.end
