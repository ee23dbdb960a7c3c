"""Put runs, and predictions of others, side by side: scores, intervals, where they disagree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld compare``."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Two or more: run folders, hub:owner/name, files of predictions in a format of 'rlld export',
    or folders of them. NAME=SOURCE says what tables call one. Differences are to the first."""
    split: Literal["train", "validation", "test"] = "test"
    """The videos to compare on; they need dense annotation."""
    data: Path | None = None
    """Data-set folder; those of the trainings when not given. Clips are played from its videos."""
    out: Path | None = None
    """Folder for the tables (compare.md, .csv, .json, .tex) and the page with the clips
    (compare.html)."""
    format: str | None = None
    """Format of the files of predictions; told by suffix and content when not given."""
    classes: Path | None = None
    """What the files of predictions call the classes: a table with the columns theirs and ours; '-'
    for ours leaves a name out."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where runs compute."""


def run(args: Args) -> None:
    """Compares and prints the tables."""
    from rlld.bench.page import print_page
    from rlld.comparing.compare import compare_sources
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT

    device = Compute(args.device).torch_device
    given = args.split, args.data, device, args.format, args.classes
    found = compare_sources(args.sources, *given)
    print_page(found.page)
    if args.out is not None:
        paths = found.write(args.out)
        OUT.print(f"written: {', '.join(map(str, paths))}")
