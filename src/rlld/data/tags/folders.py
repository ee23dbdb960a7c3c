"""Tags from the folders that clips lie in."""

from __future__ import annotations

from collections.abc import Mapping

from rlld.data.tags.classes import said, split_tags
from rlld.data.tags.read import ClipTags


def folder_tags(paths: Mapping[str, str]) -> ClipTags:
    """Takes the folders of each clip for its tags.

    Args:
        paths: Path of each clip inside the whole folder, by id.
    """
    of = {}
    for video, path in paths.items():
        folders = path.split("/")[:-1]
        told = said([tag for folder in folders for tag in split_tags(folder)])
        if told is not None:
            of[video] = tuple(dict.fromkeys(told))
    unknown = tuple(paths.keys() - of.keys())
    note = "tags are the names of the folders that clips lie in"
    return ClipTags(of, unknown, notes=(note,))
