"""A data set small enough for tests, on which a network learns something all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import rlld
from rlld.data.annotations import write_dense, write_weak
from rlld.data.similarities import scores_path
from rlld.data.spec import FILE_NAME, AnnotationFiles, DataSpec, StreamSpec, spec_text
from rlld.data.store import StoreWriter, store_path
from rlld.synthetic.features.labels import SplitLabels
from rlld.synthetic.features.scores import draw_scores, score_specs
from rlld.training.run_folder import Run
from rlld.utils.compute import Compute

CLASSES = ("Bell", "Drum", "Horse", "Rain")
COUNTS = {"train": 48, "validation": 20, "test": 12}
SPEC = DataSpec(
    name="tiny",
    classes=CLASSES,
    segments=6,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)},
    annotations=AnnotationFiles(truth_audio="truth_audio.csv", truth_visual="truth_visual.csv"),
    features="published",
    overrides={
        "network.hidden": 16,
        "denoiser.hidden": 16,
        "schedule.batch_size": 16,
        "schedule.steps": 3,
        "schedule.learning_rate": 5e-3,
        "denoiser.audio_thresholds": [0.0],
        "denoiser.visual_thresholds": [0.0],
    },
)


def make_tiny(folder: Path, seed: int = 0) -> Path:
    """Writes the data set and returns its folder."""
    rng = np.random.default_rng(seed)
    spec, annotations = SPEC, folder / "annotations"
    annotations.mkdir(parents=True)
    (folder / FILE_NAME).write_text(spec_text(spec))
    prototypes = {
        name: rng.normal(size=(len(CLASSES), stream.dim)) for name, stream in spec.streams.items()
    }
    dense_ids: list[str] = []
    dense_maps = []
    for split, count in COUNTS.items():
        ids = [f"{split}_{number:03d}" for number in range(count)]
        maps = _draw_maps(rng, count)
        noise = np.eye(len(CLASSES), dtype=bool)[rng.integers(len(CLASSES), size=count)]
        weak = (maps.any((1, 2)) | noise).astype(np.uint8)
        write_weak(annotations / getattr(spec.annotations, split), ids, weak, spec.taxonomy)
        if split == "train":
            write_dense(annotations / spec.annotations.truth_audio, ids, maps[:, :, 0], spec)
            write_dense(annotations / spec.annotations.truth_visual, ids, maps[:, :, 1], spec)
        else:
            dense_ids += ids
            dense_maps.append(maps)
        with StoreWriter(store_path(folder, split), split, spec, provenance="tests") as writer:
            for number, name in enumerate(ids):
                writer.add(name, _features(rng, maps[number], prototypes))
            writer.finish(ids)
        _write_scores(folder, split, SplitLabels(tuple(ids), weak, maps), seed)
    joined = np.concatenate(dense_maps)
    write_dense(annotations / spec.annotations.audio, dense_ids, joined[:, :, 0], spec)
    write_dense(annotations / spec.annotations.visual, dense_ids, joined[:, :, 1], spec)
    return folder


def _write_scores(folder: Path, split: str, labels: SplitLabels, seed: int) -> None:
    specs = score_specs(labels)
    prompts = specs["combinations"].dims["audio"]
    # Random numbers of their own: features are the same with and without scores.
    rng = np.random.default_rng((seed, len(labels.ids)))
    scores = draw_scores(labels.weak, labels.events, [], prompts, rng)
    for name, shape in specs.items():
        with StoreWriter(scores_path(folder, name, split), split, shape) as writer:
            for number, video in enumerate(labels.ids):
                writer.add(video, {key: value[number] for key, value in scores[name].items()})
            writer.finish(labels.ids)


def _draw_maps(rng: np.random.Generator, count: int) -> np.ndarray:
    shape = (count, SPEC.segments, 2, len(CLASSES))
    present = rng.random((count, 1, 2, len(CLASSES))) < 0.3
    maps = present & (rng.random(shape) < 0.7)
    # A video without any event would have no weak label but the noisy one; give it one event.
    maps[~maps.any((1, 2, 3)), 0, 0, 0] = True
    return maps


def _features(
    rng: np.random.Generator, maps: np.ndarray, prototypes: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    rows = {}
    for name, vectors in prototypes.items():
        signal = maps[:, 0 if name == "audio" else 1].astype(float) @ vectors
        rows[name] = (signal + 0.3 * rng.normal(size=signal.shape)).astype(np.float32)
    return rows


def quick_labelwise(data: Path, out: Path) -> Run:
    """Trains the label-wise learner as shortly as it goes."""
    settings: dict[str, object] = {"fit": False, "schedule.rounds": 2}
    labelwise = {"folds": 2, "judges": 1, "steps": 5}
    settings |= {f"denoiser.labelwise.{name}": value for name, value in labelwise.items()}
    compute = Compute(device="cpu", threads=1)
    return rlld.train("rlld-labelwise", data, out, compute=compute, overrides=settings)
