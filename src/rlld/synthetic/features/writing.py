"""Makes the folder of a simulated data set."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from rlld.data.similarities import scores_path
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    LLP_FILES,
    LLP_SPEC,
    SPLITS,
    AnnotationFiles,
    DataSpec,
    StreamSpec,
    spec_text,
)
from rlld.data.store import StoreWriter, holds, store_path
from rlld.errors import RlldError
from rlld.synthetic.features.conditions import Conditions
from rlld.synthetic.features.copied import copied_labels
from rlld.synthetic.features.drawn import draw_labels
from rlld.synthetic.features.features import (
    Appearance,
    Floats,
    draw_appearance,
    draw_lift,
    draw_segments,
    lift,
)
from rlld.synthetic.features.labels import SplitLabels, generator, write_annotations
from rlld.synthetic.features.presets import (
    AUDIO,
    DIMENSIONS,
    PRESETS,
    VISUAL,
    WORLD,
    Name,
    Preset,
)
from rlld.synthetic.features.scores import draw_scores, score_specs
from rlld.types import MODALITIES
from rlld.utils.console import ERR, Tick, progress
from rlld.utils.files import held, is_free, sha256, unwritable, write_text
from rlld.utils.names import inside

CHUNK = 256
"""Videos drawn at once, each chunk from random numbers of its own."""

LEVELS = (AUDIO, VISUAL)

LIKE_LLP = Conditions()

# Places of random numbers within a seed.
LABELS, LOOKS, SEGMENTS, LIFTS, CHOICE, SCORES = range(6)

SCORE_DTYPE = "float16"
"""Element type of the scores, whose noise is far above its rounding."""


def simulate(
    out: Path,
    preset: Name,
    *,
    seed: int = 0,
    annotations: Path | None = None,
    videos: tuple[int, int, int] | None = None,
    dtype: str = "float32",
    conditions: Conditions = LIKE_LLP,
) -> DataSpec:
    """Makes a simulated data set; the same arguments give the same bytes.

    Args:
        out: Data-set folder to be made; it may exist if it is empty.
        preset: ``compact`` (two streams of 40 dimensions) or ``llp`` (the published ones).
        seed: Of everything random.
        annotations: Folder of LLP's annotation files to take labels from; drawn from the
            statistics that the package ships when not given.
        videos: Number of training, validation and test videos; LLP's by default. Without
            validation videos the data set has no such split.
        dtype: Element type of the stores: ``float32``, ``float16`` or ``bfloat16``.
        conditions: Noise, classes and missing features.

    Returns:
        The specification, also written to ``dataset.yaml``.

    Raises:
        RlldError: If ``out`` is in use or cannot be written, an argument is out of range, or an
            annotation file is missing or damaged.
    """
    if seed < 0:
        raise RlldError(f"seed: expected a whole number from 0, found {seed}")
    if not out.name:
        raise RlldError(
            f"{out}: a simulated folder is made elsewhere and put in place, which this one cannot "
            "be; give --out the name of a new folder"
        )
    numbers = videos or PRESETS[preset].videos
    if min(numbers[0], numbers[1] + 1, numbers[2]) < 1:
        raise RlldError(f"videos: every split needs at least one but validation, found {numbers}")
    if annotations is not None and conditions.statistics() != LIKE_LLP.statistics():
        raise RlldError(
            f"{annotations}: labels of annotation files have their own noise and classes; leave "
            f"out{conditions}, or the annotation files"
        )
    spec = _spec(preset, conditions, numbers[0], bool(numbers[1]))
    provenance = f"rlld data simulate --preset {preset} --seed {seed}{conditions}"
    with held(out), _folder_aside(out) as aside:
        labels = _labels(spec, annotations, numbers, seed, conditions)
        write_annotations(aside / ANNOTATIONS, labels, spec)
        write_text(aside / FILE_NAME, spec_text(spec))
        if not is_free(out):
            _require_simulated(out, aside, labels, provenance, dtype)
            ERR.print(f"{out}: finished already")
            return spec
        total = sum(len(split.ids) for split in labels.values())
        with progress("simulating videos", total) as tick:
            for number, split in enumerate(SPLITS):
                if split not in labels:
                    continue
                path = store_path(aside, split)
                writer = StoreWriter(path, split, spec, dtype=dtype, provenance=provenance)
                with writer:
                    _write_split(
                        writer, labels[split], PRESETS[preset], seed, number, tick, conditions
                    )
                    writer.finish(labels[split].ids)
                _write_scores(
                    aside, split, labels[split], seed, number, provenance, conditions.groups
                )
        aside.replace(out)
    return spec


def _require_simulated(
    out: Path, aside: Path, labels: dict[str, SplitLabels], provenance: str, dtype: str
) -> None:
    """Requires that a folder holds what this simulation makes; the arrays are not compared."""
    files = [file.relative_to(aside) for file in aside.rglob("*") if file.is_file()]
    same = all(
        inside(out, file.as_posix(), "file").is_file()
        and sha256(inside(out, file.as_posix(), "file"))
        == sha256(inside(aside, file.as_posix(), "file"))
        for file in files
    ) and all(
        holds(store_path(out, split), labels[split].ids, provenance, dtype) for split in labels
    )
    if not same:
        raise RlldError(f"{out}: exists and is no empty folder; give another --out or remove it")


def _spec(preset: Name, conditions: Conditions, videos: int, validated: bool) -> DataSpec:
    chosen = PRESETS[preset]
    files = AnnotationFiles(truth_audio="truth_audio.csv", truth_visual="truth_visual.csv")
    return DataSpec(
        name="-".join(filter(None, ("simulated", preset, conditions.source))),
        classes=conditions.names,
        segments=LLP_SPEC.segments,
        segment_seconds=LLP_SPEC.segment_seconds,
        streams={name: StreamSpec(stream.dim) for name, stream in chosen.streams.items()},
        annotations=files if validated else replace(files, validation=""),
        features="simulated",
        overrides=chosen.settings(videos),
    )


def _labels(
    spec: DataSpec,
    annotations: Path | None,
    videos: tuple[int, int, int],
    seed: int,
    conditions: Conditions = LIKE_LLP,
) -> dict[str, SplitLabels]:
    """Returns the labels of every split that is to have videos."""
    places = [(number, *each) for number, each in enumerate(zip(SPLITS, videos, strict=True))]
    if annotations is not None:
        labels = copied_labels(annotations, LLP_FILES, spec, generator(seed, LABELS))
        return {
            split: _some(labels[split], split, wanted, generator(seed, CHOICE, number))
            for number, split, wanted in places
            if wanted
        }
    statistics = conditions.statistics()
    drawn = {
        split: draw_labels(
            statistics,
            statistics.train if split == "train" else statistics.evaluation,
            tuple(f"{split}_{video:05d}" for video in range(wanted)),
            generator(seed, LABELS, number),
        )
        for number, split, wanted in places
        if wanted
    }
    if conditions.noise == "mirrored":
        return {split: labels.mirrored() for split, labels in drawn.items()}
    return drawn


def _some(labels: SplitLabels, split: str, wanted: int, rng: np.random.Generator) -> SplitLabels:
    """Chooses videos at random, in their order."""
    if wanted > len(labels.ids):
        raise RlldError(
            f"videos: {wanted} {split} videos were asked for, the annotation files hold "
            f"{len(labels.ids)}; ask for at most that many"
        )
    return labels.subset(np.sort(rng.permutation(len(labels.ids))[:wanted]))


def _write_split(
    writer: StoreWriter,
    labels: SplitLabels,
    preset: Preset,
    seed: int,
    place: int,
    tick: Tick,
    conditions: Conditions = LIKE_LLP,
) -> None:
    looks = appearances(conditions)
    lifts = {
        name: draw_lift(stream.dim, generator(WORLD, LIFTS, number))
        for number, (name, stream) in enumerate(preset.streams.items())
        if stream.dim != DIMENSIONS
    }
    for chunk, start in enumerate(range(0, len(labels.ids), CHUNK)):
        rng = generator(seed, SEGMENTS, place, chunk)
        part = slice(start, start + CHUNK)
        drawn = draw_segments(looks, LEVELS, labels.weak[part], labels.events[part], rng)
        segments = [
            rows * (name != conditions.missing)
            for name, rows in zip(MODALITIES, drawn, strict=True)
        ]
        streams = _streams(segments, preset, lifts, rng)
        for row, video in enumerate(labels.ids[part]):
            writer.add(video, {name: value[row] for name, value in streams.items()})
        tick(len(labels.ids[part]))


def _write_scores(
    folder: Path,
    split: str,
    labels: SplitLabels,
    seed: int,
    place: int,
    provenance: str,
    groups: Sequence[Sequence[int]],
) -> None:
    specs = score_specs(labels)
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                StoreWriter(
                    scores_path(folder, name, split),
                    split,
                    spec,
                    dtype=SCORE_DTYPE,
                    provenance=provenance,
                )
            )
            for name, spec in specs.items()
        }
        prompts = specs["combinations"].dims["audio"]
        for chunk, start in enumerate(range(0, len(labels.ids), CHUNK)):
            rng = generator(seed, SCORES, place, chunk)
            part = slice(start, start + CHUNK)
            scores = draw_scores(labels.weak[part], labels.events[part], groups, prompts, rng)
            for row, video in enumerate(labels.ids[part]):
                for name, writer in writers.items():
                    writer.add(video, {key: value[row] for key, value in scores[name].items()})
        for writer in writers.values():
            writer.finish(labels.ids)


def appearances(conditions: Conditions = LIKE_LLP) -> list[Appearance]:
    """Draws what audio and video of the classes look like, the same in all simulations."""
    classes, groups = conditions.classes, conditions.groups
    return [
        draw_appearance(level, classes, groups, generator(WORLD, LOOKS, number))
        for number, level in enumerate(LEVELS)
    ]


def _streams(
    segments: Sequence[Floats], preset: Preset, lifts: dict[str, Floats], rng: np.random.Generator
) -> dict[str, Floats]:
    return {
        name: lift(segments[stream.modality], lifts[name], stream.gain, stream.noise, rng)
        if name in lifts
        else segments[stream.modality]
        for name, stream in preset.streams.items()
    }


@contextmanager
def _folder_aside(out: Path) -> Iterator[Path]:
    """Gives a new folder beside ``out``, to be renamed; it is removed when it still is there."""
    if not (out / FILE_NAME).is_file() and out.exists() and not (out.is_dir() and is_free(out)):
        raise RlldError(f"{out}: exists and is no empty folder; give another --out or remove it")
    aside = out.with_name(f".{out.name}.part")
    try:
        # What a killed run left.
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
    except OSError as error:
        raise unwritable(out, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
