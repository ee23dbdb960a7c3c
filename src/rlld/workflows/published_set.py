"""A published data set from its files to a checked data-set folder, with what there is of it.

Its videos are partly gone, always: those of which nothing is found are left out of features and
annotations alike, and listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rlld.data.checks.check import check
from rlld.data.pack import PackReport, pack
from rlld.data.problems import Problem, strict
from rlld.data.sets import annotate, features_of_set, load_set, spec_of
from rlld.data.sets.base import SECONDS, PublishedSet, SetEvent
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    VIDEOS,
    DataSpec,
    read_spec,
    spec_text,
    weak_files,
)
from rlld.data.store import store_path
from rlld.errors import RlldError
from rlld.features.job import FAILED, Where, settle
from rlld.features.to_stores import extract_dataset
from rlld.media.files import clip_of, clips_of_videos
from rlld.media.gathered import seconds_of
from rlld.media.listing import link_clips
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.utils.console import progress
from rlld.utils.files import write_text
from rlld.workflows.collected import (
    FOREIGN,
    NOTES,
    REPAIRED,
    Collected,
    Missing,
    counts,
    list_missing,
    list_texts,
)

TOO_LONG = 1.5
"""How many times as long as its annotation a clip is that is probably the whole video."""


def from_features(name: str, annotations: Path, features: Path, out: Path) -> Collected:
    """Makes a data set from the published features.

    Args:
        name: The data set.
        annotations: Folder (or file) of the published annotation.
        features: Folder of the published features.
        out: Data-set folder to be made.

    Raises:
        RlldError: If ``out`` is a data set already, files are wrong, or no features can be used.
    """
    given, told = _read(name, annotations, out)
    finder = features_of_set(name, features)
    finder.meet(given)
    files = {video: finder.find(video) for video in given.videos}
    found = [video for video, (_, problems) in files.items() if not problems]
    if not found:
        raise RlldError(
            f"{features}: no video of {name} has all its features there "
            f"({next(iter(files.values()))[1][0]}); give the folder of the published ones"
        )
    lengths: dict[str, float] = {}
    notes: dict[str, tuple[str, ...]] = {}
    with progress("looking at features", len(found)) as tick:
        for video in found:
            seconds, note = finder.length(video, files[video][0])
            lengths[video] = max(float(seconds), 1.0)
            notes |= {video: (note,)} if note else {}
            tick()
    strangers = finder.names() - given.videos.keys()
    foreign = dict.fromkeys(strangers, f"no video of {name}")
    _list(out, given, found, foreign, notes)
    used = given.only(found)
    spec = replace(spec_of(used), streams=finder.streams)
    faults = _annotated(out, used, spec, lengths, told)
    packed = pack(out / ANNOTATIONS, features, out, spec, skip_missing=True, finder=finder)
    return _collected(out, given, found, foreign, packed, notes=notes, repaired=faults)


def from_clips(
    name: str,
    annotations: Path,
    videos: Path,
    out: Path,
    extractors: str,
    where: Where | None = None,
    tracks: TrackChoice = AS_PLAYED,
) -> Collected:
    """Makes a data set from a folder of its clips.

    Args:
        name: The data set.
        annotations: Folder (or file) of the published annotation.
        videos: Folder of the clips, named by the id, or by the YouTube id in it.
        out: Data-set folder to be made; ``videos/`` in it holds links.
        extractors: What extracts the features, see ``rlld.features.load_extractor``.
        where: Where to compute.
        tracks: Which of several tracks of a clip are described; those of a player when not given.

    Raises:
        RlldError: If ``out`` is a data set already, files are wrong, or no clip can be used.
    """
    given, told = _read(name, annotations, out)
    clips = clips_of_videos(videos)
    found = {video: clip for video in given.videos if (clip := clip_of(clips, video))}
    if not found:
        raise RlldError(
            f"{videos}: none of its {len(clips)} clips is a video of {name}; clips are named by "
            f"the ids of the annotation ({next(iter(given.videos))}.mp4)"
        )
    strangers = clips.keys() - {clip.stem for clip in found.values()}
    foreign = dict.fromkeys(strangers, f"no video of {name}")
    _list(out, given, found, foreign, {})
    lengths, failed = _lengths(given, found)
    while True:
        usable = [video for video in found if video not in failed]
        settle(out / FAILED, failed, skip=True, otherwise="")
        if not usable:
            raise RlldError(
                f"{videos}: none of its {len(found)} clips of {name} could be used, the reasons "
                f"are in {out / FAILED}; get them again"
            )
        used = given.only(usable)
        spec = replace(spec_of(used), features=extractors)
        faults = _annotated(out, used, spec, lengths, told)
        link_clips(out / VIDEOS, {video: found[video] for video in usable})
        write_text(out / FILE_NAME, spec_text(spec))
        done = extract_dataset(
            out, extractors, where=where, skip_failed=True, tracks=tracks, alone=True
        )
        if not done.failed:
            break
        failed |= done.failed  # their features are zero so far: made again without them
    packed = PackReport(counts(_by_split(used)), len(failed), "")
    notes = done.notes
    list_texts(out / NOTES, {video: "; ".join(texts) for video, texts in notes.items()})
    return _collected(out, given, found, foreign, packed, failed, notes, faults)


def _read(name: str, annotations: Path, out: Path) -> tuple[PublishedSet, list[Problem]]:
    """Reads the published files, and what they say that cannot be used."""
    if finished(out):
        raise RlldError(f"{out}: already holds a data set; choose another folder or delete it")
    if not annotations.exists():
        raise RlldError(f"{annotations}: no such folder; give that of the published annotation")
    told: list[Problem] = []

    def report(problem: Problem) -> None:
        strict(problem)
        told.append(problem)

    return load_set(name).read(annotations, report), told


def finished(out: Path) -> bool:
    """Says whether a folder holds a data set whose features are all there."""
    if not (out / FILE_NAME).is_file():
        return False
    spec = read_spec(out)
    return bool(spec.streams) and all(
        store_path(out, split).is_file() for split in weak_files(spec)
    )


def _by_split(given: PublishedSet) -> dict[str, list[str]]:
    return {split: given.of(split) for split in weak_files(spec_of(given))}


def _list(
    out: Path,
    given: PublishedSet,
    found: Mapping[str, object] | list[str],
    foreign: Mapping[str, str],
    notes: Mapping[str, tuple[str, ...]],
) -> None:
    missing = []
    for video, known in given.videos.items():
        if video not in found:
            times = ("", "") if known.end is None else (f"{known.start:g}", f"{known.end:g}")
            missing.append(Missing(video, known.split, known.youtube, *times))
    list_missing(out, missing)
    list_texts(out / FOREIGN, foreign)
    list_texts(out / NOTES, {video: "; ".join(texts) for video, texts in notes.items()})


def _lengths(
    given: PublishedSet, found: Mapping[str, Path]
) -> tuple[dict[str, float], dict[str, str]]:
    """Returns seconds of clips, and why others are of no use."""
    lengths: dict[str, float] = {}
    failed: dict[str, str] = {}
    with progress("measuring clips", len(found)) as tick:
        for video, path in found.items():
            try:
                lengths[video] = max(seconds_of(path), 1.0)
            except RlldError as error:
                failed[video] = str(error)
            known = given.videos[video]
            wanted = known.seconds or (None if given.any_length else SECONDS)
            if wanted and lengths.get(video, 0.0) > wanted * TOO_LONG:
                failed[video] = (
                    f"{path}: lasts {lengths[video]:.0f} s and not {wanted:.0f} s, probably "
                    f"another video or the whole one; cut out the annotated part, from second "
                    f"{known.start:g} on"
                )
            tick()
    return lengths, failed


def _annotated(
    out: Path,
    given: PublishedSet,
    spec: DataSpec,
    lengths: Mapping[str, float],
    told: list[Problem],
) -> tuple[str, ...]:
    """Writes the annotation files, and lists what is wrong with the published ones."""
    faults = annotate(out, given, spec, lengths)
    texts = [str(problem) for problem in told] + [_fault(*fault) for fault in faults]
    if texts:
        write_text(out / REPAIRED, "\n".join(texts) + "\n")
    else:
        (out / REPAIRED).unlink(missing_ok=True)
    return tuple(texts)


def _fault(event: SetEvent, text: str) -> str:
    return f"{event.place}: {event.label} of {event.video!r} {text}"


def _collected(
    out: Path,
    given: PublishedSet,
    found: Mapping[str, object] | list[str],
    foreign: dict[str, str],
    packed: PackReport,
    failed: dict[str, str] | None = None,
    notes: Mapping[str, tuple[str, ...]] | None = None,
    repaired: tuple[str, ...] = (),
) -> Collected:
    ids = _by_split(given)
    return Collected(
        out,
        counts(ids),
        counts(ids, found),
        foreign,
        packed,
        check(out),
        failed or {},
        dict(notes or {}),
        repaired,
    )
