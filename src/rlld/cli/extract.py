"""Extract features from clips: of a data-set folder into its stores, of others into .npy files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

SHOWN = 5


@dataclass(frozen=True)
class Args:
    """Options of ``rlld extract``."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """A data-set folder (dataset.yaml, annotations/, videos/), or folders of clips, or clips."""
    out: Path | None = None
    """Folder for the features of clips that are no data set."""
    extractor: str = "light"
    """How to describe a clip; 'light' needs no download and no extra."""
    segment_seconds: float | None = None
    """Length of a segment in seconds; 1 when not given, dataset.yaml says it for a data set."""
    workers: int = 0
    """Processes; 0 takes one per core. Their number changes nothing about the features."""
    on: Literal["here", "ray"] = "here"
    """Where: ray takes every CPU of a Ray cluster, whose nodes must see the clips."""
    skip_failed: bool = False
    """Go on without clips that cannot be read; they are listed in failed.txt."""


def run(args: Args) -> None:
    """Extracts and says what was done."""
    from rlld.console import OUT
    from rlld.data.spec import FILE_NAME
    from rlld.errors import RlldError
    from rlld.features.job import JobReport, extract_dataset, extract_files, find_clips
    from rlld.pool import Workers

    workers: Workers = args.workers or os.cpu_count() or 1
    if args.on == "ray":
        workers = args.on
    report: JobReport
    if not args.videos:
        raise RlldError("VIDEOS: give a data-set folder, a folder of clips, or clips")
    if (args.videos[0] / FILE_NAME).is_file():
        if len(args.videos) > 1 or args.out is not None or args.segment_seconds is not None:
            raise RlldError(
                f"{args.videos[0]}: is a data-set folder, whose features go into it and whose "
                "segments are set in dataset.yaml; give it alone, without --out and "
                "--segment-seconds"
            )
        target = args.videos[0]
        report = extract_dataset(
            target, args.extractor, workers=workers, skip_failed=args.skip_failed
        )
    else:
        clips = find_clips(args.videos)
        if args.out is None:
            raise RlldError(
                f"{args.videos[0]}: is no data-set folder ({FILE_NAME} is not in it); say with "
                "--out where its features go"
            )
        target = args.out
        report = extract_files(
            clips,
            target,
            args.extractor,
            segment_seconds=1.0 if args.segment_seconds is None else args.segment_seconds,
            workers=workers,
            skip_failed=args.skip_failed,
        )
    OUT.print(f"{args.extractor} features of {report.clips} clips in {target}", markup=False)
    for video, notes in list(report.notes.items())[:SHOWN]:
        OUT.print(f"note on {video}: {'; '.join(notes)}", markup=False)
    if len(report.notes) > SHOWN:
        OUT.print(f"notes on {len(report.notes) - SHOWN} more clips")
    if report.failed:
        OUT.print(f"failed: {len(report.failed)} clips, listed in failed.txt")
