"""VGGSounder: test clips of VGGSound, each label told to be heard, seen or both; no times.

``data/vggsounder.csv`` of the repository Bizilizi/vggsounder. Its clips are for validation here,
where answers without times count; ``vggsound.csv`` beside it brings training clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rlld.data.problems import Problem, Report, strict
from rlld.data.rates.annotated import MODALITIES, VGGSOUNDER_COLUMNS, read_vggsounder
from rlld.data.sets import vggsound
from rlld.data.sets._tables import file_in, write_rows
from rlld.data.sets.base import PublishedSet, Video, spell
from rlld.errors import RlldError

FILE = "vggsounder.csv"
FLAGS = ("background_music", "static_image", "voice_over")
"""Further columns, which are passed over."""


def read(folder: Path, report: Report = strict) -> PublishedSet:
    """Reads the table, and the training clips of VGGSound where ``vggsound.csv`` is there.

    Raises:
        RlldError: If the table is missing or has another layout.
    """
    path = file_in(folder, FILE, f"VGGSounder's {FILE}")
    told: dict[str, dict[str, tuple[bool, bool]]] = {}
    for tag in read_vggsounder(path):
        own = told.setdefault(tag.video, {})
        if tag.label in own:
            raise RlldError(
                f"{path}: {tag.label!r} of clip {tag.video!r} stands there twice; give it as "
                "published"
            )
        own[tag.label] = tag.heard, tag.seen
    names = {label: "" for own in told.values() for label in own}
    training: Mapping[str, tuple[str, str]] = {}
    if (path.parent / vggsound.FILE).is_file():
        rows = vggsound.rows(path.parent / vggsound.FILE)
        training = {
            video: (place, label) for place, video, label, split in rows if split == "train"
        }
        names |= {label: "" for _, label in training.values()}
    classes, spelled = spell(sorted(names))
    short = dict(zip(sorted(names), classes, strict=True))
    videos = {
        video: Video("train", (short[label],), **vggsound.cut(video, place))
        for video, (place, label) in training.items()
    }
    for video, own in told.items():
        if video in videos:
            text = f"clip {video!r} is one of VGGSound's training clips; it is for validation here"
            report(Problem(path, 0, "warning", text))
        heard, seen = (
            tuple(short[label] for label, holds in own.items() if holds[at]) for at in (0, 1)
        )
        tags = tuple(short[label] for label in own)
        clip = vggsound.cut(video, str(path))
        videos[video] = Video("validation", tags, heard=heard, seen=seen, **clip)
    return PublishedSet("vggsounder", classes, videos, spelled=spelled, found_by="heard")


def write(folder: Path, given: PublishedSet) -> None:
    """Writes the table; its flags, which are not read, are ``False``."""
    back = {holds: name for name, holds in MODALITIES.items()}
    rows = [
        (video, given.spelling(tag), back[tag in known.heard, tag in known.seen], *["False"] * 3)
        for video, known in given.videos.items()
        if known.heard is not None and known.seen is not None
        for tag in known.tags
    ]
    write_rows(folder / FILE, [(*VGGSOUNDER_COLUMNS, *FLAGS), *rows], ",")
    vggsound.write(folder, given)
