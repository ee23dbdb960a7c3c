"""The clips of the videos that a page shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rlld.data.spec import VIDEOS
from rlld.errors import RlldError
from rlld.media.files import clip_of, clips_of_videos
from rlld.media.playable import Clips, PageClip


def clips_of_page(folder: Path, videos: Iterable[str], page: Path) -> dict[str, PageClip | str]:
    """Prepares the clips of videos for a page that plays several.

    Args:
        folder: Their data-set folder.
        videos: Their ids.
        page: Where the page will be.

    Returns:
        By video how the page plays its clip, or why it does not; nothing where there are no clips.
    """
    if not (folder / VIDEOS).is_dir():
        return {}
    try:
        known = clips_of_videos(folder / VIDEOS)
    except RlldError:  # no clip is there any more
        return {}
    clips, found = Clips(page), dict[str, PageClip | str]()
    for video in dict.fromkeys(videos):
        clip = clip_of(known, video)
        if clip is None:
            found[video] = "its clip is not there"
            continue
        try:
            found[video] = clips.take(clip) or f"browsers do not play {clip.name}"
        except RlldError as error:
            found[video] = str(error)
    return found
