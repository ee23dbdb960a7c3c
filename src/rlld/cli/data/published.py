"""Make a published data set (AVE, LFAV, UnAV-100 ...) from its files and its clips or features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.workflows.collected import Collected


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data published``."""

    name: tyro.conf.Positional[str]
    """The data set; 'rlld data published list' names those that there are."""
    annotations: Path | None = None
    """Folder of its published annotation files, or the one file."""
    out: Path | None = None
    """Data-set folder to be made; an interrupted one is completed."""
    videos: Path | None = None
    """Folder of its clips, named by the ids of the annotation."""
    features: Path | None = None
    """Instead of clips: the folder of its published features."""
    extractors: str = "vggish,resnet152,r2plus1d"
    """What extracts features of the clips; their weights: rlld weights NAMES."""
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
    from rlld.data.sets import set_names
    from rlld.data.spec import FILE_NAME
    from rlld.utils.console import OUT
    from rlld.utils.files import held
    from rlld.workflows.published_set import finished

    if args.name == "list":
        OUT.print("\n".join(set_names()))
        return
    if args.annotations is None or args.out is None:
        raise RlldError("give --annotations (the published files) and --out (a folder to be made)")
    if (args.videos is None) == (args.features is None):
        raise RlldError("give either --videos (a folder of clips) or --features (published ones)")
    with held(args.out / FILE_NAME):
        if finished(args.out):
            OUT.print(f"{args.out} is finished; to add videos, delete it and run again")
            return
        show(_made(args, args.annotations, args.out), "clip" if args.videos else "features")


def _made(args: Args, annotations: Path, out: Path) -> Collected:
    from rlld.features.job import Where
    from rlld.media.tracks import TrackChoice
    from rlld.workflows.published_set import from_clips, from_features

    if args.features is not None:
        return from_features(args.name, annotations, args.features, out)
    if args.videos is None:
        raise AssertionError("there are clips or features")
    return from_clips(
        args.name,
        annotations,
        args.videos,
        out,
        args.extractors,
        Where("ray" if args.on == "ray" else args.workers, args.device, apart=True),
        TrackChoice(args.audio_track, args.video_track),
    )
