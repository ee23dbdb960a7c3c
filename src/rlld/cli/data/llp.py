"""Make the LLP data set from its clips or its published features: extract, pack, check, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.workflows.collected import Collected


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data llp``."""

    annotations: Path
    """Folder of the published annotation files (AVVP_train.csv and others)."""
    out: Path
    """Data-set folder to be made; an interrupted one is completed."""
    videos: Path | None = None
    """Folder of the clips, named by the id in the annotation files or its first 11 characters."""
    features: Path | None = None
    """Instead of clips: the published features (folders vggish, res152, r2plus1d_18)."""
    extractors: str = "vggish,resnet152,r2plus1d"
    """What extracts features of the clips; their weights: rlld weights NAMES."""
    features_out: Path | None = None
    """Folder for the extracted features; OUT.features when not given."""
    workers: int = 0
    """Processes; 0 takes one per core. Their number changes nothing about the features."""
    on: Literal["here", "ray"] = "here"
    """Where: ray takes every CPU of a Ray cluster, whose nodes must see clips and weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run; auto takes a GPU when there is one."""
    audio_track: int | None = None
    """Sound track of clips that have several, from 1; without it the one that a player takes."""
    video_track: int | None = None
    """The same for pictures."""


def run(args: Args) -> None:
    """Makes the data set and says what is in it and what is missing."""
    from rlld.cli._collected import show
    from rlld.data.spec import FILE_NAME
    from rlld.utils.files import held

    if (args.videos is None) == (args.features is None):
        raise RlldError("give either --videos (a folder of clips) or --features (published ones)")
    if args.features is not None and args.features_out is not None:
        raise RlldError("--features-out: nothing is extracted when --features are given")
    with held(args.out / FILE_NAME):
        report = _make(args)
    if report is not None:
        show(report, "clip" if args.features is None else "features")


def _make(args: Args) -> Collected | None:
    """Makes the data set; None when it is finished already."""
    from rlld.features.job import Where
    from rlld.media.tracks import TrackChoice
    from rlld.utils.console import OUT
    from rlld.workflows.llp import finished, from_clips, from_features

    if videos := finished(args.out):
        OUT.print(
            f"{args.out} is finished, with {_counted(videos)} videos; to add others, delete it "
            "and run again: features that are extracted already are kept",
        )
        return None
    if args.features is not None:
        return from_features(args.annotations, args.features, args.out)
    if args.videos is None:
        raise AssertionError("there are clips or features")
    return from_clips(
        args.annotations,
        args.videos,
        args.out,
        args.extractors,
        args.features_out,
        Where("ray" if args.on == "ray" else args.workers, args.device, apart=True),
        TrackChoice(args.audio_track, args.video_track),
    )


def _counted(videos: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in videos.items())
