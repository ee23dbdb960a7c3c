"""``rlld parse --zero-shot``: clips and names of classes in, parses out; nothing is trained."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from rlld.cli._parsing import Args, Job, UnusableError, format_of, jobs_of, show, told, write
from rlld.errors import RlldError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rlld.open_classes.calibrated import Taught
    from rlld.open_classes.named import Namer
    from rlld.open_classes.similarities import Rule
    from rlld.parsing.result import Parse
    from rlld.parsing.zero_shot import Compared

WITHOUT = ("tags", "columns", "vectors", "features", "id", "annotations")
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

    classes = read_classes(_names(args))
    if args.live is not None:
        _live(args, classes)
        return
    form = format_of(args)
    jobs = jobs_of(args, form, (Path(args.run), *args.clips))
    compared, failed, taught = _compare(args, classes, jobs)
    rule, name = _rule(args.rule, len(compared), classes, taught)
    model = f"{name} rule for named classes, {args.encoders}"
    if taught is not None:
        model += f"; {_listed(taught, classes)} calibrated by {args.calibrate}"
    parses = decide(list(compared.values()), classes, rule, model)
    if name == "calibrated" and len(jobs) == 1 and not (taught and taught.classes.all()):
        parses = [replace(parse, notes=(*parse.notes, ALONE)) for parse in parses]
    empty = 0
    for job, parse in zip(compared, parses, strict=True):
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


def _compare(
    args: Args, classes: tuple[str, ...], jobs: Sequence[Job]
) -> tuple[dict[Job, Compared], list[str], Taught | None]:
    """Returns the clips that were compared, the names of those that failed, and the calibration.

    Raises:
        RlldError: If nothing can be compared, or the only clip fails.
    """
    from rlld.utils.console import ERR
    from rlld.utils.pool import each

    compared, failed = {}, []
    taught, comparer = None, Comparer(args, classes)
    try:
        if args.calibrate is not None:
            # Several clips are compared in a process of its own, which loads what it needs.
            teacher = comparer if len(jobs) == 1 else Comparer(args, classes)
            taught = _taught(args.calibrate, args, teacher.namer)
        for job, result in each(comparer, jobs, 1, apart=len(jobs) > 1):
            if not isinstance(result, RlldError):
                compared[job] = result
            elif len(jobs) == 1:
                raise result
            else:
                failed.append(job.name)
                ERR.print(f"rlld: {result}")
    except UnusableError as error:
        raise RlldError(str(error)) from None
    return compared, failed, taught


def _names(args: Args) -> str:
    if args.classes is None:
        raise RlldError(
            '--zero-shot: --classes is missing; name what to look for: "glass breaking,applause"'
        )
    for name in WITHOUT:
        if getattr(args, name):
            raise RlldError(f"--zero-shot: goes without --{name}: it takes clips and --classes")
    return args.classes


def _live(args: Args, classes: tuple[str, ...]) -> None:
    """Tells of a source while it goes on; what scores mean must be known before it does."""
    from pathlib import Path

    from rlld.cli._live import require_alone, tell_named
    from rlld.data.spec import FILE_NAME
    from rlld.open_classes.calibrated import Calibrated, CalibratedRule

    folder = Path(args.run)
    require_alone(args)
    if args.calibrate is not None:
        raise RlldError("--live: goes without calibrate: the data set that calibrates comes first")
    if not (folder / FILE_NAME).is_file():
        raise RlldError(
            f"--live: {folder}: expected a data set, whose annotated videos tell beforehand what "
            "scores mean; for both rules judge a second by all of its clip, which has not come "
            "yet: rlld parse D --zero-shot --live SOURCE"
        )
    namer = _namer(args, classes)
    rule = CalibratedRule(Calibrated(), classes, taught=_taught(folder, args, namer))
    tell_named(namer, rule, str(args.live), args.patience, args.tracks)


def _namer(args: Args, classes: tuple[str, ...]) -> Namer:
    """Loads what knows the names."""
    from rlld.open_classes.named import Namer
    from rlld.utils.compute import Compute

    return Namer(classes, args.encoders, Compute(args.device).torch_device)


def _rule(
    name: str, clips: int, classes: tuple[str, ...], taught: Taught | None = None
) -> tuple[Rule, str]:
    """Returns the rule and its name; few clips do not tell what the scores of a class mean."""
    from rlld.open_classes.calibrated import Calibrated, CalibratedRule
    from rlld.open_classes.published import Published

    if name == "published" or (name == "auto" and clips < ENOUGH and taught is None):
        return Published(), "published"
    return CalibratedRule(Calibrated(), classes, taught=taught), "calibrated"


def _taught(folder: Path, args: Args, namer: Namer) -> Taught:
    """Learns from --calibrate, and says what it tells."""
    if args.rule == "published":
        raise RlldError(
            "--calibrate: the published rule compares the classes of a second with each other, "
            "which nothing calibrates; leave --rule out"
        )
    from rlld.utils.console import ERR
    from rlld.workflows.zero_shot_calibration import calibrated_by

    found = calibrated_by(folder, namer)
    told, rest = (_listed(found.taught, namer.classes, known) for known in (True, False))
    if rest and args.live is not None:
        raise RlldError(
            f"--live: {folder} does not have {rest}, of which the whole clip would have to tell "
            "what scores mean; leave it out"
        )
    ERR.print(f"calibrated by {found.videos} annotated videos of {folder}: {told}")
    if rest:
        ERR.print(f"no classes of it, judged by the clips given: {rest}")
    return found.taught


def _listed(taught: Taught, classes: tuple[str, ...], known: bool = True) -> str:
    """Returns the names that a calibration knows, or those that it does not."""
    pairs = zip(classes, taught.classes.tolist(), strict=True)
    return ", ".join(name for name, told in pairs if told == known)


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
        try:
            return _namer(self.args, self.classes)
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
