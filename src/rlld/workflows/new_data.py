"""From a folder of clips and what their owner knows of them to a data set with features."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from rlld.data.imported import read_imported, with_imported
from rlld.data.own import Known, Place, doubts, known_of, placed, short, write_own
from rlld.data.spec import FILE_NAME, VIDEOS, DataSpec, read_spec
from rlld.data.tags.answered import read_answered
from rlld.data.tags.events import read_events
from rlld.data.tags.names import ClipNames
from rlld.errors import RlldError
from rlld.features import default_features
from rlld.features.job import JobReport, Where
from rlld.features.to_stores import extract_dataset, extractor_of_dataset
from rlld.media.files import stamp_of
from rlld.media.gathered import clips_below, lasting_ids, seconds_of
from rlld.media.listing import (
    LISTING,
    Listed,
    link_clips,
    read_former,
    read_listing,
    write_former,
    write_listing,
)
from rlld.utils.console import progress
from rlld.utils.files import held, write_text
from rlld.utils.pool import each
from rlld.utils.sheets import sheet_text
from rlld.workflows.tag_sources import clip_tags

LEFT_OUT = "left_out.tsv"
"""Clips that are no part of the data set, and names that mean no clip."""
TAGLESS = "no tag says what occurs in it"


@dataclass(frozen=True)
class Wanted:
    """What a data set is to be made of.

    Attributes:
        videos: Folder of the clips.
        tags: Where the tags are, as ``clip_tags`` takes it.
        columns: Which columns of it are read, as ``find_columns`` takes them.
        events: Tables of events with times; their clips are for validation and testing.
        answers: Tables of answers: whether the event of a tag is heard, and whether it is seen.
        test: How many of the clips of ``events`` are for testing: a number, or a share below 1.
        features: Extractors; those of before, or ``default_features``, when not given.
        segment_seconds: Length of a segment; that of before, or a second, when not given.
        where: Where to extract.
    """

    videos: Path
    tags: str | None = None
    columns: str | None = None
    events: tuple[Path, ...] = ()
    answers: tuple[Path, ...] = ()
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


@dataclass(frozen=True)
class _Found:
    """What was found before anything is written.

    Attributes:
        clips: Number of clips.
        ids: The clips by id.
        paths: Path of each inside its folder.
        known: What is known of those that can be used.
        lengths: Seconds and stamp of each of these.
        left: Why others are left out.
        strangers: Names of the tables that mean no clip.
        notes: How the tables were read.
    """

    clips: int
    ids: dict[str, Path]
    paths: dict[str, str]
    known: Known
    lengths: dict[str, tuple[float, str]]
    left: dict[str, str]
    strangers: tuple[str, ...]
    notes: tuple[str, ...]

    def without(self, faults: Mapping[str, str]) -> _Found:
        """Returns the rest when some clips turn out to be of no use."""
        rest = self.known.only([video for video in self.known.tags if video not in faults])
        return replace(self, known=rest, left=self.left | dict(faults))


def new_data(out: Path, wanted: Wanted) -> NewReport:
    """Makes a data set of a folder of clips, or brings one up to date that was made so.

    No clip is copied: ``videos/`` holds links. A clip whose tags are not known, or that cannot be
    read, is left out.

    Args:
        out: The data-set folder.
        wanted: What it is made of.

    Raises:
        RlldError: If the folder holds something else, or tags cannot be read, or no clip can.
    """
    with held(out / FILE_NAME):
        old, before = _before(out)
        _require_apart(wanted.videos, out)
        extractor_of_dataset(_features(wanted, old))
        found = _gathered(out, wanted, before)
        while True:
            report = _made(out, wanted, found, old, before)
            if not report.extracted.failed:
                return report
            # Their features are zero so far: the data set is made again without them.
            found = found.without(report.extracted.failed)


def _gathered(out: Path, wanted: Wanted, before: Mapping[str, Listed]) -> _Found:
    clips = clips_below(wanted.videos, out / VIDEOS)
    files, reserved = _lasting(wanted, clips, before)
    ids = lasting_ids(clips, files, reserved)
    paths = {video: clips[file] for video, file in ids.items()}
    root = os.path.abspath(wanted.videos)
    tags = clip_tags(wanted.tags, ids, paths, wanted.columns, root)
    names = ClipNames(paths, root, gone=tags.strangers)
    events = with_imported(read_events(wanted.events, names), read_imported(out), ids)
    answers = read_answered(wanted.answers, names)
    known = known_of(tags.of, events.rows, events.videos, answers.rows)
    lengths, faults = _lengths({video: ids[video] for video in known.tags}, before, wanted)
    left = {video: TAGLESS for video in ids if video not in known.tags}
    return _Found(
        len(clips),
        ids,
        paths,
        known.only([video for video in ids if video in lengths]),
        lengths,
        left | faults,
        tuple(dict.fromkeys((*tags.strangers, *events.strangers, *answers.strangers))),
        (*tags.notes, *events.notes, *answers.notes),
    )


def _lasting(
    wanted: Wanted, clips: Collection[Path], before: Mapping[str, Listed]
) -> tuple[dict[str, str], set[str]]:
    """Returns the ids of clips by path, and those of clips that are gone.

    What is known of a clip that left is not true of another one of its name. One that was moved
    inside the folder is told by its stamp; where all clips are in another folder now, names tell.
    """
    files = {known.file: video for video, known in before.items() if known.file}
    here, root = {os.path.abspath(clip) for clip in clips}, os.path.abspath(wanted.videos)
    gone = {
        video: known.stamp
        for video, known in before.items()
        if known.file not in here and (not known.file or Path(known.file).is_relative_to(root))
    }
    fresh: dict[str, list[str]] = defaultdict(list)
    for file in sorted(here - files.keys()) if gone else ():
        fresh[_stamp(file)].append(file)
    left = {stamp: video for video, stamp in gone.items()}
    moved = {own[0]: left[stamp] for stamp, own in fresh.items() if stamp in left and len(own) == 1}
    return files | moved, gone.keys() - set(moved.values())


def _former(
    root: Path, found: _Found, listing: Collection[str], before: Mapping[str, Listed]
) -> dict[str, Listed]:
    """Returns the clips that were listed once and are not now, without the names of those gone."""
    former = {}
    for video, known in before.items():
        if video in listing:
            continue
        if video in found.ids:  # left out this time
            former[video] = known._replace(file=os.path.abspath(found.ids[video]))
        elif Path(known.file).is_relative_to(os.path.abspath(root)):
            former[video] = known._replace(file="")
        else:
            former[video] = known
    return former


def _stamp(file: str) -> str:
    try:
        return stamp_of(Path(file))
    except RlldError:  # told where it is measured
        return ""


def _made(
    out: Path, wanted: Wanted, found: _Found, old: DataSpec | None, before: Mapping[str, Listed]
) -> NewReport:
    """Writes the data set and extracts its features."""
    known = found.known
    counts = Counter(tag for words in known.tags.values() for tag in words)
    if not counts:
        raise RlldError(f"{wanted.videos}: {_tagless(found)}")
    spec = _spec(out, wanted, known, found.lengths, old)
    places = {video: Place(at.split, at.seconds) for video, at in before.items()}
    splits = placed(known, wanted.test, places)
    home = {video: split for split, videos in splits.items() for video in videos}
    listing = {
        video: Listed(os.path.abspath(found.ids[video]), home[video], *found.lengths[video])
        for video in sorted(home)
    }
    left_out = {found.paths[video]: text for video, text in sorted(found.left.items())}
    lengths = {video: at.seconds for video, at in listing.items()}

    def listed() -> None:
        link_clips(out / VIDEOS, {video: found.ids[video] for video in listing})
        write_former(out, _former(wanted.videos, found, listing, before))
        write_listing(out, listing)

    write_own(out, spec, splits, known, lengths, listed)
    _write_left_out(out / LEFT_OUT, left_out, found.strangers)
    features = _features(wanted, old)
    extracted = extract_dataset(out, features, where=wanted.where, skip_failed=True, alone=True)
    odd = (*doubts(counts, len(known.tags)), *short(known.events, spec))
    notes = (*known.notes, *odd, *found.notes)
    counted, made = dict(counts), read_spec(out)
    return NewReport(
        found.clips, made, splits, counted, left_out, found.strangers, notes, extracted
    )


def _before(out: Path) -> tuple[DataSpec | None, dict[str, Listed]]:
    """Returns what earlier calls made, and the clips that they knew."""
    if not (out / FILE_NAME).is_file():
        return None, {}
    if not (out / LISTING).is_file():
        raise RlldError(
            f"{out}: holds a data set that 'rlld data new' did not make; choose another folder"
        )
    return read_spec(out), read_former(out) | read_listing(out)


def _require_apart(videos: Path, out: Path) -> None:
    """Refuses the links of a data set as its clips."""
    here, made = Path(os.path.realpath(videos)), Path(os.path.realpath(out / VIDEOS))
    if here.is_relative_to(made):
        raise RlldError(
            f"{videos}: is where the data set keeps links to its clips; give the folder that the "
            "clips themselves are in, or choose another data-set folder"
        )


def _tagless(found: _Found) -> str:
    faults = [text for text in found.left.values() if text != TAGLESS]
    if faults:
        return f"none of its tagged clips can be read: {faults[0]}"
    known = len(found.known.tags)
    if not known:
        return (
            f"no tag says what occurs in any of its {found.clips:,} clips: cells are empty, '?' or "
            "'n/a'; write what occurs there, or 'none' where nothing does"
        )
    return (
        f"no clip has a tag: of {found.clips:,}, {known:,} are said to be empty and of the others "
        "nothing is known; tag some"
    )


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
    with progress("measuring clips", len(unknown)) as tick:
        for file, result in each(seconds_of, list(unknown), processes, apart=wanted.where.apart):
            tick()
            video = unknown[file]
            if isinstance(result, RlldError):
                faults[video] = str(result)
            else:
                lengths[video] = (result, stamps[video])
    return lengths, faults


def _features(wanted: Wanted, old: DataSpec | None) -> str:
    return wanted.features or (old.features if old else default_features())


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
    differ = max(ends) - min(ends) > seconds / 2
    any_length = differ or (old is not None and old.any_length)
    features = _features(wanted, old)
    name = Path(os.path.abspath(out)).name
    made = DataSpec(name, known.classes, whole, seconds, features=features, any_length=any_length)
    if old is None:
        return made
    return replace(
        made,
        # Others are written down when they are there.
        streams=old.streams,
        features=old.features,
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
