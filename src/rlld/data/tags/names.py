"""Which clip a name means that somebody wrote into a file."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
"""What may be the suffix of a media file in a name."""


@dataclass(frozen=True)
class Found:
    """What a name means.

    Attributes:
        ids: The clips that it may mean: none, one, or several that it does not tell apart.
        loose: Folders of the name that were passed over.
        told: Parts of the path of the clips that the name tells.
    """

    ids: tuple[str, ...] = ()
    loose: int = 0
    told: int = 0

    @property
    def distance(self) -> tuple[int, int]:
        """How far the name is from the clips; one that a nearer name means is not meant."""
        return self.loose, -self.told


NOTHING = Found()
PASSED = ("", ".", "..")
"""Parts of a path that say nothing of a clip."""


class ClipNames:
    """Clips by everything that they may be called.

    A clip is named by its file name, with as many of its folders before it as one likes, with or
    without suffix, in capital or small letters.

    Args:
        clips: Path of each clip by id, its parts separated by ``/``.
        root: Absolute path of the folder that these paths begin in, which names may begin with.
        gone: Names that are known to mean none of them.
    """

    def __init__(self, clips: Mapping[str, str], root: str = "", gone: Iterable[str] = ()) -> None:
        self.paths = dict(clips)
        self._root = _parts(root.casefold())
        self._gone = frozenset(map(folded, gone))
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

    def called(self, name: str) -> tuple[str, ...]:
        """Returns all clips of a file name, or of the end of a path, whichever of them it means."""
        return tuple(self._whole.get(folded(name), ()))

    def _find(self, name: str) -> Found:
        if not name or len(name) > 4096 or folded(name) in self._gone:
            return NOTHING
        spelled = _parts(name)
        parts = [part.casefold() for part in spelled]
        # Of x.mp4 and day/x.mp4, x.mp4 means the first: its path is complete.
        for first in dict.fromkeys((0, self._outside(parts))):
            ids = self._exact(self._complete.get("/".join(parts[first:]), []), spelled[first:])
            if len(ids) == 1:
                return Found(ids, told=len(parts) - first)
        for first in range(len(parts)):
            shown = "/".join(parts[first:])
            for table, key in (
                (self._whole, shown),
                (self._bare, shown),
                (self._bare, SUFFIX.sub("", shown)),
            ):
                if ids := self._exact(table.get(key, []), spelled[first:]):
                    return Found(ids, first, self._told(ids, name, len(parts) - first))
        # Spreadsheets take 0012 for a number and drop its zeros.
        numbered = tuple(self._numbers.get(name.strip(), ())) if name.strip() else ()
        return Found(numbered, told=1) if numbered else NOTHING

    def _told(self, ids: tuple[str, ...], name: str, parts: int) -> int:
        """Returns how much of its path a name tells: all of it where it is the id of the clip."""
        named = len(ids) == 1 and folded(name) == folded(ids[0]) and not SUFFIX.search(name)
        return max(parts, len(_parts(self.paths[ids[0]]))) if named else parts

    def _outside(self, parts: list[str]) -> int:
        """Returns how many parts of a name lead to the folder that the paths begin in."""
        longest = min(len(parts) - 1, len(self._root))
        return next((n for n in range(longest, 0, -1) if parts[:n] == self._root[-n:]), 0)

    def _exact(self, ids: list[str], spelled: list[str]) -> tuple[str, ...]:
        """Tells clips apart that differ in capital letters alone."""
        if len(ids) > 1:
            wanted = "/".join(spelled)
            same = []
            for video in ids:
                end = "/".join(_parts(self.paths[video])[-len(spelled) :])
                if wanted in (end, SUFFIX.sub("", end), video):
                    same.append(video)
            if len(same) == 1:
                return tuple(same)
        return tuple(ids)


def _parts(path: str) -> list[str]:
    """Returns the folders of a path, and what is in the last one, as they are spelled."""
    return [part for part in plain(path).replace("\\", "/").split("/") if part not in PASSED]


def plain(text: str) -> str:
    """Returns a text without outer blanks, its letters composed as most systems write them."""
    return unicodedata.normalize("NFC", text).strip()


def folded(path: str) -> str:
    """Returns a path as it is compared: small letters, ``/`` between the parts."""
    return plain(path).replace("\\", "/").casefold()
