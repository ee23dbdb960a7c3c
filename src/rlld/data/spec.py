"""What a data set is made of: ``dataset.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from rlld.errors import RlldError
from rlld.taxonomy import LLP, Taxonomy
from rlld.types import STREAMS, Modality
from rlld.utils.config import YOUNG, Width, from_dict, read_yaml, to_dict
from rlld.utils.names import inside, require_name

FILE_NAME = "dataset.yaml"
ANNOTATIONS = "annotations"
"""Folder of the annotation files inside a data-set folder."""
VIDEOS = "videos"
"""Folder of its clips."""

PUBLISHED = "published"
"""What features are called that were not extracted from clips here."""
SPLITS = ("train", "validation", "test")
Modalities = Literal["separate", "joint", "audio"]
"""What the events of a data set tell: which are heard and which are seen, which are both at once,
or which are heard."""
LANES: tuple[Modality, ...] = ("audio", "visual", "audio_visual")
"""What events are perceived in: either track, or both at once."""
KNOWN: Mapping[Modalities, tuple[str, ...]] = {
    "separate": LANES,
    "joint": ("audio_visual",),
    "audio": ("audio",),
}
"""Which of them are known."""
SHORT = ("borrow", "none")
"""Words that ``priors`` may be."""


@dataclass(frozen=True)
class StreamSpec:
    """One feature stream.

    Attributes:
        dim: Feature dimensions of one segment.
        folder: Folder of its per-video ``.npy`` files in the published layout.
        frames: Rows per segment in those files; they are averaged while packing.
    """

    dim: Width
    folder: str = ""
    frames: Width = 1


@dataclass(frozen=True)
class AnnotationFiles:
    """Names of the annotation files inside the annotation folder.

    Attributes:
        train: Weak labels of the training videos.
        validation: Weak labels of the validation videos; empty when there are none.
        test: Weak labels of the test videos; empty when there are none.
        audio: Dense audible events of validation and test videos; empty when unknown.
        visual: Dense visible events of validation and test videos; empty when unknown.
        truth_audio: Audible events of the training videos, known in simulations only and used
            for measuring alone; empty when unknown.
        truth_visual: The same for visible events.
        answers: Bare answers on training and validation videos, which teach how to clean labels;
            empty when there are none.
    """

    train: str = "train.csv"
    validation: str = "validation.csv"
    test: str = "test.csv"
    audio: str = "audio.csv"
    visual: str = "visual.csv"
    truth_audio: str = ""
    truth_visual: str = ""
    answers: str = ""


@dataclass(frozen=True)
class Priors:
    """What a person who knows the classes says about tags that are wrong for a modality.

    Attributes:
        audio: Share of a class's tags whose event is not heard, in [0, 1], by class name.
        visual: Share of a class's tags whose event is not seen (off screen).
        borrow: Whether classes without a share take that of similar classes of other data sets
            (``rlld.data.rates``).
        tags: How the tags were found: those that somebody ``heard`` are right for the sound
            track, those that somebody has ``seen`` for the picture.
    """

    audio: dict[str, float] = field(default_factory=dict)
    visual: dict[str, float] = field(default_factory=dict)
    borrow: bool = field(default=True, metadata=YOUNG)
    tags: Literal["heard", "seen", "unknown"] = field(default="unknown", metadata=YOUNG)

    def only(self, classes: Collection[str]) -> Priors:
        """Returns those of some classes."""
        kept = [
            {name: rate for name, rate in rates.items() if name in classes}
            for rates in (self.audio, self.visual)
        ]
        return replace(self, audio=kept[0], visual=kept[1])


LLP_FILES = AnnotationFiles(
    "AVVP_train.csv",
    "AVVP_val_pd.csv",
    "AVVP_test_pd.csv",
    "AVVP_eval_audio.csv",
    "AVVP_eval_visual.csv",
)


@dataclass(frozen=True)
class DataSpec:
    """A data set, except its contents.

    Attributes:
        name: Its name in reports.
        classes: Class names in index order.
        segments: Segments per video, T; with ``any_length`` those of the longest.
        segment_seconds: Length of a segment in seconds.
        streams: Feature streams by name (``audio``, ``visual_2d``, ``visual_3d``; the last is
            optional); none before ``rlld extract`` has set them.
        annotations: Names of the annotation files.
        features: Where the features come from: an extractor of ``rlld extract`` (``light``),
            ``published`` for features made elsewhere, ``simulated``.
        features_version: Hash of the extractors and of all their parameters, weights included;
            empty when rlld did not extract the features. A run parses clips with this version only.
        overrides: Dotted recipe settings that this data set needs (a smaller network, another
            learning rate); applied to every recipe before the user's own overrides.
        priors: Rough shares of wrong tags, for cleaning labels without annotated videos.
        any_length: Whether each video has as many segments as it lasts, none cut or filled.
        modalities: Whether its events are known of each track (``separate``), only where they are
            heard and seen at once (``joint``; the files of both tracks say the same), or only where
            they are heard (``audio``). Scores of what is not known are not shown.

    Raises:
        RlldError: If a value is out of range or a needed stream is missing.
    """

    name: str
    classes: tuple[str, ...]
    segments: Width
    segment_seconds: float = 1.0
    streams: dict[str, StreamSpec] = field(default_factory=dict)
    annotations: AnnotationFiles = field(default_factory=AnnotationFiles)
    features: str = PUBLISHED
    features_version: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)
    priors: Priors = field(default_factory=Priors)
    any_length: bool = field(default=False, metadata=YOUNG)
    modalities: Modalities = field(default="separate", metadata=YOUNG)

    def __post_init__(self) -> None:
        Taxonomy(self.classes)
        if self.segments < 1 or self.segment_seconds <= 0:
            raise RlldError(
                f"data set {self.name!r}: segments and segment_seconds must be positive, found "
                f"{self.segments} and {self.segment_seconds}"
            )
        for stream, spec in self.streams.items():
            if stream not in STREAMS:
                raise RlldError(
                    f"data set {self.name!r}: unknown stream {stream!r}; known: "
                    f"{', '.join(STREAMS)}"
                )
            if spec.dim < 1 or spec.frames < 1:
                raise RlldError(
                    f"data set {self.name!r}: stream {stream!r} needs positive dim and frames, "
                    f"found {spec.dim} and {spec.frames}"
                )
        for modality, rates in (("audio", self.priors.audio), ("visual", self.priors.visual)):
            for label, rate in rates.items():
                self.taxonomy.index(label)
                if not 0 <= rate <= 1:
                    raise RlldError(
                        f"data set {self.name!r}: priors.{modality}.{label} must lie in [0, 1], "
                        f"found {rate}"
                    )
        for stream in STREAMS[:2]:
            if self.streams and stream not in self.streams:
                raise RlldError(f"data set {self.name!r}: stream {stream!r} is missing")

    def require_streams(self, where: Path | str) -> DataSpec:
        """Returns the specification itself; ``where`` names it in the message.

        Raises:
            RlldError: If it names no feature streams yet.
        """
        if not self.streams:
            raise RlldError(
                f"{where}: names no streams; 'rlld extract' sets them for clips, those of features "
                "made elsewhere are to be written there"
            )
        return self

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes as a taxonomy."""
        return Taxonomy(self.classes)

    @property
    def dims(self) -> dict[str, int]:
        """Feature dimensions by stream name."""
        return {name: stream.dim for name, stream in self.streams.items()}

    @property
    def lanes(self) -> tuple[str, ...]:
        """What its events are known in: ``audio``, ``visual``, ``audio_visual``."""
        return KNOWN[self.modalities]

    @property
    def duration(self) -> float:
        """Length of a video in seconds, with ``any_length`` of the longest."""
        # As decimals say it: 11 segments of 0.96 s are 10.56 s, not 10.559999999999999.
        return round(self.segments * self.segment_seconds, 9)


LLP_SPEC = DataSpec(
    name="llp",
    classes=LLP.classes,
    segments=10,
    segment_seconds=1.0,
    streams={
        "audio": StreamSpec(128, "vggish"),
        "visual_2d": StreamSpec(2048, "res152", 8),
        "visual_3d": StreamSpec(512, "r2plus1d_18"),
    },
    annotations=LLP_FILES,
)
"""LLP with the published features."""


def read_spec(folder: Path) -> DataSpec:
    """Reads ``dataset.yaml`` of a data-set folder.

    Raises:
        RlldError: If the folder or file is missing or a field is wrong.
    """
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; make a data set with 'rlld data'")
    if not path.is_file():
        raise RlldError(f"{folder}: no {FILE_NAME} in it; make a data set with 'rlld data'")
    return spec_from(read_yaml(path), str(path))


def spec_from(data: Mapping[str, Any], where: str) -> DataSpec:
    """Builds a specification from plain data; ``where`` names it in messages.

    Raises:
        RlldError: If a field is unknown, wrong, or of no use without another one.
    """
    try:
        spec = from_dict(DataSpec, {**data, **_short(data)}, where)
    except RlldError as error:
        told = str(error)
        raise RlldError(told if told.startswith(where) else f"{where}: {told}") from None
    for key, name in to_dict(spec.annotations).items():
        if name:
            require_name(name, f"{where}: annotations.{key}")
    for key, stream in spec.streams.items():
        if stream.folder:
            require_name(stream.folder, f"{where}: streams.{key}.folder")
    _require_pairs(spec.annotations, where)
    return spec


def _require_pairs(files: AnnotationFiles, where: str) -> None:
    """Refuses audible events without visible ones, of which nothing would be read."""
    for pair in (("audio", "visual"), ("truth_audio", "truth_visual")):
        named = [name for name in pair if getattr(files, name)]
        if len(named) == 1:
            other = pair[1 - pair.index(named[0])]
            raise RlldError(
                f"{where}: annotations.{named[0]} is named and annotations.{other} is not, so that "
                f"neither can be read; name both (if no {other} event is known, a file with the "
                "header alone, and modalities: audio where only sounds were marked), or none"
            )


def _short(data: Mapping[str, Any]) -> dict[str, Any]:
    """Spells out ``priors: borrow`` and ``priors: none``."""
    priors = data.get("priors")
    return {"priors": {"borrow": priors == "borrow"}} if priors in SHORT else {}


def weak_files(spec: DataSpec) -> dict[str, str]:
    """Returns the weak annotation file of every split that the data set has."""
    files = {name: getattr(spec.annotations, name) for name in SPLITS}
    return {name: file for name, file in files.items() if file}


def dense_files(spec: DataSpec, split: str, *, with_truth: bool = True) -> tuple[str, ...]:
    """Returns the audible and the visible annotation file of a split, or nothing.

    Args:
        spec: The data set.
        split: Its name.
        with_truth: Count the true events of training videos.
    """
    files = spec.annotations
    if split == "train":
        pair = (files.truth_audio, files.truth_visual) if with_truth else ("", "")
    else:
        pair = (files.audio, files.visual)
    return pair if all(pair) else ()


def annotation_file(folder: Path, name: str) -> Path:
    """Joins the name of an annotation file to the annotation folder.

    Raises:
        RlldError: If it leads out of the folder.
    """
    return inside(folder, name, "annotation file")


def spec_text(spec: DataSpec) -> str:
    """Returns the text of a ``dataset.yaml``."""
    return str(yaml.safe_dump(to_dict(spec), sort_keys=False, allow_unicode=True))
