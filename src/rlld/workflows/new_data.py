"""From a folder of clips and what their owner knows of them to a data set with features."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np

from rlld.data.annotations import write_weak
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    SPLITS,
    AnnotationFiles,
    DataSpec,
    read_spec,
    spec_text,
)
from rlld.data.tags.classes import look_alike, one_spelling
from rlld.data.tags.folders import folder_tags
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import ClipTags, read_tags
from rlld.errors import RlldError, listed
from rlld.features.job import JobReport, Where
from rlld.features.to_stores import VIDEOS, extract_dataset
from rlld.media.decode import probe
from rlld.media.files import stamp_of
from rlld.media.gathered import clips_below, lasting_ids
from rlld.taxonomy import Taxonomy
from rlld.utils.files import held, write_text
from rlld.utils.pool import each
from rlld.utils.sheets import SheetError, read_sheet, sheet_text

LISTING = "clips.tsv"
"""Which file each video of the data set is; what makes a later call go on."""
LEFT_OUT = "left_out.tsv"
COLUMNS = ("video", "file", "split", "seconds", "stamp")


@dataclass(frozen=True)
class Wanted:
    """What a data set is to be made of.

    Attributes:
        videos: Folder of the clips.
        tags: A tag file; the names of the sub-folders when not given.
        columns: Which columns of it are read, as ``find_columns`` takes them.
        features: Extractors; those of before, or ``light``, when not given.
        segment_seconds: Length of a segment; that of before, or a second, when not given.
        where: Where to extract.
    """

    videos: Path
    tags: Path | None = None
    columns: str | None = None
    features: str | None = None
    segment_seconds: float | None = None
    where: Where = field(default_factory=Where)


@dataclass(frozen=True)
class Listed:
    """A clip of the data set, as ``clips.tsv`` has it."""

    file: str
    split: str
    seconds: float
    stamp: str


@dataclass(frozen=True)
class NewReport:
    """What was made.

    Attributes:
        clips: Clips that were found.
        spec: The data set.
        splits: Videos by split.
        counts: Clips of each class.
        left_out: Why clips are no part of it, by path.
        strangers: Names of the tag file that mean no clip.
        notes: What the reader should know.
        extracted: What extraction did.
    """

    clips: int
    spec: DataSpec
    splits: dict[str, tuple[str, ...]]
    counts: dict[str, int]
    left_out: dict[str, str]
    strangers: tuple[str, ...]
    notes: tuple[str, ...]
    extracted: JobReport


def new_data(out: Path, wanted: Wanted) -> NewReport:
    """Makes a data set of a folder of clips, or brings one up to date that was made so.

    No clip is copied: ``videos/`` holds links. A clip whose tags are not known is left out.

    Args:
        out: The data-set folder.
        wanted: What it is made of.

    Raises:
        RlldError: If the folder holds something else, or tags or clips cannot be read.
    """
    with held(out):
        before = _before(out)
        clips = clips_below(wanted.videos, out / VIDEOS)
        ids = lasting_ids(clips, {known.file: video for video, known in before.items()})
        paths = {video: clips[file] for video, file in ids.items()}
        found = _tags(wanted, paths)
        spelling, notes = one_spelling(found.of)
        tags = {
            video: tuple(dict.fromkeys(spelling[tag] for tag in words))
            for video, words in found.of.items()
        }
        left = {paths[video]: "no tag says what occurs in it" for video in ids.keys() - tags.keys()}
        lengths, faults = _lengths({video: ids[video] for video in tags}, before, wanted.where)
        left |= {paths[video]: text for video, text in faults.items()}
        tags = {video: tags[video] for video in ids if video in lengths and video in tags}
        counts = Counter(tag for words in tags.values() for tag in words)
        if not counts:
            raise RlldError(f"{wanted.videos}: {_tagless(len(clips), found, faults)}")
        notes += [*_doubts(counts, len(tags)), *found.notes]
        spec = _spec(out, wanted, sorted(counts, key=str.casefold), lengths)
        splits = _splits(tags)
        listing = {
            video: Listed(os.path.abspath(ids[video]), split, *lengths[video])
            for split, videos in splits.items()
            for video in videos
        }
        _write(out, spec, splits, tags, listing, left)
        extracted = extract_dataset(out, spec.features, where=wanted.where)
    spec = read_spec(out)
    return NewReport(
        len(clips), spec, splits, dict(counts), left, found.strangers, tuple(notes), extracted
    )


def _before(out: Path) -> dict[str, Listed]:
    """Returns what an earlier call listed, by id."""
    path = out / LISTING
    if not path.is_file():
        if (out / FILE_NAME).exists():
            raise RlldError(
                f"{out}: holds a data set that 'rlld data new' did not make; choose another folder"
            )
        return {}
    try:
        rows = [cells for _, cells in read_sheet(path.read_text(encoding="utf-8"))]
        return {
            video: Listed(file, split, float(seconds), stamp)
            for video, file, split, seconds, stamp in rows[1:]
        }
    except (OSError, ValueError, SheetError) as error:
        raise RlldError(
            f"{path}: cannot be read ({error}); delete it, and ids are given anew"
        ) from None


def _tags(wanted: Wanted, paths: Mapping[str, str]) -> ClipTags:
    if wanted.tags is not None:
        return read_tags(wanted.tags, ClipNames(paths), wanted.columns)
    return folder_tags(paths)


def _tagless(clips: int, found: ClipTags, faults: Mapping[str, str]) -> str:
    if faults:
        return f"none of its tagged clips can be read, the first because {min(faults.values())}"
    return (
        f"none of its {clips:,} clips has a tag; give a table with --tags FILE, or put the clips "
        "into folders that are called by what occurs in them"
    )


def _lengths(
    clips: Mapping[str, Path], before: Mapping[str, Listed], where: Where
) -> tuple[dict[str, tuple[float, str]], dict[str, str]]:
    """Returns seconds and stamp of every clip, and why others cannot be read."""
    lengths: dict[str, tuple[float, str]] = {}
    faults: dict[str, str] = {}
    unknown: dict[Path, str] = {}
    for video, file in clips.items():
        try:
            stamp = stamp_of(file)
        except RlldError as error:
            faults[video] = str(error)
            continue
        known = before.get(video)
        if known is not None and known.stamp == stamp:
            lengths[video] = (known.seconds, stamp)
        else:
            unknown[file] = video
            lengths[video] = (0.0, stamp)
    workers = 1 if where.workers == "ray" else where.workers or os.cpu_count() or 1
    for file, result in each(_seconds, list(unknown), workers, apart=where.apart):
        video = unknown[file]
        if isinstance(result, RlldError):
            del lengths[video]
            faults[video] = str(result)
        else:
            lengths[video] = (result, lengths[video][1])
    return lengths, faults


def _seconds(file: Path) -> float:
    return round(probe(file).duration, 3)


def _doubts(counts: Mapping[str, int], clips: int) -> list[str]:
    """Says what is odd about tags."""
    notes = []
    if alike := look_alike(counts):
        notes.append(f"{listed(alike)}; where one is meant, correct the tags and run again")
    if once := sorted(name for name, count in counts.items() if count == 1):
        notes.append(f"tagged once, which is too little to learn from: {listed(once)}")
    always = sorted(name for name, count in counts.items() if count == clips)
    if always and clips > 1:
        notes.append(
            f"tagged in every clip, so that nothing tells when it does not occur: {listed(always)}"
        )
    return notes


def _spec(
    out: Path,
    wanted: Wanted,
    classes: Sequence[str],
    lengths: Mapping[str, tuple[float, str]],
) -> DataSpec:
    old = read_spec(out) if (out / FILE_NAME).is_file() else None
    seconds = wanted.segment_seconds or (old.segment_seconds if old else 1.0)
    whole = max(1, round(median(length for length, _ in lengths.values()) / seconds))
    name = Path(os.path.abspath(out)).name
    made = DataSpec(name, tuple(classes), whole, seconds, annotations=AnnotationFiles())
    Taxonomy(made.classes)
    features = wanted.features or (old.features if old else "light")
    made = replace(made, features=features)
    if old is None:
        return made
    return replace(
        made,
        streams=old.streams if features == old.features else {},
        features_version=old.features_version,
        overrides=old.overrides,
        annotations=replace(made.annotations, answers=old.annotations.answers),
    )


def _splits(tags: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return {"train": tuple(tags)}


def _write(
    out: Path,
    spec: DataSpec,
    splits: Mapping[str, Sequence[str]],
    tags: Mapping[str, Sequence[str]],
    listing: Mapping[str, Listed],
    left: Mapping[str, str],
) -> None:
    """Writes the data set but for its features."""
    files = replace(
        spec.annotations,
        **{split: "" for split in SPLITS if split not in splits},
        **({} if "validation" in splits else {"audio": "", "visual": ""}),
    )
    index = {name: at for at, name in enumerate(spec.classes)}
    for split, videos in splits.items():
        labels = np.zeros((len(videos), len(index)), np.uint8)
        for row, video in enumerate(videos):
            labels[row, [index[tag] for tag in tags[video]]] = 1
        write_weak(out / ANNOTATIONS / getattr(files, split), videos, labels, spec.taxonomy)
    _link(out / VIDEOS, {video: Path(known.file) for video, known in listing.items()})
    rows = [
        (video, known.file, known.split, repr(known.seconds), known.stamp)
        for video, known in sorted(listing.items())
    ]
    write_text(out / LISTING, sheet_text([COLUMNS, *rows]))
    if left:
        write_text(out / LEFT_OUT, sheet_text([("file", "reason"), *sorted(left.items())]))
    else:
        (out / LEFT_OUT).unlink(missing_ok=True)
    write_text(out / FILE_NAME, spec_text(replace(spec, annotations=files)))


def _link(folder: Path, clips: Mapping[str, Path]) -> None:
    """Makes a folder of links to the clips, named by their ids."""
    folder.mkdir(parents=True, exist_ok=True)
    links = {f"{video}{clip.suffix}": clip for video, clip in clips.items()}
    for entry in folder.iterdir():
        if entry.is_symlink() and links.get(entry.name) != Path(os.readlink(entry)):
            entry.unlink()
    for name, clip in links.items():
        link = folder / name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(clip)
