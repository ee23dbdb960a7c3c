"""Which clip a name means that somebody wrote into a file."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
"""What may be the suffix of a media file in a name."""


@dataclass(frozen=True)
class Found:
    """What a name means.

    Attributes:
        ids: The clips that it may mean: none, one, or several that it does not tell apart.
        loose: Folders of the name that were passed over; a clip that another row names with
            fewer belongs to that one.
    """

    ids: tuple[str, ...] = ()
    loose: int = 0


NOTHING = Found()


class ClipNames:
    """Clips by everything that they may be called.

    A clip is named by its file name, with as many of its folders before it as one likes, with or
    without suffix, in capital or small letters.

    Args:
        clips: Path of each clip by id, its parts separated by ``/``.
    """

    def __init__(self, clips: Mapping[str, str]) -> None:
        self.paths = dict(clips)
        self._whole: dict[str, list[str]] = defaultdict(list)
        self._bare: dict[str, list[str]] = defaultdict(list)
        self._complete: dict[str, list[str]] = defaultdict(list)
        self._numbers: dict[str, list[str]] = defaultdict(list)
        self._known: dict[str, Found] = {}
        for video, path in clips.items():
            parts = folded(path).split("/")
            self._complete["/".join(parts)].append(video)
            self._complete[SUFFIX.sub("", "/".join(parts))].append(video)
            for first in range(len(parts)):
                name = "/".join(parts[first:])
                self._whole[name].append(video)
                self._bare[SUFFIX.sub("", name)].append(video)
            if (name := folded(video)) not in self._bare:
                self._bare[name].append(video)
            if (stem := SUFFIX.sub("", parts[-1])).isdecimal():
                self._numbers[stem.lstrip("0")].append(video)

    def __len__(self) -> int:
        return len(self.paths)

    def find(self, name: str) -> Found:
        """Returns the clips that a name may mean."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._find(name)
        return found

    def _find(self, name: str) -> Found:
        if not name or len(name) > 4096:
            return NOTHING
        parts = [part for part in folded(name).split("/") if part not in ("", ".", "..")]
        # Of x.mp4 and day/x.mp4, x.mp4 means the first: its path is complete.
        whole = self._complete.get("/".join(parts), [])
        if len(whole) == 1:
            return Found(tuple(whole))
        for first in range(len(parts)):
            shown = "/".join(parts[first:])
            for table, key in (
                (self._whole, shown),
                (self._bare, shown),
                (self._bare, SUFFIX.sub("", shown)),
            ):
                if ids := table.get(key):
                    return Found(self._exact(ids, name), first)
        # Spreadsheets take 0012 for a number and drop its zeros.
        return Found(tuple(self._numbers.get(name.strip(), ()))) if name.strip() else NOTHING

    def _exact(self, ids: list[str], name: str) -> tuple[str, ...]:
        """Tells clips apart that differ in capital letters alone."""
        if len(ids) > 1:
            wanted = plain(name).replace("\\", "/").rpartition("/")[2]
            same = [
                video
                for video in ids
                if wanted in (last := plain(self.paths[video]).rpartition("/")[2])
                and wanted in (last, SUFFIX.sub("", last), video)
            ]
            if len(same) == 1:
                return tuple(same)
        return tuple(ids)


def plain(text: str) -> str:
    """Returns a text without outer blanks, its letters composed as most systems write them."""
    return unicodedata.normalize("NFC", text).strip()


def folded(path: str) -> str:
    """Returns a path as it is compared: small letters, ``/`` between the parts."""
    return plain(path).replace("\\", "/").casefold()
