"""From a folder of clips and what their owner knows of them to a data set with features."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from rlld.data.own import Known, Place, doubts, known_of, placed, write_own
from rlld.data.spec import FILE_NAME, DataSpec, read_spec
from rlld.data.tags.events import read_events
from rlld.data.tags.names import ClipNames
from rlld.errors import RlldError
from rlld.features.job import JobReport, Where
from rlld.features.to_stores import VIDEOS, extract_dataset
from rlld.media.files import stamp_of
from rlld.media.gathered import clips_below, lasting_ids, seconds_of
from rlld.media.listing import LISTING, Listed, link_clips, read_listing, write_listing
from rlld.utils.files import held, write_text
from rlld.utils.pool import each
from rlld.utils.sheets import sheet_text
from rlld.workflows.tag_sources import clip_tags

LEFT_OUT = "left_out.tsv"
"""Clips that are no part of the data set, and names that mean no clip."""


@dataclass(frozen=True)
class Wanted:
    """What a data set is to be made of.

    Attributes:
        videos: Folder of the clips.
        tags: Where the tags are, as ``clip_tags`` takes it.
        columns: Which columns of it are read, as ``find_columns`` takes them.
        events: Tables of events with times; their clips are for validation and testing.
        test: How many of those are for testing: a number, or a share of all below 1.
        features: Extractors; those of before, or ``light``, when not given.
        segment_seconds: Length of a segment; that of before, or a second, when not given.
        where: Where to extract.
    """

    videos: Path
    tags: str | None = None
    columns: str | None = None
    events: tuple[Path, ...] = ()
    test: float = 0
    features: str | None = None
    segment_seconds: float | None = None
    where: Where = field(default_factory=Where)


@dataclass(frozen=True)
class NewReport:
    """What was made.

    Attributes:
        clips: Clips that were found.
        spec: The data set.
        splits: Videos by split.
        counts: Clips of each class.
        left_out: Why clips are no part of it, by path.
        strangers: Names of the tables that mean no clip.
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
        old, before = _before(out)
        _require_apart(wanted.videos, out)
        clips = clips_below(wanted.videos, out / VIDEOS)
        ids = lasting_ids(clips, {known.file: video for video, known in before.items()})
        paths = {video: clips[file] for video, file in ids.items()}
        tags = clip_tags(wanted.tags, ids, paths, wanted.columns)
        events = read_events(wanted.events, ClipNames(paths))
        known = known_of(tags.of, events.rows, events.videos)
        left = {video: "no tag says what occurs in it" for video in ids if video not in known.tags}
        lengths, faults = _lengths({video: ids[video] for video in known.tags}, before, wanted)
        left |= faults
        known = known.only([video for video in ids if video in lengths])
        counts = Counter(tag for words in known.tags.values() for tag in words)
        if not counts:
            raise RlldError(f"{wanted.videos}: {_tagless(len(clips), faults)}")
        spec = _spec(out, wanted, known, lengths, old)
        places = {video: Place(at.split, at.seconds) for video, at in before.items()}
        splits = placed(known, wanted.test, places)
        notes = [*known.notes, *doubts(counts, len(known.tags)), *tags.notes, *events.notes]
        strangers = tuple(dict.fromkeys((*tags.strangers, *events.strangers)))
        home = {video: split for split, videos in splits.items() for video in videos}
        listing = {
            video: Listed(os.path.abspath(ids[video]), home[video], *lengths[video])
            for video in sorted(home)
        }
        left_out = {paths[video]: text for video, text in sorted(left.items())}
        write_own(out, spec, splits, known, {video: at.seconds for video, at in listing.items()})
        link_clips(out / VIDEOS, {video: ids[video] for video in listing})
        write_listing(out, listing)
        _write_left_out(out / LEFT_OUT, left_out, strangers)
        extracted = extract_dataset(out, spec.features, where=wanted.where)
    return NewReport(
        len(clips),
        read_spec(out),
        splits,
        dict(counts),
        left_out,
        strangers,
        tuple(notes),
        extracted,
    )


def _before(out: Path) -> tuple[DataSpec | None, dict[str, Listed]]:
    """Returns what an earlier call made."""
    if not (out / FILE_NAME).is_file():
        return None, {}
    if not (out / LISTING).is_file():
        raise RlldError(
            f"{out}: holds a data set that 'rlld data new' did not make; choose another folder"
        )
    return read_spec(out), read_listing(out)


def _require_apart(videos: Path, out: Path) -> None:
    """Refuses the links of a data set as its clips."""
    here, made = Path(os.path.realpath(videos)), Path(os.path.realpath(out / VIDEOS))
    if here.is_relative_to(made):
        raise RlldError(
            f"{videos}: is where the data set keeps links to its clips; give the folder that the "
            "clips themselves are in, or choose another data-set folder"
        )


def _tagless(clips: int, faults: Mapping[str, str]) -> str:
    if faults:
        return f"none of its tagged clips can be read: {next(iter(faults.values()))}"
    return f"all of its {clips:,} clips are said to be empty; tag those in which something occurs"


def _lengths(
    clips: Mapping[str, Path], before: Mapping[str, Listed], wanted: Wanted
) -> tuple[dict[str, tuple[float, str]], dict[str, str]]:
    """Returns seconds and stamp of every clip, and why others cannot be read."""
    lengths: dict[str, tuple[float, str]] = {}
    faults: dict[str, str] = {}
    unknown: dict[Path, str] = {}
    stamps: dict[str, str] = {}
    for video, file in clips.items():
        try:
            stamps[video] = stamp_of(file)
        except RlldError as error:
            faults[video] = str(error)
            continue
        if video in before and before[video].stamp == stamps[video]:
            lengths[video] = (before[video].seconds, stamps[video])
        else:
            unknown[file] = video
    workers = wanted.where.workers
    processes = 1 if workers == "ray" else workers or os.cpu_count() or 1
    for file, result in each(seconds_of, list(unknown), processes, apart=wanted.where.apart):
        video = unknown[file]
        if isinstance(result, RlldError):
            faults[video] = str(result)
        else:
            lengths[video] = (result, stamps[video])
    return lengths, faults


def _spec(
    out: Path,
    wanted: Wanted,
    known: Known,
    lengths: Mapping[str, tuple[float, str]],
    old: DataSpec | None,
) -> DataSpec:
    seconds = wanted.segment_seconds or (old.segment_seconds if old else 1.0)
    ends = [lengths[video][0] for video in known.tags]
    whole = max(1, round(median(ends) / seconds))
    any_length = max(ends) - min(ends) > seconds / 2
    features = wanted.features or (old.features if old else "light")
    name = Path(os.path.abspath(out)).name
    made = DataSpec(name, known.classes, whole, seconds, features=features, any_length=any_length)
    if old is None:
        return made
    return replace(
        made,
        streams=old.streams if features == old.features else {},
        features_version=old.features_version,
        overrides=old.overrides,
        priors=old.priors.only(known.classes),
        annotations=replace(made.annotations, answers=old.annotations.answers),
    )


def _write_left_out(path: Path, clips: Mapping[str, str], strangers: Sequence[str]) -> None:
    rows = [
        *clips.items(),
        *((name, "a name in the tables that means no clip") for name in strangers),
    ]
    if rows:
        write_text(path, sheet_text([("file", "reason"), *rows]))
    else:
        path.unlink(missing_ok=True)
