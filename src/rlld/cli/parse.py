"""Find the audible and visible events of clips: tables, JSON, CSV or a page to watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import RlldError, nearest
from rlld.utils.names import ADVICE, inside

if TYPE_CHECKING:
    from rlld.media.tracks import TrackChoice
    from rlld.parsing.known_tags import Known
    from rlld.parsing.result import Event, Parse
    from rlld.training.run_folder import Run


@dataclass(frozen=True)
class Args:
    """Options of ``rlld parse``."""

    run: tyro.conf.Positional[str]
    """Run folder of ``rlld train``, or hub:owner/name[@revision]."""
    clips: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Clips, or folders of them. Put -- before the first when a name starts with '-'."""
    tags: str | None = None
    """Classes that the clips are known to hold (Speech,Dog), or a table of clips and tags: no other
    class is reported, and no tag is dropped for a low video-level probability. Clips of the run's
    data set bring their own tags, unless this is 'none'."""
    columns: str | None = None
    """Which columns of that table are which, where that is in doubt: file=clip,labels=tags."""
    classes: str | None = None
    """Classes to find instead of those of the training (glass breaking,Dog): of runs of recipe leap
    that were trained on text vectors."""
    vectors: Path | None = None
    """Table with the text vectors of --classes; that of the training when not given."""
    format: str | None = None
    """text, html, json, csv, or a format of 'rlld export'; as the suffix of --out says when not
    given, else text."""
    out: Path | None = None
    """File to write; a folder for several clips. Without it, the page is written to the current
    folder, and everything else is printed."""
    features: Path | None = None
    """Parse these features: a packed store, or a folder of .npy files in the published layout. A
    clip given besides is only played on the page."""
    id: str | None = None
    """Id of the video in --features."""
    annotations: Path | None = None
    """Annotation folder: shows the known events on the page."""
    link_video: bool = False
    """Let the page refer to the clip instead of holding it; clips above 25 MB are always linked."""
    audio_track: int | None = None
    """Sound track of clips that have several, from 1; without it the one that a player takes."""
    video_track: int | None = None
    """The same for pictures."""
    live: str | None = None
    """Parse a source while it goes on: a file that grows, a pipe ('-': standard input) or an
    address that FFmpeg opens (rtsp://..., https://...). Prints a JSON line when an event begins,
    and one when it has ended."""
    patience: float = 10.0
    """Seconds after which a live source counts as ended when nothing more comes."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""

    @property
    def tracks(self) -> TrackChoice:
        """Which of several tracks are parsed and played."""
        from rlld.media.tracks import TrackChoice

        return TrackChoice(self.audio_track, self.video_track)


@dataclass(frozen=True)
class Job:
    """One thing to parse.

    Attributes:
        name: What it is called.
        video: Its id among the jobs.
        clip: Its media file, None when only features are given.
        out: Where the result goes, None to print it.
        fault: Why there can be no result; told when its turn comes, so that it costs itself alone.
    """

    name: str
    video: str
    clip: Path | None
    out: Path | None
    fault: RlldError | None = None

    def __str__(self) -> str:
        return self.name if self.clip is None else str(self.clip)


def run(args: Args) -> None:
    """Parses every clip; goes on past bad ones and tells of them at the end."""
    if args.live is not None:
        _live(args)
        return
    form = _format(args)
    jobs = _jobs(args, form)
    from rlld.utils.console import ERR, OUT
    from rlld.utils.pool import each

    failed, empty = [], 0
    try:
        # Of several, one that crashes its process must not take the others with it.
        for job, result in each(Parser(args, form, _clips(jobs)), jobs, 1, apart=len(jobs) > 1):
            if not isinstance(result, RlldError):
                _show(result, job, form)
                empty += not result.events
            elif len(jobs) == 1:
                raise result
            else:
                failed.append(job.name)
                ERR.print(f"rlld: {result}")
    except UnusableError as error:
        raise RlldError(str(error)) from None
    parsed = len(jobs) - len(failed)
    if len(jobs) > 1 and 2 * empty > parsed:
        ERR.print(
            f"warning: {empty} of {parsed} clips got no event; if something occurs in them, give "
            f"the tags that are known (--tags) or see what 'rlld evaluate {args.run}' says"
        )
    if failed:
        raise RlldError(
            f"{len(failed)} of {len(jobs)} clips could not be parsed: {', '.join(failed)}; "
            "the reasons stand above, all others are done"
        )
    if len(jobs) > 1 and args.out is not None:
        OUT.print(f"{len(jobs)} clips parsed, {empty} of them without any event")


def _live(args: Args) -> None:
    from rlld.cli._live import tell_live
    from rlld.utils.compute import Compute

    for name in ("clips", "features", "out", "format", "tags", "annotations", "classes"):
        if getattr(args, name):
            raise RlldError(f"--live: goes without {name}: it prints JSON lines of one source")
    device = Compute(args.device).torch_device
    tell_live(args.run, str(args.live), args.patience, device, args.tracks)


def _format(args: Args) -> str:
    from rlld.export import format_names, formats_with

    known = sorted({*format_names(), *PLAIN})
    if args.format is not None:
        if args.format not in known:
            raise RlldError(f"unknown format {args.format!r}{nearest(args.format, known)}")
        return args.format
    suffix = args.out.suffix[1:].lower() if args.out is not None else ""
    plain = {suffix: name for name, suffix in PLAIN.items()}
    if suffix in plain or suffix in known:
        return plain.get(suffix, suffix)
    meant = formats_with(suffix)
    return meant[0] if len(meant) == 1 else "text"


def _jobs(args: Args, form: str) -> list[Job]:
    if args.features is not None:
        if args.id is None:
            raise RlldError("--features: --id is missing; name the video to parse")
        if len(args.clips) > 1:
            raise RlldError("--features: takes one video; give one clip to play on its page")
        clip = args.clips[0] if args.clips else None
        return [Job(args.id, args.id, clip, _target(args, args.id, form, many=False))]
    if args.id is not None:
        raise RlldError("--id: names a video in --features, which is missing; give a store")
    from rlld.media.files import media_files, named

    clips = named(media_files(args.clips))
    if not clips:
        raise RlldError("nothing to parse; give a clip, a folder of clips or --features")
    many = len(clips) > 1
    if many and args.out is None and form != "text":
        raise RlldError(f"{len(clips)} clips as {form} need a folder; give --out FOLDER")
    return [_job(args, id, clip, form, many) for id, clip in clips.items()]


def _job(args: Args, id: str, clip: Path, form: str, many: bool) -> Job:
    try:
        return Job(clip.name, id, clip, _target(args, id, form, many, ALONE))
    except RlldError as error:
        return Job(clip.name, id, clip, None, error)


def _clips(jobs: Sequence[Job]) -> dict[str, Path]:
    """Returns what is parsed by id; features are called as a clip would be."""
    return {job.video: job.clip or Path(job.video) for job in jobs}


PLAIN = {"html": "html", "text": "txt"}
"""What is written only to be looked at, with the suffix of its files."""
NO_TAGS = "none"
"""What is given for tags to parse clips of the data set as if they had none."""
ALONE = "rename the clip, or parse it alone with --out FILE"


def _target(args: Args, name: str, form: str, many: bool, advice: str = ADVICE) -> Path | None:
    if args.out is None and form != "html":
        return None
    folder = Path() if args.out is None else args.out
    if folder.is_dir() or many:
        suffix = _suffix(form)
        return inside(folder, f"{name}.{suffix}", "name of the result", advice=advice)
    return folder


def _suffix(form: str) -> str:
    from rlld.export import load_format

    return PLAIN[form] if form in PLAIN else load_format(form).SUFFIX


class UnusableError(Exception):
    """What is wrong for every clip, so that nothing can be parsed at all."""


class Parser:
    """Parses jobs, and writes what is written; the run is loaded where the first one is done."""

    def __init__(self, args: Args, form: str, clips: Mapping[str, Path]) -> None:
        self.args = args
        self.form = form
        self.clips = clips

    @cached_property
    def run(self) -> Run:
        """The run, for which the tags are right."""
        from rlld.training.run_folder import load_run
        from rlld.utils.compute import Compute

        try:
            run = self._asked(load_run(self.args.run, Compute(self.args.device).torch_device))
            self.known = self._tags_of_clips(run)
        except RlldError as error:
            raise UnusableError(str(error)) from None
        return run

    def _asked(self, run: Run) -> Run:
        """Returns a run with the classes that are to be found."""
        from rlld.training.other_classes import with_classes

        if self.args.classes is None:
            if self.args.vectors is not None:
                raise RlldError("--vectors: --classes is missing; name the classes to find")
            return run
        names = [name.strip() for name in self.args.classes.split(",") if name.strip()]
        return with_classes(run, names, self.args.vectors)

    def _tags_of_clips(self, run: Run) -> Mapping[str, Known]:
        """Returns what is known of the clips by id, from wherever it is known."""
        from rlld.data.tags.read import is_tag_file
        from rlld.parsing.known_tags import Known, tags_of_dataset, tags_of_file

        given, classes = self.args.tags, run.spec.classes
        if given is None:
            # What clips are tagged with says nothing of classes that nobody tagged.
            folder = "" if self.args.classes else str(run.facts.get("data", ""))
            return tags_of_dataset(Path(folder), self.clips, classes) if folder else {}
        if given == NO_TAGS and NO_TAGS not in classes:
            return {}
        if is_tag_file(given):
            paths = {video: clip.absolute().as_posix() for video, clip in self.clips.items()}
            return tags_of_file(Path(given), paths, classes, self.args.columns)
        tags = tuple(tag.strip() for tag in given.split(",") if tag.strip())
        run.spec.taxonomy.indices(tags)
        return dict.fromkeys(self.clips, Known(tags))

    def __call__(self, job: Job) -> Parse:
        """Parses one clip, or features.

        Raises:
            RlldError: If that cannot be parsed or written.
        """
        run = self.run
        if job.fault is not None:
            raise job.fault
        try:
            known = self.known.get(job.video)
            parse = self._parse(run, job, None if known is None else known.tags)
            if known is not None and known.note:
                parse = replace(parse, notes=(*parse.notes, known.note))
            if job.out is not None:
                self._write(parse, run, job, job.out)
            return parse
        except RlldError:
            raise
        except Exception as error:
            if job.clip is None:
                raise
            from rlld.media.files import strange

            raise strange(job.clip, error) from error  # which costs itself alone

    def _parse(self, run: Run, job: Job, tags: Sequence[str] | None) -> Parse:
        from rlld.parsing.parse import parse
        from rlld.parsing.sources import stored_features

        if self.args.features is not None:
            features = stored_features(self.args.features, job.name, run.spec)
            return parse(run, features, tags, name=job.name)
        if job.clip is None:
            raise AssertionError("a job has a clip or features")
        return parse(run, job.clip, tags, tracks=self.args.tracks)

    def _write(self, parse: Parse, run: Run, job: Job, out: Path) -> None:
        from rlld.utils.files import write_text

        if self.form != "html":
            write_text(out, _dumps(parse, self.form))
            return
        from rlld.report.page import write_page
        from rlld.utils.console import ERR

        truth = _truth(run, job, self.args.annotations)
        held = write_page(parse, out, job.clip, truth, self.args.link_video, self.args.tracks)
        if held is not None and held.linked is not None:
            ERR.print(f"{out}: plays {held.linked}; keep both where they are")


def _dumps(parse: Parse, form: str) -> str:
    from rlld.export import load_format
    from rlld.parsing import text

    return text.dumps(parse) if form == "text" else load_format(form).dumps(parse)


def _show(parse: Parse, job: Job, form: str) -> None:
    from rlld.parsing import text
    from rlld.utils.console import OUT

    if job.out is not None:
        OUT.print(f"written: {job.out}")
    elif form == "text":
        OUT.print(text.parse_table(parse))
    else:
        OUT.content(_dumps(parse, form))


def _truth(run: Run, job: Job, annotations: Path | None) -> tuple[Event, ...] | None:
    if annotations is None:
        return None
    from rlld.report.truth import known_events
    from rlld.utils.console import ERR

    video = job.name if job.clip is None else job.clip.stem
    found = known_events(annotations, video, run.spec)
    if found is None:
        ERR.print(f"{annotations}: no events of {video!r}; the page shows none")
    return found
