"""Tags that are known of clips when they are parsed: from a table, or from their data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rlld.data.annotations import YOUTUBE_ID, read_splits
from rlld.data.spec import ANNOTATIONS, FILE_NAME, VIDEOS, read_spec
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import read_tags
from rlld.media.listing import read_listing


class Known(NamedTuple):
    """What is known of a clip.

    Attributes:
        tags: Classes that it is known to hold, None when nothing is known.
        note: What the reader of its parse should know of that.
    """

    tags: tuple[str, ...] | None = None
    note: str = ""


def tags_of_file(
    path: Path, clips: Mapping[str, str], classes: Sequence[str], columns: str | None = None
) -> dict[str, Known]:
    """Reads a table of tags for clips that are parsed.

    Args:
        path: The table.
        clips: Path of each clip by id.
        classes: What the run knows; spelled in capital or small letters.
        columns: Which columns are read, as ``find_columns`` takes them.

    Returns:
        What is known of every clip.

    Raises:
        RlldError: If it cannot be read, or names none of the clips.
    """
    # Ids that clips have only here are no names of theirs.
    found = read_tags(path, ClipNames({file: file for file in clips.values()}), columns).of
    return {video: _known(found.get(clips[video]), classes, path.name) for video in clips}


def _known(tags: Sequence[str] | None, classes: Sequence[str], source: str) -> Known:
    if tags is None:
        return Known(None, f"{source} has no tags of this clip; parsed without")
    if not tags:
        return Known(None, f"{source} says that nothing occurs in this clip; parsed without tags")
    spelled = {name.casefold(): name for name in classes}
    used = dict.fromkeys(spelled[tag.casefold()] for tag in tags if tag.casefold() in spelled)
    strange = [tag for tag in tags if tag.casefold() not in spelled]
    told = f"the run does not know the tags {', '.join(strange)}" if strange else ""
    return Known(tuple(used), told) if used else Known(None, f"{told}; parsed without tags")


def tags_of_dataset(
    folder: Path, clips: Mapping[str, Path], classes: Sequence[str]
) -> dict[str, Known]:
    """Returns the tags of those clips that are clips of a data set.

    Args:
        folder: The data-set folder; nothing is known where it is gone.
        clips: The clips by id.
        classes: What the run knows.

    Raises:
        RlldError: If clips are of the data set and its tags cannot be read.
    """
    if not (folder / FILE_NAME).is_file():
        return {}
    videos = _videos(folder, clips)
    if not videos:
        return {}
    spec = read_spec(folder)
    found: dict[str, tuple[str, ...]] = {}
    for weak in read_splits(folder / ANNOTATIONS, spec).values():
        for video, row in zip(weak.ids, weak.labels, strict=True):
            found[video] = tuple(spec.classes[c] for c in row.nonzero()[0])
    for video in list(found):  # whose clip may be called by the YouTube id alone
        found.setdefault(video[:YOUTUBE_ID], found[video])
    known = {}
    for clip, names in videos.items():
        tags = next((found[name] for name in names if found.get(name)), None)
        if tags is not None:
            made = _known(tags, classes, str(folder))
            note = made.note or f"its tags in {folder} were taken as known (--tags none: without)"
            known[clip] = made._replace(note=note)
    return known


def _videos(folder: Path, clips: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    """Returns the ids in a data set of those clips that are its clips."""
    own = os.path.realpath(folder / VIDEOS)
    listed: dict[str, list[tuple[str, str]]] = {}
    for video, known in read_listing(folder).items():
        listed.setdefault(os.path.basename(known.file), []).append((video, known.file))
    videos: dict[str, tuple[str, ...]] = {}
    for clip, path in clips.items():
        real = os.path.realpath(path)
        names = [
            video
            for name in {path.name, os.path.basename(real)}
            for video, file in listed.get(name, ())
            if os.path.realpath(file) == real
        ]
        if os.path.realpath(path.parent) == own:
            names += [path.stem]
        if names:
            videos[clip] = tuple(names)
    return videos
