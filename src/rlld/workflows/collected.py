"""What a workflow reports that collects a published data set: videos found, missing, of no use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rlld.data.checks.check import CheckReport
from rlld.data.pack import PackReport
from rlld.utils.files import write_text

MISSING = "missing.tsv"
FOREIGN = "foreign.txt"
NOTES = "notes.txt"
REPAIRED = "repaired.txt"

Ids = Mapping[str, Sequence[str]]
"""Videos by split."""


class Missing(NamedTuple):
    """A video that nothing was found of, and where it is cut out of.

    Attributes:
        video: Its id.
        split: The split that it would be in.
        youtube: The YouTube video.
        start: Second where it begins there, as text.
        end: Second where it ends, as text; both empty where it is the whole video.
    """

    video: str
    split: str
    youtube: str
    start: str
    end: str


@dataclass(frozen=True)
class Collected:
    """What was found and what was made.

    Attributes:
        out: The data-set folder.
        wanted: Videos of the annotation files by split.
        found: Those of them with a clip, or with features, by split.
        foreign: Files that are used for no video, and why.
        packed: What was packed.
        checked: What the check of the data set says.
        failed: What went wrong with clips, by YouTube id.
        notes: What the reader should know of clips that worked, by YouTube id.
        repaired: Events that made no sense as published, and what was done about them.
    """

    out: Path
    wanted: dict[str, int]
    found: dict[str, int]
    foreign: dict[str, str]
    packed: PackReport
    checked: CheckReport
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repaired: tuple[str, ...] = ()

    @property
    def damaged(self) -> int:
        """Videos that were found and could not be used."""
        return sum(self.found.values()) - sum(self.packed.videos.values())

    @property
    def missing(self) -> int:
        """Videos without clip or features; they are listed in ``missing.tsv``."""
        return sum(self.wanted.values()) - sum(self.found.values())


def counts(ids: Ids, among: Iterable[str] | None = None) -> dict[str, int]:
    """Returns the videos of each split, or how many of them are among others."""
    known = None if among is None else frozenset(among)
    return {
        split: sum(known is None or video in known for video in videos)
        for split, videos in ids.items()
    }


def list_missing(out: Path, missing: Sequence[Missing]) -> None:
    """Writes which videos are missing, and their addresses; no file when none is."""
    rows = ["filename\tsplit\turl\tstart\tend"]
    for video, split, youtube, start, end in missing:
        url = f"https://www.youtube.com/watch?v={youtube}"
        rows.append(f"{video}\t{split}\t{url}\t{start}\t{end}")
    if missing:
        write_text(out / MISSING, "\n".join(rows) + "\n")
    else:
        (out / MISSING).unlink(missing_ok=True)


def list_texts(path: Path, texts: Mapping[str, str]) -> None:
    """Writes what is said of files or videos, one per line; no file when there is nothing."""
    if texts:
        lines = [f"{name}\t{text}" for name, text in sorted(texts.items())]
        write_text(path, "\n".join(lines) + "\n")
    else:
        path.unlink(missing_ok=True)
