"""Find the audible and visible events of clips: tables, JSON, CSV or a page to watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rlld.cli._parsing import Args, Job, UnusableError, format_of, jobs_of, show, told, write
from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.parsing.known_tags import Known
    from rlld.parsing.result import Parse
    from rlld.training.run_folder import Run

NO_TAGS = "none"
"""What is given for tags to parse clips of the data set as if they had none."""


def run(args: Args) -> None:
    """Parses every clip; goes on past bad ones and tells of them at the end."""
    if args.zero_shot:
        from rlld.cli._zero_shot import parse_zero_shot

        parse_zero_shot(args)
        return
    if args.calibrate is not None:
        raise RlldError("--calibrate: tells what --zero-shot finds; a run has learnt it")
    if args.live is not None:
        _live(args)
        return
    form = format_of(args)
    jobs = jobs_of(args, form, args.clips)
    from rlld.utils.console import ERR
    from rlld.utils.pool import each

    failed, empty = [], 0
    try:
        # Of several, one that crashes its process must not take the others with it.
        for job, result in each(Parser(args, form, _clips(jobs)), jobs, 1, apart=len(jobs) > 1):
            if not isinstance(result, RlldError):
                show(result, job, form)
                empty += not result.events
            elif len(jobs) == 1:
                raise result
            else:
                failed.append(job.name)
                ERR.print(f"rlld: {result}")
    except UnusableError as error:
        raise RlldError(str(error)) from None
    advice = (
        "if something occurs in them, give the tags that are known (--tags) or see what "
        f"'rlld evaluate {args.run}' says"
    )
    told(args, failed, len(jobs), empty, advice)


def _live(args: Args) -> None:
    from rlld.cli._live import require_alone, tell_run
    from rlld.training.run_folder import load_run
    from rlld.utils.compute import Compute

    require_alone(args)
    run = _asked(load_run(args.run, Compute(args.device).torch_device), args)
    tell_run(run, str(args.live), args.patience, args.tracks)


def _asked(run: Run, args: Args) -> Run:
    """Returns a run with the classes that are to be found."""
    from rlld.training.other_classes import with_classes

    if args.classes is None:
        if args.vectors is not None:
            raise RlldError("--vectors: --classes is missing; name the classes to find")
        return run
    names = [name.strip() for name in args.classes.split(",") if name.strip()]
    return with_classes(run, names, args.vectors)


def _clips(jobs: Sequence[Job]) -> dict[str, Path]:
    """Returns what is parsed by id; features are called as a clip would be."""
    return {job.video: job.clip or Path(job.video) for job in jobs}


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
            device = Compute(self.args.device).torch_device
            run = _asked(load_run(self.args.run, device), self.args)
            self.known = self._tags_of_clips(run)
        except RlldError as error:
            raise UnusableError(str(error)) from None
        return run

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
            write(parse, run.spec, job, self.args, self.form)
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
