"""Makes the folder of a rendered data set: annotations, then one clip after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    SPLITS,
    VIDEOS,
    AnnotationFiles,
    DataSpec,
    StreamSpec,
    spec_text,
)
from rlld.errors import RlldError
from rlld.synthetic.clips.encode import RenderTask, render_clip
from rlld.synthetic.clips.labels import draw_dataset, rendered_classes
from rlld.synthetic.clips.pictures import PICTURES
from rlld.synthetic.clips.scene import Scene
from rlld.synthetic.features.labels import write_annotations
from rlld.utils.console import progress
from rlld.utils.files import is_free, owned, write_text
from rlld.utils.plain import json_text, parsed
from rlld.utils.pool import each

SEGMENTS = 10
SEGMENT_SECONDS = 1.0

PLAN_FILE = "render.json"
REVISION = 1
"""Raised whenever the same seed renders other clips."""

FILES = AnnotationFiles(truth_audio="truth_audio.csv", truth_visual="truth_visual.csv")


@dataclass(frozen=True)
class RenderConfig:
    """What to render.

    Attributes:
        videos: Number of training, validation and test videos, each at least 1.
        classes: Number of classes, from 2 to 12.
        seed: The same seed gives the same clips.

    Raises:
        RlldError: If a number is out of range.
    """

    videos: tuple[int, int, int] = (96, 32, 32)
    classes: int = len(PICTURES)
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.videos) < 1:
            raise RlldError(f"videos: every split needs at least one, found {self.videos}")
        if not 2 <= self.classes <= len(PICTURES):
            raise RlldError(
                f"classes: from 2 to {len(PICTURES)} can be rendered, found {self.classes}"
            )
        if self.seed < 0:
            raise RlldError(f"seed: expected a whole number from 0, found {self.seed}")


def render(
    out: Path, config: RenderConfig, streams: Mapping[str, StreamSpec], *, workers: int = 1
) -> DataSpec:
    """Renders a data set, or goes on with one that was interrupted.

    Args:
        out: Folder to be made.
        config: What to render.
        streams: Streams that the ``light`` extractor will make of the clips.
        workers: Processes to render with; their number changes nothing about the clips.

    Returns:
        The specification, also written to ``dataset.yaml``.

    Raises:
        RlldError: If the folder holds something else, or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise RlldError(f"{out}: is a file; give a folder to render into")
    with owned(out):
        return _render(out, config, streams, workers)


def _render(
    out: Path, config: RenderConfig, streams: Mapping[str, StreamSpec], workers: int
) -> DataSpec:
    _claim(out, config)
    classes = rendered_classes(config.classes)
    spec = DataSpec(
        name="rendered",
        classes=classes,
        segments=SEGMENTS,
        segment_seconds=SEGMENT_SECONDS,
        streams=dict(streams),
        annotations=FILES,
        features="light",
    )
    labels = draw_dataset(classes, config.videos, config.seed)
    write_annotations(out / ANNOTATIONS, labels, spec)
    tasks = [
        RenderTask(
            out / VIDEOS / f"{video}.mp4",
            Scene(classes, events, SEGMENT_SECONDS, (config.seed, place, number)),
        )
        for place, split in enumerate(SPLITS)
        for number, (video, events) in enumerate(
            zip(labels[split].ids, labels[split].events, strict=True)
        )
    ]
    missing = [task for task in tasks if not task.path.exists()]
    with progress("rendering clips", len(tasks), len(tasks) - len(missing)) as tick:
        for _, problem in each(render_clip, missing, workers):
            if problem is not None:
                raise problem
            tick()
    # The specification comes last: it makes the folder a data set.
    write_text(out / FILE_NAME, spec_text(spec))
    return spec


def _claim(out: Path, config: RenderConfig) -> None:
    """Makes the folder ours, or finds that it is ours already."""
    plan = {
        "videos": list(config.videos),
        "classes": config.classes,
        "seed": config.seed,
        "revision": REVISION,
    }
    path = out / PLAN_FILE
    if path.exists():
        if _read_plan(path) != plan:
            raise RlldError(
                f"{out}: holds clips rendered with other settings (see {PLAN_FILE}); give another "
                "folder or delete it"
            )
        for stale in (out / VIDEOS).glob(".*.part"):
            stale.unlink()
        return
    if not is_free(out):
        raise RlldError(f"{out}: is not empty; give a new folder to render into")
    write_text(path, json_text(plan, str(path), indent=1) + "\n")


def _read_plan(path: Path) -> object:
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RlldError(f"{path}: cannot be read ({error}); delete the folder") from None
