"""Extract features from clips: of a data set into its stores, of others into .npy files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.features.job import JobReport, Where

SHOWN = 5


@dataclass(frozen=True)
class Args:
    """Options of ``rlld extract``."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """A data-set folder (dataset.yaml, annotations/, videos/), or folders of clips, or clips."""
    features: str | None = None
    """Extractors joined by commas, such as vggish,resnet152,r2plus1d. When not given, a data set
    keeps those that it has, and others get 'light', which needs no weights."""
    data: Path | None = None
    """A data-set folder that the clips belong to; its stores are filled."""
    out: Path | None = None
    """Folder for the features of clips that are no data set."""
    segment_seconds: float | None = None
    """Length of a segment in seconds; 1 when not given, dataset.yaml says it for a data set."""
    workers: int = 0
    """Processes; 0 takes one per core. Their number changes nothing about the features."""
    on: Literal["here", "ray"] = "here"
    """Where: ray takes every CPU of a Ray cluster, whose nodes must see clips and weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run; auto takes a GPU when there is one."""
    skip_failed: bool = False
    """Go on without clips that cannot be read; they are listed in failed.txt."""
    audio_track: int | None = None
    """Sound track of clips that have several, from 1; without it the one that a player takes."""
    video_track: int | None = None
    """The same for pictures."""


def run(args: Args) -> None:
    """Extracts and says what was done."""
    from rlld.features.job import Where
    from rlld.utils.console import OUT

    where = Where("ray" if args.on == "ray" else args.workers, args.device, apart=True)
    report, target, listing, features = _extract(args, where)
    OUT.print(f"{features} features of {report.clips} clips in {target}")
    for remark in report.remarks:
        OUT.print(f"note: {remark}")
    for video, notes in list(report.notes.items())[:SHOWN]:
        OUT.print(f"note on {video}: {'; '.join(notes)}")
    if len(report.notes) > SHOWN:
        OUT.print(f"notes on {len(report.notes) - SHOWN} more clips")
    if report.failed:
        OUT.print(f"failed: {len(report.failed)} clips, listed in {listing}")


def _extract(args: Args, where: Where) -> tuple[JobReport, Path, Path, str]:
    """Returns what was done, the folder it went into, where failures are listed, and by what."""
    from rlld.data.spec import FILE_NAME, read_spec
    from rlld.data.store import store_path
    from rlld.features.job import FAILED
    from rlld.features.to_files import extract_files
    from rlld.features.to_stores import LIGHT, extract_dataset
    from rlld.media.files import find_clips
    from rlld.media.tracks import TrackChoice

    tracks = TrackChoice(args.audio_track, args.video_track)
    if not args.videos:
        raise RlldError("VIDEOS: give a data-set folder, a folder of clips, or clips")
    first = args.videos[0]
    data = first if args.data is None and (first / FILE_NAME).is_file() else args.data
    if data is not None:
        if len(args.videos) > 1 or args.out is not None or args.segment_seconds is not None:
            raise RlldError(
                f"{data}: is a data-set folder, whose features go into it and whose segments are "
                "set in dataset.yaml; give one folder of clips, without --out and "
                "--segment-seconds"
            )
        videos = None if args.data is None else first
        report = extract_dataset(
            data,
            args.features,
            videos=videos,
            where=where,
            skip_failed=args.skip_failed,
            tracks=tracks,
        )
        listing = store_path(data, "train").with_name(FAILED)
        return report, data, listing, read_spec(data).features
    clips = find_clips(args.videos)
    if args.out is None:
        raise RlldError(
            f"{first}: is no data-set folder ({FILE_NAME} is not in it); say with --data to which "
            "one these clips belong, or with --out where their features go"
        )
    features = args.features or LIGHT
    report = extract_files(
        clips,
        args.out,
        features,
        segment_seconds=1.0 if args.segment_seconds is None else args.segment_seconds,
        where=where,
        skip_failed=args.skip_failed,
        tracks=tracks,
    )
    return report, args.out, args.out / FAILED, features
