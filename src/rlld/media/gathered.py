"""Clips of a folder with all its sub-folders, and ids that stay when others join them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rlld.errors import HIDDEN, RlldError
from rlld.media.decode import probe
from rlld.media.files import SUFFIXES
from rlld.utils.names import require_name

UNFIT = re.compile(rf"{HIDDEN.pattern}|[\t\n\\/:\"]")
"""What an id cannot hold, or no file of its name."""


def clips_below(folder: Path, without: Path) -> dict[Path, str]:
    """Returns the clips of a folder and its sub-folders, sorted, with their paths inside it.

    Args:
        folder: The folder.
        without: A folder that is passed over, where it lies in the other one.

    Raises:
        RlldError: If there is no such folder, it cannot be read or holds no clip.
    """
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; give the one that your clips are in")
    files = sorted(_walk(folder, os.path.realpath(without)))
    clips = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not clips:
        kinds = sorted({file.suffix.lower() for file in files})[:5]
        only = f", only {len(files):,} other files ({', '.join(kinds)})" if files else ""
        raise RlldError(
            f"{folder}: no clips in it or its sub-folders (.mp4, .mov, .webm ...){only}"
        )
    return {clip: clip.relative_to(folder).as_posix() for clip in clips}


def _walk(folder: Path, without: str) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise RlldError(f"{error.filename}: cannot be read ({error.strerror}); make it readable")

    for root, folders, files in os.walk(folder, onerror=refuse):
        at = Path(root)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(at / name) != without
        ]
        for name in files:
            file = at / name
            # A pipe would never end; a link that leads nowhere is a clip that cannot be read.
            if not name.startswith(".") and (file.is_file() or not file.exists()):
                yield file


def seconds_of(clip: Path) -> float:
    """Returns the length of a clip, without decoding it.

    Raises:
        RlldError: If it cannot be read.
    """
    return round(probe(clip).duration, 3)


def lasting_ids(
    clips: Mapping[Path, str], before: Mapping[str, str], reserved: Iterable[str] = ()
) -> dict[str, Path]:
    """Gives clips ids: the name without suffix, with more of the path where that is not enough.

    Args:
        clips: Path of each clip inside its folder, as ``clips_below`` returns them.
        before: Ids that were given before, by absolute path; they stay.
        reserved: Ids of clips that are gone, which no other clip gets.

    Returns:
        The clips by id, sorted by it. No two ids differ in capital letters alone.

    Raises:
        RlldError: If a name cannot be made an id.
    """
    found = {}
    for clip in clips:
        if (known := before.get(os.path.abspath(clip))) is not None:
            found[known] = clip
    taken = {video.casefold() for video in (*found, *reserved)}
    given = set(found.values())
    waiting = [(clip, _candidates(path)) for clip, path in clips.items() if clip not in given]
    wanted = Counter(names[0].casefold() for _, names in waiting)
    complete = Counter(names[-2].casefold() for _, names in waiting)
    for clip, names in waiting:
        # Of two that would share a name, both take a longer one, for no order of files is better;
        # but x.mp4 beside day/x.mp4 is x, which is all of its path.
        first = names[0].casefold()
        alone = wanted[first] == 1 or (len(names) == 2 and complete[first] == 1)
        fitting = names if alone else names[1:]
        video = next((name for name in fitting if name.casefold() not in taken), "")
        number = 2
        while not video:
            name = f"{names[-1]}_{number}"
            video, number = ("" if name.casefold() in taken else name), number + 1
        require_name(video, str(clip), "rename the clip")
        taken.add(video.casefold())
        found[video] = clip
    return dict(sorted(found.items()))


def _candidates(path: str) -> Sequence[str]:
    """Returns ids of a clip, the shortest first: ``x``, ``day_x``, ``trip_day_x`` ..."""
    folders, _, name = path.rpartition("/")
    stem = _fit(Path(name).stem)
    parts = [_fit(part) for part in folders.split("/") if part]
    names = ["_".join([*parts[at:], stem]) for at in range(len(parts), -1, -1)]
    return [*names, "_".join([*parts, _fit(name)])]


def _fit(name: str) -> str:
    """Returns a name that a file and an annotation can bear on any system."""
    return UNFIT.sub("_", name).strip(" .'\"") or "clip"
