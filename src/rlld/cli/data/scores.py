"""Score segments against prompts by CLIP and CLAP, or import scores, for pseudo labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rlld.errors import RlldError


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data scores``."""

    folder: Annotated[Path, tyro.conf.Positional]
    """A data-set folder."""
    teacher: str = ""
    """The method whose models and prompts score the clips: valor, lsld or vaplan; zero-shot scores
    them by log odds of the data set's own class names, which no method has to be tuned to."""
    name: str = ""
    """The set; when not given the one that the teacher's recipe reads, 'classes' for files."""
    videos: Path | None = None
    """Folder of the clips, when it is not the data set's own."""
    workers: int = 0
    """Processes; 0 takes one per core. Their number changes nothing about the scores."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run; auto takes a GPU when there is one."""
    skip_failed: bool = False
    """Go on without clips that cannot be read; nothing resembles them."""
    audio_track: int | None = None
    """Sound track of clips that have several, from 1; without it the one that a player takes."""
    video_track: int | None = None
    """The same for pictures."""
    audio: Path | None = None
    """Folder with one .npy file (segments, prompts) per video, of its sounds."""
    visual: Path | None = None
    """The same of its pictures."""
    visual_classes: Path | None = None
    """The same of its pictures with one prompt per class; part of the set 'combinations'."""


def run(args: Args) -> None:
    """Scores clips or packs files, and says of how many videos."""
    files = {
        name: path
        for name, path in (
            ("audio", args.audio),
            ("visual", args.visual),
            ("visual_classes", args.visual_classes),
        )
        if path is not None
    }
    if args.teacher:
        if files:
            raise RlldError(
                f"--{next(iter(files)).replace('_', '-')}: imports scores from files, --teacher "
                "computes them; give one of both"
            )
        _compute(args)
        return
    if not {"audio", "visual"} <= files.keys():
        raise RlldError(
            "give --teacher valor, lsld, vaplan or zero-shot to score the clips, or --audio and "
            "--visual to import scores from files"
        )
    _import(args, files)


def _compute(args: Args) -> None:
    from rlld.features.job import Where
    from rlld.media.tracks import TrackChoice
    from rlld.utils.console import OUT
    from rlld.workflows.pseudo_scores import make_scores

    done = make_scores(
        args.folder,
        args.teacher,
        _say,
        name=args.name,
        videos=args.videos,
        where=Where(args.workers, args.device, apart=True),
        skip_failed=args.skip_failed,
        tracks=TrackChoice(args.audio_track, args.video_track),
    )
    if done.failed:
        OUT.print(f"failed: {len(done.failed)} clips, listed in failed.txt")


def _import(args: Args, files: dict[str, Path]) -> None:
    from rlld.data.similarities import pack_scores

    name = args.name or "classes"
    pack_scores(args.folder, name, files, lambda split, videos: _say(name, split, videos))


def _say(name: str, split: str, videos: int) -> None:
    from rlld.utils.console import OUT

    OUT.print(f"{split}: scores {name!r} of {videos} videos")
