"""What extraction will refuse of a data-set folder, told before it begins."""

from __future__ import annotations

from pathlib import Path

from rlld.data.annotations import read_weak
from rlld.data.problems import Problem
from rlld.data.spec import ANNOTATIONS, FILE_NAME, VIDEOS, annotation_file, read_spec, weak_files
from rlld.data.store import store_path
from rlld.errors import RlldError, listed
from rlld.media.files import clip_of, clips_of_videos

SHOWN = 3


def missing_clips(folder: Path) -> list[Problem]:
    """Returns the videos without a clip, of splits whose features are not extracted yet.

    Args:
        folder: A data-set folder; there is nothing to say of one without ``videos/``.
    """
    if not (folder / FILE_NAME).is_file() or not (folder / VIDEOS).is_dir():
        return []
    spec = read_spec(folder)
    files = {
        split: annotation_file(folder / ANNOTATIONS, file)
        for split, file in weak_files(spec).items()
        if not store_path(folder, split).is_file()
    }
    if not files:
        return []
    try:
        clips = clips_of_videos(folder / VIDEOS)
    except RlldError as error:
        return [Problem(folder / VIDEOS, 0, "error", str(error))]
    found = []
    for file in (file for file in files.values() if file.is_file()):
        # What is wrong with the file itself is told where it is checked.
        ids = read_weak(file, spec.taxonomy, lambda problem: None).ids
        missing = [repr(video) for video in ids if clip_of(clips, video) is None]
        if missing:
            more = " and others" if len(missing) > SHOWN else ""
            text = (
                f"{len(missing)} videos have no clip in {folder / VIDEOS}, which extraction "
                f"refuses: {listed(missing[:SHOWN])}{more}; a clip is called by the id, with a "
                "suffix such as .mp4"
            )
            found.append(Problem(file, 0, "error", text))
    return found
