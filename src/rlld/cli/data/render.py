"""Render a data set of real clips: drawn scenes and synthesised sounds of LLP's classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from rlld.errors import RlldError


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data render``."""

    out: Path
    """Folder to be made; an interrupted one is completed."""
    videos: str = "96,32,32"
    """Number of training, validation and test videos."""
    classes: int = 12
    """Number of classes."""
    seed: int = 0
    """The same seed renders the same clips."""
    workers: int = 0
    """Processes; 0 takes one per core. Their number changes nothing about the clips."""


def run(args: Args) -> None:
    """Renders."""
    from rlld.features import load_extractor
    from rlld.synthetic.clips.dataset import RenderConfig, render
    from rlld.utils.console import OUT

    config = RenderConfig(_counts(args.videos), args.classes, args.seed)
    streams = load_extractor("light").streams(1.0)
    spec = render(args.out, config, streams, workers=args.workers or os.cpu_count() or 1)
    train, validation, test = config.videos
    OUT.print(
        f"{args.out}: {train} training, {validation} validation and {test} test clips of "
        f"{len(spec.classes)} classes; next: rlld extract {quote(str(args.out))}"
    )


def _counts(text: str) -> tuple[int, int, int]:

    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise RlldError(f"--videos: expected three whole numbers such as 96,32,32, found {text!r}")
    train, validation, test = (int(part) for part in parts)
    return train, validation, test
