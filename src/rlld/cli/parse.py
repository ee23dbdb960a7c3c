"""Find the audible and visible events of clips: tables, JSON, CSV or a page to watch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import RlldError, nearest

if TYPE_CHECKING:
    from rlld.training.run_folder import Run
    from rlld.types import Event, Parse

PICTURES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv")
SOUNDS = (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus")
MEDIA = frozenset((*PICTURES, *SOUNDS))
"""Suffixes of what is taken from a folder of clips."""


@dataclass(frozen=True)
class Args:
    """Options of ``rlld parse``."""

    run: tyro.conf.Positional[Path]
    """Run folder of ``rlld train``."""
    clips: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Media files, or folders of them. Put -- before the first when a name starts with '-'."""
    tags: str | None = None
    """Classes that the clips are known to hold, Speech,Dog: no other class is reported, and no
    tag is dropped for a low video-level probability."""
    format: str | None = None
    """text, html, json, csv; as the suffix of --out says when not given, else text."""
    out: Path | None = None
    """File to write; a folder for several clips. Without it, text, json and csv are printed and
    the page is written to the current folder."""
    features: Path | None = None
    """Parse these features: a packed store, or a folder of .npy files in the published layout. A
    clip given besides is only played on the page."""
    id: str | None = None
    """Id of the video in --features."""
    annotations: Path | None = None
    """Annotation folder: shows the known events on the page."""
    link_video: bool = False
    """Let the page refer to the clip instead of holding it; clips above 25 MB are always linked."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


@dataclass(frozen=True)
class Job:
    """One thing to parse.

    Attributes:
        name: What it is called.
        clip: Its media file, None when only features are given.
        out: Where the result goes, None to print it.
    """

    name: str
    clip: Path | None
    out: Path | None


def run(args: Args) -> None:
    """Parses every clip; goes on past bad ones and tells of them at the end."""
    form = _format(args)
    jobs = _jobs(args, form)
    from rlld.compute import Compute
    from rlld.console import ERR, OUT
    from rlld.training.run_folder import load_run

    loaded = load_run(args.run, Compute(args.device).torch_device)
    tags = None if args.tags is None else [tag for tag in args.tags.split(",") if tag]
    loaded.spec.taxonomy.indices(tags or ())  # a wrong tag is wrong for every clip: say it once
    failed = []
    for job in jobs:
        try:
            _give(_parse(loaded, job, args, tags), loaded, job, args, form)
        except RlldError as error:
            if len(jobs) == 1:
                raise
            failed.append(job.name)
            ERR.print(f"rlld: {error}", markup=False)
    if failed:
        raise RlldError(
            f"{len(failed)} of {len(jobs)} clips could not be parsed: {', '.join(failed)}; "
            "the reasons stand above, all others are done"
        )
    if len(jobs) > 1 and args.out is not None:
        OUT.print(f"{len(jobs)} clips parsed", markup=False)


def _format(args: Args) -> str:
    from rlld.export import format_names

    known = sorted({*format_names(), "html", "text"})
    if args.format is not None:
        if args.format not in known:
            raise RlldError(f"unknown format {args.format!r}{nearest(args.format, known)}")
        return args.format
    suffix = args.out.suffix[1:].lower() if args.out is not None else ""
    return suffix if suffix in known else "text"


def _jobs(args: Args, form: str) -> list[Job]:
    if args.features is not None:
        if args.id is None:
            raise RlldError("--features: --id is missing; name the video to parse")
        if len(args.clips) > 1:
            raise RlldError("--features: takes one video; give one clip to play on its page")
        clip = args.clips[0] if args.clips else None
        return [Job(args.id, clip, _target(args, args.id, form, many=False))]
    if args.id is not None:
        raise RlldError("--id: names a video in --features, which is missing; give a store")
    clips = list(_clips(args.clips))
    if not clips:
        raise RlldError("nothing to parse; give a clip, a folder of clips or --features")
    many = len(clips) > 1
    if many and args.out is None and form != "text":
        raise RlldError(f"{len(clips)} clips as {form} need a folder; give --out FOLDER")
    stems = [clip.stem for clip in clips]
    names = [clip.stem if stems.count(clip.stem) == 1 else clip.name for clip in clips]
    for name in names:
        if names.count(name) > 1:
            raise RlldError(f"{name}: two clips have this name; parse their folders one by one")
    return [
        Job(clip.name, clip, _target(args, name, form, many))
        for clip, name in zip(clips, names, strict=True)
    ]


def _clips(given: tuple[Path, ...]) -> Iterator[Path]:
    for path in given:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in MEDIA)
        if not found:
            raise RlldError(f"{path}: a folder without media files; give clips or their folder")
        yield from found


def _target(args: Args, name: str, form: str, many: bool) -> Path | None:
    suffix = "txt" if form == "text" else form
    if args.out is None:
        return Path(f"{name}.html") if form == "html" else None
    return args.out / f"{name}.{suffix}" if many or args.out.is_dir() else args.out


def _parse(loaded: Run, job: Job, args: Args, tags: list[str] | None) -> Parse:
    from rlld.parsing.parse import parse
    from rlld.parsing.sources import stored_features

    if args.features is not None:
        features = stored_features(args.features, job.name, loaded.spec)
        return parse(loaded, features, tags, name=job.name)
    if job.clip is None:
        raise AssertionError("a job has a clip or features")
    return parse(loaded, job.clip, tags)


def _give(parse: Parse, loaded: Run, job: Job, args: Args, form: str) -> None:
    from rlld.console import ERR, OUT
    from rlld.export import load_format
    from rlld.files import write_text
    from rlld.report import text
    from rlld.report.page import write_page

    if form == "html" and job.out is not None:
        held = write_page(
            parse, job.out, job.clip, _truth(loaded, job, args.annotations), args.link_video
        )
        if held is not None and held.linked is not None:
            ERR.print(f"{job.out}: plays {held.linked}; keep both where they are", markup=False)
    elif job.out is not None:
        dumps = text.dumps if form == "text" else load_format(form).dumps
        write_text(job.out, dumps(parse))
    elif form == "text":
        OUT.print(text.parse_table(parse))
        return
    else:
        OUT.out(load_format(form).dumps(parse), end="")
        return
    OUT.print(f"written: {job.out}", markup=False)


def _truth(loaded: Run, job: Job, annotations: Path | None) -> tuple[Event, ...] | None:
    if annotations is None:
        return None
    from rlld.console import ERR
    from rlld.report.truth import known_events

    video = job.name if job.clip is None else job.clip.stem
    found = known_events(annotations, video, loaded.spec)
    if found is None:
        ERR.print(f"{annotations}: no events of {video!r}; the page shows none", markup=False)
    return found
