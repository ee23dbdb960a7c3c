"""Import similarities of segments with prompts, from which pseudo labels are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data scores``."""

    folder: Annotated[Path, tyro.conf.Positional]
    """A data-set folder."""
    audio: Path
    """Folder with one .npy file (segments, prompts) per video, of its sounds."""
    visual: Path
    """The same of its pictures."""
    visual_classes: Path | None = None
    """The same of its pictures with one prompt per class; part of the set 'combinations'."""
    name: str = "classes"
    """The set: 'classes' (one prompt per class), 'combinations' (one per label combination)."""


def run(args: Args) -> None:
    """Packs the files and says of how many videos."""
    from rlld.console import OUT
    from rlld.data.scores import pack_scores

    sources = {"audio": args.audio, "visual": args.visual}
    if args.visual_classes is not None:
        sources["visual_classes"] = args.visual_classes
    pack_scores(
        args.folder,
        args.name,
        sources,
        lambda split, videos: OUT.print(f"{split}: scores {args.name!r} of {videos} videos"),
    )
