"""What ``rlld parse`` is told, and what it makes of clips: jobs, and results that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import RlldError, listed, nearest
from rlld.utils.names import ADVICE, inside

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec
    from rlld.media.tracks import TrackChoice
    from rlld.parsing.result import Event, Parse


@dataclass(frozen=True)
class Args:
    """Options of ``rlld parse``."""

    run: tyro.conf.Positional[str]
    """Run folder of ``rlld train``, or hub:owner/name[@revision]; with --zero-shot a clip, with
    --live as well the data set that calibrates."""
    clips: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Clips, or folders of them. Put -- before the first when a name starts with '-'."""
    tags: str | None = None
    """Classes that the clips are known to hold (Speech,Dog), or a table of clips and tags: no other
    class is reported, and no tag is dropped for a low video-level probability. Clips of the run's
    data set bring their own tags, unless this is 'none'."""
    columns: str | None = None
    """Which columns of that table are which, where that is in doubt: file=clip,labels=tags."""
    classes: str | None = None
    """Classes to find instead of those of the training, joined by commas (glass breaking,Dog): of
    runs of recipe leap that were trained on text vectors, or of no run at all with --zero-shot."""
    vectors: Path | None = None
    """Table with the text vectors of --classes; that of the training when not given."""
    format: str | None = None
    """text, html, json, csv, or a format of 'rlld export'; as the suffix of --out says when not
    given, else text."""
    out: Path | None = None
    """File to write; a folder for several clips, or where the name has no suffix. Without it, the
    page is written to the current folder, and everything else is printed."""
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
    zero_shot: bool = False
    """Parse without any run: find --classes by what CLIP and CLAP know of their names."""
    rule: Literal["auto", "calibrated", "published"] = "auto"
    """How --zero-shot decides: calibrated, by what scores mean in all clips given; published, as
    AV2A does, each clip by itself; auto takes the former from ten clips on, or with --calibrate."""
    encoders: str = "clip,clap"
    """What embeds sounds, pictures and names for --zero-shot: extractors that know words."""
    calibrate: Path | None = None
    """Data set whose annotated validation videos tell what similarities mean, for those of the
    classes of --zero-shot that it has."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""

    @property
    def tracks(self) -> TrackChoice:
        """Which of several tracks are parsed and played."""
        from rlld.media.tracks import TrackChoice

        return TrackChoice(self.audio_track, self.video_track)


class UnusableError(Exception):
    """What is wrong for every clip, so that nothing can be parsed at all."""


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


def format_of(args: Args) -> str:
    """Returns the format of the results: as it is named, or as the suffix of --out says.

    Raises:
        RlldError: If there is no such format.
    """
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


def jobs_of(args: Args, form: str, clips: Sequence[Path]) -> list[Job]:
    """Returns what is parsed of clips and folders of them, or of features.

    Raises:
        RlldError: If there is nothing to parse, or the results have no place.
    """
    if args.features is not None:
        if args.id is None:
            raise RlldError("--features: --id is missing; name the video to parse")
        if len(clips) > 1:
            raise RlldError("--features: takes one video; give one clip to play on its page")
        clip = clips[0] if clips else None
        return [Job(args.id, args.id, clip, _target(args, args.id, form, many=False))]
    if args.id is not None:
        raise RlldError("--id: names a video in --features, which is missing; give a store")
    from rlld.media.files import media_files, named

    videos = named(media_files(clips))
    if not videos:
        raise RlldError("nothing to parse; give a clip, a folder of clips or --features")
    many = len(videos) > 1
    if many and args.out is None and form != "text":
        raise RlldError(f"{len(videos)} clips as {form} need a folder; give --out FOLDER")
    return [_job(args, id, clip, form, many) for id, clip in videos.items()]


def _job(args: Args, id: str, clip: Path, form: str, many: bool) -> Job:
    try:
        return Job(clip.name, id, clip, _target(args, id, form, many, ALONE))
    except RlldError as error:
        return Job(clip.name, id, clip, None, error)


PLAIN = {"html": "html", "text": "txt"}
"""What is written only to be looked at, with the suffix of its files."""
ALONE = "rename the clip, or parse it alone with --out FILE"


def _target(args: Args, name: str, form: str, many: bool, advice: str = ADVICE) -> Path | None:
    if args.out is None and form != "html":
        return None
    folder = Path() if args.out is None else args.out
    # 'pages/' comes here as 'pages'; of one clip, too, it is a folder, as 'rlld export' takes it.
    if many or folder.is_dir() or not (folder.suffix or folder.exists()):
        suffix = _suffix(form)
        return inside(folder, f"{name}.{suffix}", "name of the result", advice=advice)
    return folder


def _suffix(form: str) -> str:
    from rlld.export import load_format

    return PLAIN[form] if form in PLAIN else load_format(form).SUFFIX


def write(parse: Parse, spec: DataSpec, job: Job, args: Args, form: str) -> None:
    """Writes a result, if it goes anywhere.

    Args:
        parse: The result.
        spec: Whose classes it has.
        job: What was parsed.
        args: What ``rlld parse`` was told.
        form: Format of the result.

    Raises:
        RlldError: If it cannot be written.
    """
    from rlld.utils.files import write_text

    if job.out is None:
        return
    if form != "html":
        write_text(job.out, _dumps(parse, form))
        return
    from rlld.report.page import write_page
    from rlld.utils.console import ERR

    truth = _truth(spec, job, args.annotations)
    held = write_page(parse, job.out, job.clip, truth, args.link_video, args.tracks)
    if held is not None and held.linked is not None:
        ERR.print(f"{job.out}: plays {held.linked}; keep both where they are")


def _dumps(parse: Parse, form: str) -> str:
    from rlld.export import load_format
    from rlld.parsing import text

    return text.dumps(parse) if form == "text" else load_format(form).dumps(parse)


def show(parse: Parse, job: Job, form: str) -> None:
    """Prints a result, or where it was written."""
    from rlld.parsing import text
    from rlld.utils.console import OUT

    if job.out is not None:
        OUT.print(f"written: {job.out}")
    elif form == "text":
        OUT.print(text.parse_table(parse))
    else:
        OUT.content(_dumps(parse, form))


def _truth(spec: DataSpec, job: Job, annotations: Path | None) -> tuple[Event, ...] | None:
    if annotations is None:
        return None
    from rlld.report.truth import known_events
    from rlld.utils.console import ERR

    video = job.name if job.clip is None else job.clip.stem
    found = known_events(annotations, video, spec)
    if found is None:
        ERR.print(f"{annotations}: no events of {video!r}; the page shows none")
    return found


def told(args: Args, failed: Sequence[str], jobs: int, empty: int, advice: str) -> None:
    """Says how several clips went, at the end.

    Args:
        args: What ``rlld parse`` was told.
        failed: Names of those that could not be parsed.
        jobs: How many there were.
        empty: Those without any event.
        advice: What to do about clips without events.

    Raises:
        RlldError: If some failed.
    """
    from rlld.utils.console import ERR, OUT

    parsed = jobs - len(failed)
    if jobs > 1 and 2 * empty > parsed:
        ERR.print(f"warning: {empty} of {parsed} clips got no event; {advice}")
    if failed:
        raise RlldError(
            f"{len(failed)} of {jobs} clips could not be parsed: {listed(failed)}; "
            "the reasons stand above, all others are done"
        )
    if jobs > 1 and args.out is not None:
        OUT.print(f"{jobs} clips parsed, {empty} of them without any event")
