"""A small data set whose videos differ in length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import tiny
from rlld.data.annotations import write_dense, write_weak
from rlld.data.spec import FILE_NAME, DataSpec, spec_text
from rlld.data.store import StoreWriter, store_path

Maps = Mapping[str, Sequence[np.ndarray]]
"""True events (T, 2, C) of every video, by split."""

SPEC = replace(tiny.SPEC, name="any", any_length=True)


def draw_maps(lengths: Mapping[str, Sequence[int]], seed: int = 0) -> Maps:
    """Draws events of one to five segments; every video has one."""
    rng = np.random.default_rng(seed)

    def drawn(segments: int) -> np.ndarray:
        maps = np.zeros((segments, 2, len(SPEC.classes)), bool)
        for label in rng.choice(len(SPEC.classes), 2, replace=False):
            for modality in rng.permutation(2)[: rng.integers(1, 3)]:
                start = rng.integers(segments)
                maps[start : start + rng.integers(1, 6), modality, label] = True
        return maps

    return {split: [drawn(each) for each in own] for split, own in lengths.items()}


def write_set(folder: Path, maps: Maps, spec: DataSpec = SPEC, seed: int = 0) -> Path:
    """Writes a data set with such events, and little noise."""
    rng = np.random.default_rng(seed)
    longest = max(len(each) for own in maps.values() for each in own)
    spec = replace(spec, segments=longest)
    annotations = folder / "annotations"
    annotations.mkdir(parents=True)
    (folder / FILE_NAME).write_text(spec_text(spec))
    prototypes = {
        name: rng.normal(size=(len(spec.classes), dim)) for name, dim in spec.dims.items()
    }
    dense: dict[str, np.ndarray] = {}
    for split, own in maps.items():
        ids = [f"{split}_{number:03d}" for number in range(len(own))]
        weak = np.stack([each.any((0, 1)) for each in own])
        write_weak(annotations / getattr(spec.annotations, split), ids, weak, spec.taxonomy)
        full = {
            name: np.pad(each, ((0, longest - len(each)), (0, 0), (0, 0)))
            for name, each in zip(ids, own, strict=True)
        }
        if split == "train":
            _write_events(annotations, ("truth_audio", "truth_visual"), full, spec)
        else:
            dense |= full
        with StoreWriter(store_path(folder, split), split, spec, provenance="tests") as writer:
            for name, each in zip(ids, own, strict=True):
                rows = {}
                for stream, vectors in prototypes.items():
                    seen = each[:, 0 if stream == "audio" else 1].astype(float) @ vectors
                    rows[stream] = (seen + 0.1 * rng.normal(size=seen.shape)).astype(np.float32)
                writer.add(name, rows)
            writer.finish(ids)
    _write_events(annotations, ("audio", "visual"), dense, spec)
    return folder


def _write_events(
    folder: Path, names: tuple[str, str], maps: dict[str, np.ndarray], spec: DataSpec
) -> None:
    for modality, name in enumerate(names):
        events = np.stack([each[:, modality] for each in maps.values()])
        write_dense(folder / getattr(spec.annotations, name), list(maps), events, spec)
