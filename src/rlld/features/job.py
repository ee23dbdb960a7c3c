"""The work of an extraction job: many clips, on processes, a cluster or a GPU.

What a task gives does not depend on where it runs. A clip that cannot be read is a result like
others, so that it costs itself alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.base import ClipFeatures, Extractor
from rlld.features.batched import each_batched
from rlld.features.weights import weights_folder
from rlld.media.files import stamp_of, strange
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.utils.console import progress
from rlld.utils.files import write_text
from rlld.utils.pool import Workers, each
from rlld.utils.remembering import by_place

if TYPE_CHECKING:
    import torch

FAILED = "failed.txt"
SHOWN = 10
NAMED = 3
"""Clips in work that progress names."""


@dataclass(frozen=True)
class Where:
    """Where a job runs.

    Attributes:
        workers: Processes, ``"ray"`` for every CPU of a cluster, 0 for one per core. On a GPU they
            are threads that decode, while the GPU describes what came, clips mixed.
        device: ``auto`` takes CUDA where there is one.
        apart: Whether one worker on a CPU is a process of its own as more are. A clip that crashes
            it then costs itself alone, but a script needs its ``if __name__ == "__main__"``.

    Raises:
        RlldError: If the number of workers is negative.
    """

    workers: Workers = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    apart: bool = False

    def __post_init__(self) -> None:
        if self.workers != "ray" and self.workers < 0:
            raise RlldError(f"workers: expected 0 (one per core) or more, found {self.workers}")

    @property
    def torch_device(self) -> torch.device:
        """The device; a cluster's nodes compute on their CPUs."""
        from rlld.utils.compute import Compute

        return Compute("cpu" if self.workers == "ray" else self.device).torch_device


@dataclass(frozen=True)
class Task:
    """A clip to extract.

    Attributes:
        video: Its id.
        path: The file.
        extractor: The extractors, as ``load_extractor`` takes them.
        segment_seconds: Length of a segment in seconds.
        tracks: Which of several tracks are described.
    """

    video: str
    path: Path
    extractor: str
    segment_seconds: float
    tracks: TrackChoice = AS_PLAYED

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class JobReport:
    """What a job did.

    Attributes:
        clips: Clips that have features now.
        failed: What went wrong, by video id.
        notes: What the reader should know of clips that worked, by video id.
        remarks: What is to be known of all of them, a sentence each.
        made: Clips that were extracted into stores now, not before.
    """

    clips: int
    failed: dict[str, str]
    notes: dict[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()
    made: int = 0


def extract_task(task: Task) -> ClipFeatures:
    """Extracts one clip; what a worker process runs.

    Raises:
        RlldError: If the clip cannot be read.
    """
    try:
        extractor = _extractor(weights_folder(), task.extractor)
        return extractor.extract(task.path, task.segment_seconds, task.tracks)
    except RlldError:
        raise
    except Exception as error:
        # A strange file must cost itself alone, not the hours spent on all others.
        raise strange(task.path, error) from error


@by_place(2)
def _extractor(_weights: Path, name: str) -> Extractor:
    return load_extractor(name)


def extracted(
    tasks: Sequence[Task], where: Where, total: int
) -> Iterator[tuple[Task, tuple[ClipFeatures, str] | RlldError]]:
    """Extracts clips and yields them as they come, showing progress.

    What is yielded of each is its features and the stamp of its file (``stamp_of``), or why there
    are none.

    Args:
        tasks: The clips, all for the same extractor.
        where: Where.
        total: Clips of the job, those of an earlier attempt included.
    """
    if not tasks:
        return
    workers, device = where.workers or os.cpu_count() or 1, where.torch_device
    if workers == "ray":  # whose nodes work in folders of their own
        tasks = [replace(task, path=task.path.absolute()) for task in tasks]
    results: Iterator[tuple[Task, ClipFeatures | RlldError]]

    def watch(working: Sequence[Task]) -> None:  # else a clip of hours would look like a halt
        tick(0, _now(working))

    if device.type == "cuda" and workers != "ray":
        extractor = load_extractor(tasks[0].extractor)
        extractor.to(device)
        _full_precision()
        results = each_batched(tasks, extractor, workers, watch)
    else:
        results = each(extract_task, tasks, workers, apart=where.apart, watch=watch)
    with progress("extracting", total, total - len(tasks)) as tick:
        for task, result in results:
            yield task, _stamped(task, result)
            tick(1, task.video)


def _now(working: Sequence[Task]) -> str:
    more = len(working) - NAMED
    names = ", ".join(task.video for task in working[:NAMED])
    return f"now {names} and {more} more" if more > 0 else f"now {names}"


def _stamped(task: Task, result: ClipFeatures | RlldError) -> tuple[ClipFeatures, str] | RlldError:
    """Tells of which file the features are, while that can be told."""
    if isinstance(result, RlldError):
        return result
    try:
        return result, stamp_of(task.path)
    except RlldError as error:  # it was removed meanwhile
        return error


def _full_precision() -> None:
    """Makes a GPU convolve in float32, not in 19 bits, so that features differ little by device."""
    import torch

    torch.backends.cudnn.allow_tf32 = False


def settle(listing: Path, failed: Mapping[str, str], skip: bool, otherwise: str) -> None:
    """Lists failed clips in a file, and refuses them unless they are to be skipped.

    Raises:
        RlldError: If there are any, and they are not to be skipped.
    """
    if not failed:
        listing.unlink(missing_ok=True)
        return
    lines = [f"{video}\t{reason}" for video, reason in sorted(failed.items())]
    write_text(listing, "\n".join(lines) + "\n")
    if skip:
        return
    shown = "; ".join(line.split("\t")[1] for line in lines[:SHOWN])
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise RlldError(
        f"{len(failed)} clips failed: {shown}{more} (all in {listing}); the others are kept: "
        f"correct these and run again, or go on without them with --skip-failed ({otherwise})"
    )


def check_seconds(segment_seconds: float) -> None:
    """Raises ``RlldError`` unless segments can be that long."""
    if not 0.1 <= segment_seconds <= 60:
        raise RlldError(f"segment-seconds: expected 0.1 to 60, found {segment_seconds}")
