"""LLP from the start to the end: clips or published features in, a packed, checked data set out.

Whoever collects LLP today has some of its clips, rarely all. What is there is used: videos without
a clip are left out of features and annotations alike, and splits without any video left as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rlld.data.annotations import YOUTUBE_ID, read_splits
from rlld.data.checks.check import CheckReport, check
from rlld.data.pack import PackReport, pack
from rlld.data.published import FeatureFinder, stream_folders
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    LLP_FILES,
    LLP_SPEC,
    DataSpec,
    read_spec,
)
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.job import FAILED, Where, settle
from rlld.features.to_files import extract_files
from rlld.media.decode import probe
from rlld.media.files import clip_of, clips_of_videos
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.workflows.collected import (
    FOREIGN,
    NOTES,
    Collected,
    Ids,
    Missing,
    counts,
    list_missing,
    list_texts,
)

LONGEST = 15.0
"""Seconds from which a clip is no LLP clip of 10 s, but probably the whole video."""


def from_clips(
    annotations: Path,
    videos: Path,
    out: Path,
    extractors: str,
    features: Path | None = None,
    where: Where | None = None,
    tracks: TrackChoice = AS_PLAYED,
) -> Collected:
    """Makes a data set from a folder of LLP clips.

    Extraction and packing go on where they were interrupted when this is called again.

    Args:
        annotations: Folder of the published annotation files.
        videos: Folder of the clips, named by the whole id or by the YouTube id in it.
        out: Data-set folder to be made.
        extractors: What extracts the features, see ``rlld.features.load_extractor``.
        features: Folder for the features, ``<out>.features`` when not given; one ``.npy`` file
            per video and stream, named by the YouTube id as the published ones are.
        where: Where to compute.
        tracks: Which of several tracks of a clip are described; those of a player when not given.

    Raises:
        RlldError: If ``out`` is a data set already, files are wrong, or no clip can be used.
    """
    ids = _ids(annotations, out)
    features = features or out.with_name(f"{out.name}.features")
    streams = load_extractor(extractors).streams(LLP_SPEC.segment_seconds)
    spec = replace(LLP_SPEC, streams=streams, features=extractors)
    clips = clips_of_videos(videos)
    found = {video: clip for video in _all(ids) if (clip := clip_of(clips, video))}
    foreign = _foreign(set(clips) - {clip.stem for clip in found.values()}, ids)
    if not found:
        raise RlldError(
            f"{videos}: none of its {len(clips)} clips is a video of LLP; clips are named by the "
            "id of the annotation files (BjCEufrlXm4_20_30.mp4) or by its first 11 characters"
        )
    _list_missing(out, ids, found)
    list_texts(out / FOREIGN, foreign)
    named = {video[:YOUTUBE_ID]: path for video, path in found.items()}
    done = {file.stem for file in stream_folders(features, spec)["audio"].glob("*.npy")}
    failed = {
        video[:YOUTUBE_ID]: text
        for video, path in found.items()
        if video[:YOUTUBE_ID] not in done and (text := _too_long(video, path))
    }
    report = extract_files(
        {name: path for name, path in named.items() if name not in failed},
        features,
        extractors,
        segment_seconds=spec.segment_seconds,
        segments=spec.segments,
        where=where,
        skip_failed=True,
        tracks=tracks,
    )
    failed |= report.failed
    settle(out / FAILED, failed, skip=True, otherwise="")
    list_texts(out / NOTES, {video: "; ".join(notes) for video, notes in report.notes.items()})
    if not report.clips:
        raise RlldError(
            f"{videos}: none of its {len(found)} LLP clips could be used, the reasons are in "
            f"{out / FAILED}; get them again"
        )
    packed, checked = _packed(annotations, features, out, spec, ids)
    return Collected(
        out, counts(ids), counts(ids, found), foreign, packed, checked, failed, report.notes
    )


def from_features(annotations: Path, features: Path, out: Path) -> Collected:
    """Makes a data set from the published features.

    Args:
        annotations: Folder of the published annotation files.
        features: Folder with ``vggish``, ``res152`` and ``r2plus1d_18``.
        out: Data-set folder to be made.

    Raises:
        RlldError: If ``out`` is a data set already, files are wrong, or no features can be used.
    """
    ids = _ids(annotations, out)
    found = _with_features(features, LLP_SPEC, ids)
    if not found:
        folders = ", ".join(stream.folder for stream in LLP_SPEC.streams.values())
        raise RlldError(
            f"{features}: no video of LLP has a file in each of {folders}; files are named by the "
            "first 11 characters of the id (BjCEufrlXm4.npy)"
        )
    names = {
        file.stem
        for folder in stream_folders(features, LLP_SPEC).values()
        for file in folder.glob("*.npy")
    }
    used = {name for video in _all(ids) for name in (video, video[:YOUTUBE_ID])}
    foreign = _foreign(names - used, ids)
    _list_missing(out, ids, found)
    list_texts(out / FOREIGN, foreign)
    packed, checked = _packed(annotations, features, out, LLP_SPEC, ids)
    return Collected(out, counts(ids), counts(ids, found), foreign, packed, checked)


def finished(out: Path) -> dict[str, int]:
    """Returns the videos of a finished data set by split; nothing when it is not finished."""
    if not (out / FILE_NAME).is_file():
        return {}
    annotated = read_splits(out / ANNOTATIONS, read_spec(out))
    return {split: len(weak.ids) for split, weak in annotated.items()}


ID = re.compile(r"(.+)_([\d.]+)_([\d.]+)")


def _all(ids: Ids) -> list[str]:
    return [video for videos in ids.values() for video in videos]


def _ids(annotations: Path, out: Path) -> dict[str, tuple[str, ...]]:
    """Reads which videos there are, before anything is made."""
    if (out / FILE_NAME).exists():
        raise RlldError(f"{out}: already holds a data set; choose another folder or delete it")
    if not annotations.is_dir():
        raise RlldError(
            f"{annotations}: no such folder; give the folder of LLP's annotation files "
            f"({LLP_FILES.train} and others)"
        )
    return {split: weak.ids for split, weak in read_splits(annotations, LLP_SPEC).items()}


def _too_long(video: str, path: Path) -> str:
    """Says why a clip cannot be that of a video, or nothing.

    The features of a whole YouTube video, cut after 10 s, would be silently those of other seconds
    than were annotated.
    """
    try:
        seconds = probe(path).duration
    except RlldError:
        return ""  # extraction will say what is wrong with it
    if seconds < LONGEST:
        return ""
    _, start, end = _parts(video)
    return (
        f"{path}: lasts {seconds:.0f} s, probably the whole video; cut out the annotated part, "
        f"second {start} to {end} of it"
    )


def _parts(video: str) -> tuple[str, str, str]:
    """Splits an id into YouTube id, start and end in seconds; these may be decimal."""
    parts = ID.fullmatch(video)
    return (parts[1], parts[2], parts[3]) if parts else (video, "", "")


def _list_missing(out: Path, ids: Ids, found: Iterable[str]) -> None:
    have = frozenset(found)
    missing = [
        Missing(video, split, *_parts(video))
        for split, videos in ids.items()
        for video in videos
        if video not in have
    ]
    list_missing(out, missing)


def _foreign(names: Iterable[str], ids: Ids) -> dict[str, str]:
    """Says of files that were used for no video why not."""
    whole = {video.lower(): video for video in _all(ids)}
    short = {video[:YOUTUBE_ID]: video for video in _all(ids)}
    folded = {name.lower(): name for name in short}
    found = {}
    for name in names:
        if name in short:
            text = f"a second clip of {short[name]}, whose file bears the whole id"
        elif name.lower() in whole or name.lower() in folded:
            right = whole.get(name.lower()) or folded[name.lower()]
            text = f"capital and small letters differ from {right}; rename it if it is that video"
        elif name[:YOUTUBE_ID] in short:
            right = short[name[:YOUTUBE_ID]]
            text = f"begins like {right} but is not named so; rename it if it is that video"
        else:
            text = "no video of LLP"
        found[name] = text
    return found


def _with_features(features: Path, spec: DataSpec, ids: Ids) -> list[str]:
    """Returns the videos that have a file of every stream."""
    finder = FeatureFinder(stream_folders(features, spec), spec, _all(ids))
    return [video for video in _all(ids) if not finder.find(video)[1]]


def _packed(
    annotations: Path, features: Path, out: Path, spec: DataSpec, ids: Ids
) -> tuple[PackReport, CheckReport]:
    """Packs what has features, without the splits of which nothing has, and checks it."""
    left = counts(ids, _with_features(features, spec, ids))
    files = replace(spec.annotations, **{split: "" for split, count in left.items() if not count})
    if not left["validation"] and not left["test"]:
        files = replace(files, audio="", visual="")  # nothing of theirs is used then
    packed = pack(annotations, features, out, replace(spec, annotations=files), skip_missing=True)
    return packed, check(out)
