"""Tags from the folders that clips lie in."""

from __future__ import annotations

from collections.abc import Mapping

from rlld.data.tags.classes import said, split_tags
from rlld.data.tags.read import ClipTags


def folder_tags(paths: Mapping[str, str]) -> ClipTags:
    """Takes the folders of each clip for its tags, but for those that all clips lie in.

    Args:
        paths: Path of each clip inside the whole folder, by id.
    """
    of = {}
    parts = {video: path.split("/")[:-1] for video, path in paths.items()}
    shared = set(next(iter(parts.values()), [])).intersection(*parts.values())
    for video, folders in parts.items():
        told = said([tag for name in folders if name not in shared for tag in split_tags(name)])
        if told is not None:
            of[video] = told
    unknown = tuple(paths.keys() - of.keys())
    note = "tags are the names of the folders that clips lie in"
    return ClipTags(of, unknown, notes=(note,))
