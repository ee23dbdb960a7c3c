"""Packing features in the published layout into a data-set folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rlld.data.annotations import audio_version, read_dense, read_splits
from rlld.data.answers import FILE, Answer, file_text, read_answers, write_answers
from rlld.data.dataset import video_ends
from rlld.data.lines import read_bytes, unquoted
from rlld.data.published import FeatureFinder, Finder, stream_folders
from rlld.data.spec import (
    ANNOTATIONS,
    FILE_NAME,
    LLP_SPEC,
    DataSpec,
    annotation_file,
    dense_files,
    read_spec,
    spec_text,
    weak_files,
)
from rlld.data.store import FeatureError, StoreWriter, holds, store_path
from rlld.errors import RlldError
from rlld.utils.console import ERR, progress
from rlld.utils.files import owned, write_bytes, write_text
from rlld.utils.plain import parsed

SHOWN = 20
PROBLEMS_FILE = "problems.txt"
SKIPPED_FILE = "skipped.txt"
MANIFEST = "manifest.json"
"""What ``rlld extract`` records beside features."""


@dataclass(frozen=True)
class PackReport:
    """What was packed.

    Attributes:
        videos: Number of videos by split.
        skipped: Number of videos left out; they are listed in ``skipped.txt``.
        audio_version: Which of the two circulating LLP audio files was used, empty for others.
        answers: Number of bare answers.
    """

    videos: dict[str, int]
    skipped: int
    audio_version: str
    answers: int = 0


def pack(
    annotations: Path,
    features: Path,
    out: Path,
    spec: DataSpec = LLP_SPEC,
    *,
    dtype: str = "float32",
    audio_file: str | None = None,
    skip_missing: bool = False,
    answers: Path | None = None,
    finder: Finder | None = None,
) -> PackReport:
    """Makes a data-set folder from annotation files and published features.

    Memory stays flat. A run that was interrupted goes on when it is called again; files that
    changed since are read again. ``dataset.yaml`` is written last and makes the folder a data set.

    Args:
        annotations: Folder of the annotation files; they are copied.
        features: Folder of the stream folders.
        out: Folder to be made.
        spec: The data set; with ``any_length`` its segments are set to those of the longest video.
        dtype: Element type of the stores: ``float32``, ``float16`` or ``bfloat16``.
        audio_file: Another name for the file of audible events.
        skip_missing: Leave out videos whose features are missing or damaged, list them in
            ``skipped.txt`` and drop them from the annotations, instead of failing.
        answers: A file of bare answers; without it that of ``spec.annotations.answers``.
        finder: What finds and reads the features where they lie in another layout.

    Raises:
        RlldError: If ``out`` already holds a data set, an annotation file is wrong, or features
            are missing, truncated, misshapen, or not finite. All of them are listed in
            ``problems.txt``.
    """
    if audio_file is not None:
        spec = replace(spec, annotations=replace(spec.annotations, audio=audio_file))
    spec.require_streams(f"data set {spec.name!r}")
    with owned(out):
        return _pack(_Job(annotations, features, out, dtype, skip_missing), spec, answers, finder)


class _Job(NamedTuple):
    """What ``pack`` was told: where from, where to, and how."""

    annotations: Path
    features: Path
    out: Path
    dtype: str
    skip_missing: bool


def _pack(job: _Job, spec: DataSpec, answers: Path | None, finder: Finder | None) -> PackReport:
    annotations, out = job.annotations, job.out
    ids = _read_annotations(annotations, spec)
    if answers is None and spec.annotations.answers:
        answers = annotation_file(annotations, spec.annotations.answers)
    given = read_answers(answers, spec.taxonomy) if answers else []
    spec = replace(
        spec,
        annotations=replace(spec.annotations, answers=FILE if given else ""),
        features_version=_version(job.features) or spec.features_version,
    )
    if (out / FILE_NAME).exists():
        return _packed_before(job, _as_long(spec, out), ids, given)
    if finder is None:
        everyone = [video for split in ids.values() for video in split]
        finder = FeatureFinder(stream_folders(job.features, spec), spec, everyone)
    spec, kept, problems = _fill(job, spec, ids, finder)
    for file in annotation_names(spec):
        _copy_annotations(
            annotation_file(annotations, file),
            annotation_file(out / ANNOTATIONS, file),
            frozenset(problems),
        )
    if given:
        write_answers(out / ANNOTATIONS / FILE, (a for a in given if a.video not in problems))
    write_text(out / FILE_NAME, spec_text(spec))
    return _report(annotations, spec, kept, len(problems), len(given))


def _packed_before(
    job: _Job, spec: DataSpec, ids: Mapping[str, Sequence[str]], given: Sequence[Answer]
) -> PackReport:
    """Reports of a data set that holds what this call would make, and of no other."""
    skipped = _skipped(job.out) if job.skip_missing else frozenset()
    if not _is_packed(job, spec, ids, given, skipped):
        raise RlldError(f"{job.out}: already holds a data set; choose another folder or delete it")
    ERR.print(f"{job.out}: finished already; to pack changed features, delete it")
    return _report(job.annotations, spec, _kept(ids, skipped), len(skipped), len(given))


def _fill(
    job: _Job, spec: DataSpec, ids: Mapping[str, Sequence[str]], finder: Finder
) -> tuple[DataSpec, dict[str, list[str]], dict[str, list[str]]]:
    """Fills the stores of all splits.

    Returns:
        The specification with the segments of the longest video, the videos that are there by
        split, and what is wrong with the others.
    """
    problems: dict[str, list[str]] = {}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                StoreWriter(
                    store_path(job.out, split),
                    split,
                    spec,
                    dtype=job.dtype,
                    provenance=provenance(spec),
                )
            )
            for split in ids
        }
        for split, writer in writers.items():
            problems |= _pack_split(split, ids[split], writer, finder)
        _settle_problems(job.out, problems, job.skip_missing)
        kept = _kept(ids, problems)
        lengths = {
            video: count
            for split, writer in writers.items()
            for video, count in (writer.lengths or {}).items()
            if video in kept[split]
        }
        if spec.any_length:
            spec = replace(spec, segments=max(lengths.values(), default=1))
            _require_ends(job.annotations, spec, lengths)
        for split, videos in kept.items():
            if not videos:
                raise RlldError(
                    f"{job.features}: no usable features for any of the {len(ids[split])} {split} "
                    "videos; check the folder"
                )
        for split, writer in writers.items():
            writer.finish(kept[split])
    return spec, kept, problems


def _as_long(spec: DataSpec, out: Path) -> DataSpec:
    """Returns the specification with the segments that packing found, where it finds them."""
    return replace(spec, segments=read_spec(out).segments) if spec.any_length else spec


def _report(
    annotations: Path, spec: DataSpec, kept: Mapping[str, list[str]], skipped: int, answers: int
) -> PackReport:
    audio = spec.annotations.audio
    version = audio_version(annotation_file(annotations, audio)) if audio else ""
    counts = {split: len(videos) for split, videos in kept.items()}
    return PackReport(counts, skipped, version, answers)


def _kept(ids: Mapping[str, Sequence[str]], dropped: Container[str]) -> dict[str, list[str]]:
    return {split: [v for v in videos if v not in dropped] for split, videos in ids.items()}


def _skipped(out: Path) -> frozenset[str]:
    """Returns the videos that an earlier call left out."""
    path = out / SKIPPED_FILE
    if not path.is_file():
        return frozenset()
    lines = read_bytes(path).decode(errors="replace").splitlines()
    return frozenset(line.partition("\t")[0] for line in lines)


def _is_packed(
    job: _Job,
    spec: DataSpec,
    ids: Mapping[str, Sequence[str]],
    given: Sequence[Answer],
    skipped: frozenset[str],
) -> bool:
    """Says whether a folder holds what packing these files gives; features are not compared."""
    out = job.out
    expected = {
        annotation_file(out / ANNOTATIONS, file): _rows(
            annotation_file(job.annotations, file), skipped
        )
        for file in annotation_names(spec)
    }
    expected[out / FILE_NAME] = spec_text(spec).encode()
    if given:
        answers = file_text(a for a in given if a.video not in skipped)
        expected[out / ANNOTATIONS / FILE] = answers.encode()
    return all(
        path.is_file() and path.read_bytes() == content for path, content in expected.items()
    ) and all(
        holds(store_path(out, split), videos, provenance(spec), job.dtype)
        for split, videos in _kept(ids, skipped).items()
    )


def provenance(spec: DataSpec) -> str:
    """Describes imported features, for the metadata of a store."""
    parts = [
        f"{name} from {stream.folder}"
        + (f", mean of {stream.frames} frames" if stream.frames > 1 else "")
        for name, stream in spec.streams.items()
    ]
    return f"{spec.features} features: " + "; ".join(parts)


def _version(features: Path) -> str:
    """Returns the version of the extractors, which ``rlld extract`` records beside features."""
    path = features / MANIFEST
    if not path.is_file():
        return ""
    try:
        version = parsed(path.read_text(encoding="utf-8")).get("version", "")
    except (OSError, ValueError, AttributeError) as error:
        raise RlldError(f"{path}: no manifest of features ({error}); delete it") from None
    return str(version)


def annotation_names(spec: DataSpec) -> list[str]:
    """Returns the names of all annotation files that a data set has, each once."""
    weak = weak_files(spec)
    dense = [file for split in weak for file in dense_files(spec, split)]
    return list(dict.fromkeys([*weak.values(), *dense]))


def _read_annotations(folder: Path, spec: DataSpec) -> dict[str, tuple[str, ...]]:
    """Reads all annotation files strictly and returns the videos of every split."""
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; give the folder of the annotation files")
    ids = {split: weak.ids for split, weak in read_splits(folder, spec).items()}
    for split, videos in ids.items():
        if not videos:
            path = annotation_file(folder, weak_files(spec)[split])
            raise RlldError(
                f'{path}: lists no video; add a row for each, or write {split}: "" under '
                "annotations if there is no such split"
            )
    for file in {file for split in ids for file in dense_files(spec, split)}:
        end = None if spec.any_length else spec.duration
        read_dense(annotation_file(folder, file), spec.taxonomy, end)
    twice = [v for v, n in Counter(v for videos in ids.values() for v in videos).items() if n > 1]
    if twice:
        raise RlldError(
            f"{folder}: video '{twice[0]}' is in two splits ({len(twice)} such videos); keep every "
            "video in one"
        )
    return ids


def _require_ends(folder: Path, spec: DataSpec, lengths: Mapping[str, int]) -> None:
    """Refuses events that lie behind the end of their video."""
    ends = video_ends(tuple(lengths), lengths.values(), spec)
    for file in {file for split in weak_files(spec) for file in dense_files(spec, split)}:
        read_dense(annotation_file(folder, file), spec.taxonomy, ends)


def _pack_split(
    split: str, ids: Sequence[str], writer: StoreWriter, finder: Finder
) -> dict[str, list[str]]:
    """Adds the videos of a split that are not yet there; returns the problems of the others."""
    problems: dict[str, list[str]] = {}
    done = writer.done
    with progress(f"packing {split}", len(ids)) as tick:
        for video in ids:
            files, found = finder.find(video)
            stamp = _stamp(files)
            if found or done.get(video) != stamp:
                found += _pack_video(video, files, stamp, writer, finder, add=not found)
            if found:
                problems[video] = [f"{split}: {text}" for text in found]
            tick()
    return problems


def _pack_video(
    video: str,
    files: Mapping[str, Path],
    stamp: str,
    writer: StoreWriter,
    finder: Finder,
    *,
    add: bool,
) -> list[str]:
    streams, problems = finder.rows(video, files)
    if add and not problems:
        try:
            writer.add(video, streams, stamp)
        except FeatureError as error:
            problems.append(str(error).removeprefix(f"video {video!r}: "))
    return problems


def _stamp(files: Mapping[str, Path]) -> str:
    """Changes when one of the files is replaced."""
    stats = [(path, path.stat()) for path in files.values()]
    return " ".join(f"{path}|{stat.st_size}|{stat.st_mtime_ns}" for path, stat in stats)


def _settle_problems(out: Path, problems: Mapping[str, list[str]], skip: bool) -> None:
    """Lists problems in a file, and refuses them unless they are to be skipped."""
    for name in (PROBLEMS_FILE, SKIPPED_FILE):
        (out / name).unlink(missing_ok=True)
    if not problems:
        return
    lines = [f"{video}\t{text}" for video, texts in problems.items() for text in texts]
    listing = out / (SKIPPED_FILE if skip else PROBLEMS_FILE)
    write_text(listing, "\n".join(lines) + "\n")
    if skip:
        return
    shown = "; ".join(line.replace("\t", " ") for line in lines[:SHOWN])
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    raise RlldError(
        f"features of {len(problems)} videos cannot be packed: {shown}{more} (all are listed in "
        f"{listing}); correct them and run again, or leave them out with --skip-missing"
    )


def _copy_annotations(source: Path, target: Path, dropped: frozenset[str]) -> None:
    """Copies a file byte for byte, without the rows of dropped videos."""
    write_bytes(target, _rows(source, dropped))


def _rows(source: Path, dropped: frozenset[str]) -> bytes:
    lines = read_bytes(source).splitlines(keepends=True)
    kept = [line for line in lines if unquoted(line.decode().partition("\t")[0]) not in dropped]
    return b"".join(kept)
