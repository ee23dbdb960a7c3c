"""Check a data set or a folder of annotation files, and list problems by file and line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rlld.errors import SHOWN, RlldError, shortened

if TYPE_CHECKING:
    from rlld.data.checks.check import CheckReport

STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data check``."""

    folder: Annotated[Path, tyro.conf.Positional]
    """A data-set folder, or a folder of annotation files (the LLP files are recognised)."""
    spec: Path | None = None
    """A dataset.yaml that says what a bare folder of annotation files holds."""
    strict: bool = False
    """Fail on warnings too."""
    all: bool = False
    """List every problem, not only the first 20 errors, warnings and notes."""


def run(args: Args) -> None:
    """Prints problems and counts; fails when there are errors."""
    from rlld.data.checks.check import check
    from rlld.data.spec import spec_from
    from rlld.features.missing import missing_clips
    from rlld.utils.config import read_yaml

    spec = spec_from(read_yaml(args.spec), str(args.spec)) if args.spec else None
    report = check(args.folder, spec)
    report = replace(report, problems=(*report.problems, *missing_clips(args.folder)))
    _list(report, args.all)
    _show(report)
    errors, warnings = report.count("error"), report.count("warning")
    if errors:
        raise RlldError(f"{args.folder}: {_number(errors, 'error')} (listed above); correct them")
    if args.strict and warnings:
        raise RlldError(
            f"{args.folder}: {_number(warnings, 'warning')} (listed above), refused by --strict"
        )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _list(report: CheckReport, everything: bool) -> None:
    from rlld.utils.console import OUT

    told = dict.fromkeys(STYLES, 0)
    for problem in report.problems:
        told[problem.grade] += 1
        if everything or told[problem.grade] <= SHOWN:
            text = f"{problem.place}: {problem.grade}: {shortened(problem.text)}"
            OUT.print(text, style=STYLES[problem.grade])
    for grade, count in told.items():
        if count > SHOWN and not everything:
            more = _number(count - SHOWN, f"more {grade}")
            OUT.print(f"and {more}; --all lists them", style=STYLES[grade])


def _show(report: CheckReport) -> None:
    from rich.table import Table

    from rlld.data.problems import GRADES
    from rlld.utils.console import OUT

    table = Table("", *(split.name for split in report.splits))
    for title, name in (
        ("videos", "videos"),
        ("weak labels", "labels"),
        ("audible rows", "audio_rows"),
        ("visible rows", "visual_rows"),
        ("audible events", "audio_events"),
        ("visible events", "visual_events"),
        ("videos without audible event", "inaudible"),
        ("videos without visible event", "invisible"),
        ("weak labels without any event", "wrong"),
        ("classes missing from weak labels", "missing"),
        ("bare answers", "answers"),
    ):
        values = [getattr(split, name) for split in report.splits]
        if name == "answers" and not any(values):
            continue
        table.add_row(title, *("-" if value is None else str(value) for value in values))
    OUT.print(table)
    if report.audio_version:
        OUT.print(f"audio annotation: {report.audio_version}")
    if report.stores:
        OUT.print(f"packed stores: {report.stores} read whole, checksums compared")
    if report.scores:
        OUT.print(f"scores of segments: {report.scores} files read whole, checksums compared")
    OUT.print(", ".join(_number(report.count(grade), grade) for grade in GRADES))
