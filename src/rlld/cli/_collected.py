"""What the verbs show that collect a published data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.workflows.collected import Collected

SHOWN = 5


def show(report: Collected, what: str) -> None:
    """Prints what was found and made, and what comes next.

    Args:
        report: It.
        what: What a video has that is there: ``clip``, ``features``.

    Raises:
        RlldError: If the data set has errors.
    """
    from rich.table import Table

    from rlld.data.pack import SKIPPED_FILE
    from rlld.features.job import FAILED
    from rlld.utils.console import OUT
    from rlld.workflows.collected import FOREIGN, MISSING, NOTES, REPAIRED

    out = report.out
    table = Table("videos", *report.wanted, "all")
    for title, counts in (
        ("in the annotation files", report.wanted),
        (f"with {what}", report.found),
        ("packed", report.packed.videos),
    ):
        row = [counts.get(split, 0) for split in report.wanted]
        table.add_row(title, *(f"{count:,}" for count in (*row, sum(row))))
    OUT.print(table)
    lines = []
    if report.missing:
        lines.append(f"missing: {report.missing:,} videos, listed in {out / MISSING}")
    lines += _listed("failed", report.failed, out / FAILED)
    notes = {video: "; ".join(texts) for video, texts in report.notes.items()}
    lines += _listed("note on", notes, out / NOTES)
    lines += _listed("not used", report.foreign, out / FOREIGN)
    if report.repaired:
        count = len(report.repaired)
        lines.append(f"repaired or dropped: {count:,} annotations, listed in {out / REPAIRED}")
    if report.damaged:
        lines.append(f"left out: {report.damaged:,} more, the reasons are in {out / SKIPPED_FILE}")
    if report.packed.audio_version:
        lines.append(f"audio annotation: {report.packed.audio_version}")
    checked = report.checked
    errors = checked.count("error")
    lines.append(
        f"checked: {errors} errors, {checked.count('warning')} warnings, {checked.count('note')} "
        f"notes ('rlld data check {out}' lists them)"
    )
    for line in lines:
        OUT.print(line)
    if errors:
        raise RlldError(f"{out}: has errors; see 'rlld data check {out}'")
    OUT.print(_next(report))


def _listed(title: str, texts: Mapping[str, str], path: Path) -> list[str]:
    """Shows the first of some texts, and says where all of them are."""
    lines = [f"{title} {name}: {text}" for name, text in list(texts.items())[:SHOWN]]
    if len(texts) > SHOWN:
        lines.append(f"{title} {len(texts) - SHOWN:,} more, listed in {path}")
    return lines


def _next(report: Collected) -> str:
    """Says what can be done with the splits that there are."""
    packed, out = report.packed.videos, report.out
    lines, named = [], quote(str(out))
    absent = [split for split in report.wanted if split not in packed]
    if absent:
        lines.append(f"{out} has no {' and no '.join(absent)} split: none of its videos is there")
    if "train" in packed:
        lines.append(f"next: rlld train han --data {named} --out RUN")
    else:
        split = "test" if "test" in packed else "validation"
        lines.append(f"next: rlld evaluate RUN --data {named} --split {split}")
    return "\n".join(lines)
