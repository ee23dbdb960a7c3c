"""Labels of one simulated split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import write_dense, write_weak
from rlld.data.spec import SPLITS, DataSpec, annotation_file


@dataclass(frozen=True)
class SplitLabels:
    """Labels and events of a split.

    Attributes:
        ids: Video ids, N of them.
        weak: Weak labels (N, C), 0 or 1, uint8.
        events: True events (N, T, 2, C), bool; modality 0 is audio, 1 visual.
    """

    ids: tuple[str, ...]
    weak: NDArray[np.uint8]
    events: NDArray[np.bool_]

    def subset(self, index: NDArray[np.int64]) -> SplitLabels:
        """Returns the videos at ``index`` (n,)."""
        ids = tuple(self.ids[i] for i in index)
        return SplitLabels(ids, self.weak[index], self.events[index])

    def mirrored(self) -> SplitLabels:
        """Returns the same videos with what is heard to be seen, and what is seen to be heard."""
        return SplitLabels(self.ids, self.weak, np.ascontiguousarray(self.events[:, :, ::-1]))


def generator(seed: int, *place: int) -> np.random.Generator:
    """Returns the random numbers of one place of a simulation, independent of all other places.

    Args:
        seed: Seed of the simulation.
        place: Whole numbers that name the place, such as split and chunk.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=place)))


def write_annotations(folder: Path, labels: Mapping[str, SplitLabels], spec: DataSpec) -> None:
    """Writes the weak files, the dense files of validation and test, and the training truth."""
    files = spec.annotations
    weak = zip(SPLITS, (files.train, files.validation, files.test), strict=True)
    for split, name in ((split, name) for split, name in weak if name):
        write_weak(
            annotation_file(folder, name), labels[split].ids, labels[split].weak, spec.taxonomy
        )
    for names, splits in (
        ((files.audio, files.visual), SPLITS[1:]),
        ((files.truth_audio, files.truth_visual), SPLITS[:1]),
    ):
        known = [labels[split] for split in splits if split in labels]
        ids = [video for split in known for video in split.ids]
        events = np.concatenate([split.events for split in known])
        for modality, name in enumerate(names):
            write_dense(annotation_file(folder, name), ids, events[:, :, modality], spec)
