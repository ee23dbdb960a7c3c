"""Run the whole method on rendered clips: render, extract, train HAN and RLLD, score, parse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlld.cli._verb import resumable


@dataclass(frozen=True)
class Args:
    """Options of ``rlld demo``."""

    out: Path = Path("demo")
    """Folder of everything that the demo makes; a second call goes on where the first stopped."""
    size: Literal["tiny", "small"] = "small"
    """tiny takes a minute or two and learns little; small takes a few minutes on two cores."""
    seed: int = 0
    """Seed of the clips and of the training."""
    workers: int = 0
    """Processes for rendering and extraction; 0 takes one per core."""


def run(args: Args) -> None:
    """Runs the demo."""
    from rlld.workflows.demo import SIZES, demo

    with resumable("the same command again"):
        demo(args.out, SIZES[args.size], args.seed, args.workers)
