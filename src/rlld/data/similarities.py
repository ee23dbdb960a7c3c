"""Similarities of segments with prompts, from language-vision and language-audio models.

A data set may carry them in ``scores/SET/SPLIT.safetensors``, packed like features: one tensor per
modality (``audio``, ``visual``), one column per prompt. The set ``classes`` has one prompt per
class, in class order. The set ``combinations`` has one prompt for every combination of the labels
of a video (:func:`combinations`), columns behind its last prompt having no meaning, and besides
``visual_classes``, one visual prompt per class from the same model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations as subsets
from pathlib import Path

import torch
from torch import Tensor

from rlld.data.annotations import WeakAnnotations, read_splits
from rlld.data.checks.stores import verify_store
from rlld.data.published import FeatureFinder
from rlld.data.ragged import padded
from rlld.data.spec import ANNOTATIONS, DataSpec, StreamSpec, read_spec
from rlld.data.split import Split
from rlld.data.store import FeatureError, Store, StoreWriter, read_store
from rlld.errors import RlldError
from rlld.types import MODALITIES
from rlld.utils.console import progress
from rlld.utils.files import owned
from rlld.utils.foreign.arrays import open_array
from rlld.utils.foreign.damage import Told
from rlld.utils.names import inside

TOLD = Told("not a whole .npy file", "make it again")
SHOWN = 5


@dataclass(frozen=True)
class ScoreSpec:
    """Shape of a set of scores in one split; see ``rlld.data.store.Rows``.

    Attributes:
        segments: Segments per video, T.
        streams: Prompts (as ``dim``) by tensor name.
        any_length: Whether each video has a number of segments of its own.
    """

    segments: int
    streams: dict[str, StreamSpec]
    any_length: bool = False

    @property
    def dims(self) -> dict[str, int]:
        """Number of prompts by tensor name."""
        return {name: stream.dim for name, stream in self.streams.items()}


def scores_path(folder: Path, name: str, split: str) -> Path:
    """Returns where a data-set folder keeps a set of scores of a split."""
    return inside(folder / "scores", f"{name}/{split}.safetensors", "set of scores", links=True)


def scores_files(folder: Path) -> list[Path]:
    """Returns the files of all scores of a data-set folder, sorted."""
    return sorted(folder.glob(str(scores_path(Path(), "*", "*"))))


def combinations(labels: Sequence[int]) -> list[tuple[int, ...]]:
    """Returns the label combinations of a video in the order of their prompts.

    All labels together, then each single one, pairs and so on, and at last none (``other``).

    Args:
        labels: Class indices in ascending order.
    """
    smaller = [c for size in range(1, len(labels)) for c in subsets(labels, size)]
    return [*([tuple(labels)] if labels else []), *smaller, ()]


def load_scores(split: Split, name: str, prompts: Mapping[str, int | None]) -> dict[str, Tensor]:
    """Loads a set of scores for the videos of a split.

    Args:
        split: The videos, N of them.
        name: The set: ``classes``, ``combinations`` or another folder of ``scores``.
        prompts: Tensors that are needed, with their number of prompts P where it is known.

    Returns:
        Tensors (N, T, P), float32, on the split's device.

    Raises:
        RlldError: If the data set has no such scores, or they are of other videos or prompts.
    """
    path = _found(split, name)
    store = read_store(path)
    row = {video: number for number, video in enumerate(store.ids)}
    missing = [video for video in split.ids if video not in row]
    if missing:
        raise RlldError(
            f"{path}: no scores of {len(missing)} of the {len(split)} {split.name} videos, first "
            f"{missing[0]!r}; make them again for all videos"
        )
    index = torch.tensor([row[video] for video in split.ids], dtype=torch.int64)
    _require_same_lengths(store, split, index)
    scores = {}
    for tensor, count in prompts.items():
        value = _spread(store, tensor, split.spec)
        wanted = (
            split.spec.segments,
            count if count is not None or value is None else value.shape[2],
        )
        if value is None or tuple(value.shape[1:]) != wanted:
            found = "none" if value is None else f"shape {tuple(value.shape[1:])}"
            raise RlldError(
                f"{path}: tensor {tensor!r}: found {found}, expected {wanted} (segments, prompts); "
                "make these scores again"
            )
        scores[tensor] = value[index].to(split.device, torch.float32)
    return scores


def class_scores(split: Split, name: str) -> Tensor:
    """Loads the scores of the classes of a data set, one prompt each in both modalities.

    Args:
        split: The videos.
        name: Name of the scores.

    Returns:
        (N, T, 2, C), float32, on the split's device.

    Raises:
        RlldError: As ``load_scores``.
    """
    scores = load_scores(split, name, dict.fromkeys(MODALITIES, len(split.spec.classes)))
    return torch.stack([scores[modality] for modality in MODALITIES], 2)


def _require_same_lengths(store: Store, split: Split, index: Tensor) -> None:
    if store.lengths is None:
        if split.lengths is None:
            return
        raise RlldError(f"{store.path}: holds videos of one length; make these scores again")
    full = torch.full((len(split),), split.spec.segments)
    wanted = full if split.lengths is None else split.lengths.cpu()
    wrong = (store.lengths[index] != wanted).nonzero()
    if len(wrong):
        first = int(wrong[0])
        raise RlldError(
            f"{store.path}: {split.ids[first]!r} has {int(store.lengths[index[first]])} segments, "
            f"expected {int(wanted[first])} as its features have; make these scores again"
        )


def _spread(store: Store, tensor: str, spec: DataSpec) -> Tensor | None:
    """Returns a tensor of scores (N, T, P), 0 behind the end of a video."""
    value = store.streams.get(tensor)
    if value is None or store.lengths is None:
        return value
    return padded(value, store.lengths, max(spec.segments, int(store.lengths.max())))


def check_scores(path: Path, spec: DataSpec, weak: WeakAnnotations) -> list[str]:
    """Reads a whole file of scores and says what is wrong with it.

    Args:
        path: The file.
        spec: The data set.
        weak: The videos of its split.

    Returns:
        One sentence per problem; empty when all is well.
    """
    try:
        store = read_store(path)
    except RlldError as error:
        return [str(error).removeprefix(f"{path}: ")]
    problems = []
    missing = sorted(set(weak.ids) - set(store.ids))
    if missing:
        problems.append(
            f"no scores of {len(missing)} of the {len(weak.ids)} videos, first {missing[0]!r}; "
            "make them again for all videos"
        )
    for tensor, least, most in _widths(path.parent.name, spec, weak):
        value = _spread(store, tensor, spec)
        if value is None:
            problems.append(f"tensor {tensor!r} is missing; make these scores again")
        elif value.shape[1] != spec.segments or not least <= value.shape[2] <= most:
            wanted = least if least == most else f"{least} or more"
            problems.append(
                f"tensor {tensor!r}: found shape {tuple(value.shape[1:])}, expected "
                f"({spec.segments}, {wanted}) (segments, prompts); make these scores again"
            )
    return problems + verify_store(store)


def _widths(name: str, spec: DataSpec, weak: WeakAnnotations) -> list[tuple[str, int, float]]:
    """Returns the tensors of a set with their least and largest number of prompts."""
    classes = len(spec.classes)
    if name != "combinations":
        # Sets of other names are prompts of other methods, as a rule one per class too; a set of
        # combinations may bear any name, so that nothing is said of their number.
        most = classes if name == "classes" else math.inf
        return [(modality, classes if name == "classes" else 1, most) for modality in MODALITIES]
    prompts = 2 ** int(weak.labels.sum(1).max(initial=0))
    return [
        *((modality, prompts, math.inf) for modality in MODALITIES),
        ("visual_classes", classes, classes),
    ]


def _found(split: Split, name: str) -> Path:
    path = None if split.folder is None else scores_path(split.folder, name, split.name)
    if path is None or not path.is_file():
        place = f"{path}: " if path else ""
        raise RlldError(
            f"{place}data set {split.spec.name!r} has no scores {name!r} of its {split.name} "
            "videos, which its pseudo labels need; import them with 'rlld data scores', or make a "
            "simulated data set again with 'rlld data simulate'"
        )
    return path


def pack_scores(
    folder: Path, name: str, sources: Mapping[str, Path], report: Callable[[str, int], None]
) -> None:
    """Packs per-video files into a set of scores, for every split whose videos have them.

    Args:
        folder: The data-set folder.
        name: The set.
        sources: Folder of ``.npy`` files (T, P), named like feature files, by tensor name.
        report: Is told the name and the number of videos of every packed split.

    Raises:
        RlldError: If files of training videos are missing, damaged or of different shapes; other
            splits are left out when they have no files at all.
    """
    spec = read_spec(folder)
    with owned(folder):
        _pack(folder, spec, name, sources, report)


def _pack(
    folder: Path,
    spec: DataSpec,
    name: str,
    sources: Mapping[str, Path],
    report: Callable[[str, int], None],
) -> None:
    ids = {split: weak.ids for split, weak in read_splits(folder / ANNOTATIONS, spec).items()}
    rows = _shape(spec, sources)
    finder = FeatureFinder(sources, rows, [video for videos in ids.values() for video in videos])
    for split, videos in ids.items():
        found = {video: finder.find(video) for video in videos}
        if split != "train" and all(not files for files, _ in found.values()):
            continue
        wrong = [f"'{video}' {'; '.join(texts)}" for video, (_, texts) in found.items() if texts]
        _refuse(split, wrong, videos)
        provenance = "; ".join(f"{tensor} from {source}" for tensor, source in sources.items())
        path = scores_path(folder, name, split)
        with (
            StoreWriter(path, split, rows, provenance=provenance) as writer,
            progress(f"packing scores of {split}", len(videos)) as tick,
        ):
            for video, (files, _) in found.items():
                try:
                    read = {tensor: finder.read(tensor, file) for tensor, file in files.items()}
                    writer.add(video, read)
                except FeatureError as error:
                    wrong.append(f"'{video}' {error}")
                tick()
            _refuse(split, wrong, videos)
            writer.finish(videos)
        report(split, len(videos))


def _shape(spec: DataSpec, sources: Mapping[str, Path]) -> ScoreSpec:
    """Reads the number of prompts off the first file of every folder."""
    streams = {}
    for tensor, source in sources.items():
        if not source.is_dir():
            raise RlldError(f"{source}: no such folder; give the folder of the files of {tensor!r}")
        first = min(source.glob("*.npy"), default=None)
        if first is None:
            raise RlldError(f"{source}: holds no .npy file; one per video is expected there")
        shape = open_array(first, TOLD).shape
        if len(shape) != 2 or (shape[0] != spec.segments and not spec.any_length):
            raise RlldError(
                f"{first}: shape {str(shape)[:80]}, expected ({spec.segments}, prompts); one row "
                "per segment"
            )
        streams[tensor] = StreamSpec(shape[1])
    return ScoreSpec(spec.segments, streams, spec.any_length)


def _refuse(split: str, wrong: Sequence[str], videos: Sequence[str]) -> None:
    if wrong:
        shown = "; ".join(wrong[:SHOWN])
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise RlldError(
            f"scores of {len(wrong)} of the {len(videos)} {split} videos cannot be packed: "
            f"{shown}{more}; correct them and run again"
        )
