"""Which files the videos of a data set are that was made of a folder of clips."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from rlld.data.imported import alike
from rlld.data.tags.names import ClipNames
from rlld.errors import RlldError
from rlld.utils.files import unwritable, write_text
from rlld.utils.names import inside
from rlld.utils.sheets import SheetError, read_sheet, sheet_text

LISTING = "clips.tsv"
"""Its name in the data-set folder."""
FORMER = "former.tsv"
"""The clips that were listed once and are not now, whose ids no other clip gets."""
COLUMNS = ("video", "file", "split", "seconds", "stamp")


class Listed(NamedTuple):
    """A clip of a data set.

    Attributes:
        file: Its absolute path; empty for a former clip whose file is gone.
        split: The split that it is in.
        seconds: Its length.
        stamp: Changes when the file is replaced.
    """

    file: str
    split: str
    seconds: float
    stamp: str


def read_listing(folder: Path) -> dict[str, Listed]:
    """Returns the clips of a data set by id; none where nothing lists them.

    Raises:
        RlldError: If the list cannot be read.
    """
    return _read(folder / LISTING)


def read_former(folder: Path) -> dict[str, Listed]:
    """Returns the clips by id that a data set listed once.

    Raises:
        RlldError: If their list cannot be read.
    """
    return _read(folder / FORMER)


def _read(path: Path) -> dict[str, Listed]:
    if not path.is_file():
        return {}
    try:
        rows = [cells for _, cells in read_sheet(path.read_text(encoding="utf-8"))]
        return {
            video: Listed(file, split, float(seconds), stamp)
            for video, file, split, seconds, stamp in rows[1:]
        }
    except (OSError, ValueError, SheetError) as error:
        reason = error.text if isinstance(error, SheetError) else error
        raise RlldError(f"{path}: cannot be read ({reason}); delete it and run again") from None


class VideoNames:
    """The videos of a data set by everything that a file of events may call them.

    Args:
        videos: Their ids.
        listing: Their clips, none where nothing lists them.
    """

    def __init__(self, videos: Iterable[str], listing: Mapping[str, Listed]) -> None:
        paths = {video: listing[video].file if listing else video for video in videos}
        self._called = {video: Path(path).name for video, path in paths.items()}
        self._names = ClipNames(paths)

    def find(self, name: str, stem: str) -> tuple[str, ...]:
        """Returns the videos that a name means: none, one, or several that it does not tell apart.

        Args:
            name: The name.
            stem: The name of the file that it stands in, without suffix.
        """
        if name in self._called:
            return (name,)
        found = self._names.find(name).ids or alike(name, self._called)
        # Several clips have one name, and the file has the id of one, which is more than that name.
        return (stem,) if stem in found and stem != Path(name).stem else found


def write_listing(folder: Path, clips: Mapping[str, Listed]) -> None:
    """Writes the clips of a data set."""
    _write(folder / LISTING, clips)


def write_former(folder: Path, clips: Mapping[str, Listed]) -> None:
    """Writes the clips that a data set listed once, where there are any."""
    if clips or (folder / FORMER).is_file():
        _write(folder / FORMER, clips)


def _write(path: Path, clips: Mapping[str, Listed]) -> None:
    rows = [(video, *known[:2], repr(known.seconds), known.stamp) for video, known in clips.items()]
    write_text(path, sheet_text([COLUMNS, *rows]))


def link_clips(folder: Path, clips: Mapping[str, Path]) -> None:
    """Makes a folder of links to clips, named by their ids; links to others are removed.

    Raises:
        RlldError: If a link cannot be made, or a file lies in its place.
    """
    links = {f"{video}{clip.suffix}": os.path.abspath(clip) for video, clip in clips.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            if entry.is_symlink() and links.get(entry.name) == os.readlink(entry):
                del links[entry.name]
            elif entry.is_symlink():
                entry.unlink()
        for name, clip in links.items():
            inside(folder, name, "video id", links=True).symlink_to(clip)
    except FileExistsError as error:
        raise RlldError(
            f"{error.filename2 or folder}: is no link of 'rlld data new'; move it to where your "
            "clips are"
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from None
