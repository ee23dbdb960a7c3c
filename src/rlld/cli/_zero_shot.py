"""``rlld parse --zero-shot``: clips and names of classes in, parses out; nothing is trained."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from rlld.cli._parsing import Args, Job, UnusableError, format_of, jobs_of, show, told, write
from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.open_classes.named import Namer
    from rlld.open_classes.similarities import Rule
    from rlld.parsing.result import Parse
    from rlld.parsing.zero_shot import Compared

WITHOUT = ("tags", "columns", "vectors", "features", "id", "annotations", "live")
"""Options that say something of a run, or of its data set."""
ENOUGH = 10
"""Clips from which on the calibrated rule finds more than the published one."""
ADVICE = "if something occurs in them, name it among --classes as one would say it"


def parse_zero_shot(args: Args) -> None:
    """Compares every clip, decides on all of them, and shows or writes what was found.

    Raises:
        RlldError: If an option does not fit, weights are missing, or clips failed.
    """
    from pathlib import Path

    from rlld.open_classes.named import read_classes
    from rlld.parsing.zero_shot import ALONE, decide
    from rlld.utils.console import ERR
    from rlld.utils.pool import each

    classes = read_classes(_names(args))
    form = format_of(args)
    jobs = jobs_of(args, form, (Path(args.run), *args.clips))
    compared, failed = {}, []
    try:
        for job, result in each(Comparer(args, classes), jobs, 1, apart=len(jobs) > 1):
            if not isinstance(result, RlldError):
                compared[job] = result
            elif len(jobs) == 1:
                raise result
            else:
                failed.append(job.name)
                ERR.print(f"rlld: {result}")
    except UnusableError as error:
        raise RlldError(str(error)) from None
    rule, name = _rule(args.rule, len(compared), classes)
    model = f"{name} rule for named classes, {args.encoders}"
    parses = decide(list(compared.values()), classes, rule, model)
    empty = 0
    for job, parse in zip(compared, parses, strict=True):
        if name == "calibrated" and len(jobs) == 1:
            parse = replace(parse, notes=(*parse.notes, ALONE))
        try:
            _write(parse, job, args, form)
        except RlldError as error:
            if len(jobs) == 1:
                raise
            failed.append(job.name)
            ERR.print(f"rlld: {error}")
            continue
        show(parse, job, form)
        empty += not parse.events
    told(args, failed, len(jobs), empty, ADVICE)


def _names(args: Args) -> str:
    if args.classes is None:
        raise RlldError(
            '--zero-shot: --classes is missing; name what to look for: "glass breaking,applause"'
        )
    for name in WITHOUT:
        if getattr(args, name):
            raise RlldError(f"--zero-shot: goes without --{name}: it takes clips and --classes")
    return args.classes


def _rule(name: str, clips: int, classes: tuple[str, ...]) -> tuple[Rule, str]:
    """Returns the rule and its name; few clips do not tell what the scores of a class mean."""
    from rlld.open_classes.calibrated import Calibrated, CalibratedRule
    from rlld.open_classes.published import Published

    if name == "published" or (name == "auto" and clips < ENOUGH):
        return Published(), "published"
    return CalibratedRule(Calibrated(), classes), "calibrated"


def _write(parse: Parse, job: Job, args: Args, form: str) -> None:
    from rlld.data.spec import DataSpec

    spec = DataSpec("named classes", parse.classes, len(parse.probabilities), any_length=True)
    write(parse, spec, job, args, form)


class Comparer:
    """Compares jobs with class names; weights are loaded where the first one is done."""

    def __init__(self, args: Args, classes: tuple[str, ...]) -> None:
        self.args = args
        self.classes = classes

    @cached_property
    def namer(self) -> Namer:
        """What knows the names."""
        from rlld.open_classes.named import Namer
        from rlld.utils.compute import Compute

        try:
            device = Compute(self.args.device).torch_device
            return Namer(self.classes, self.args.encoders, device)
        except RlldError as error:
            raise UnusableError(str(error)) from None

    def __call__(self, job: Job) -> Compared:
        """Compares one clip.

        Raises:
            RlldError: If it cannot be read.
        """
        from rlld.media.files import strange
        from rlld.parsing.zero_shot import compare

        namer = self.namer
        if job.fault is not None:
            raise job.fault
        if job.clip is None:
            raise AssertionError("a job has a clip")
        try:
            return compare(namer, job.clip, tracks=self.args.tracks)
        except RlldError:
            raise
        except Exception as error:
            raise strange(job.clip, error) from error  # which costs itself alone
