"""Verify features: checksums, statistics, and which extractor setting makes them differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.data.checks.statistics import StreamStatistics
    from rlld.data.checks.verify import Verification

SHOWN = 10


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data verify``."""

    features: Annotated[Path, tyro.conf.Positional]
    """A packed store, a data-set folder, or a folder with a folder of .npy files per stream."""
    reference: Path | None = None
    """A reference to compare with, which --write has written of features that are right."""
    write: Path | None = None
    """Write the statistics as a reference to this file."""


def run(args: Args) -> None:
    """Verifies; fails when something is damaged or differs from the reference."""
    from rlld.data.checks.verify import verify
    from rlld.utils.console import OUT

    result = verify(args.features, args.reference, args.write)
    _show_statistics(result)
    for problem in result.problems[:SHOWN]:
        OUT.print(problem)
    if len(result.problems) > SHOWN:
        OUT.print(f"and {len(result.problems) - SHOWN} more problems")
    for name, verdict in result.verdicts.items():
        like = verdict.likeness
        same = f"; {like.videos} videos in common agree by {like.typical:.4f}" if like else ""
        if not verdict.faults:
            OUT.print(f"{name}: agrees with {args.reference}{same}")
        for fault, text in verdict.faults:
            OUT.print(f"{name}: {fault}: {text}")
    for setting in result.settings:
        OUT.print(f"recorded setting {setting}")
    if args.write is not None:
        OUT.print(f"written: {args.write}")
    if result.problems:
        raise RlldError(f"{args.features}: {len(result.problems)} problems (listed above)")
    if not result.agrees:
        wrong = [name for name, verdict in result.verdicts.items() if verdict.faults]
        raise RlldError(
            f"{args.features}: {', '.join(wrong)} differ from {args.reference} (reasons above)"
        )


def _show_statistics(result: Verification) -> None:
    from rich.table import Table

    from rlld.utils.console import OUT

    streams = result.found.streams
    table = Table("", *streams)
    for title, show in ROWS:
        table.add_row(title, *(show(stream) for stream in streams.values()))
    OUT.print(table)


def _number(name: str) -> Callable[[StreamStatistics], str]:
    return lambda stream: f"{stream.value(name):.4g}"


def _share(name: str) -> Callable[[StreamStatistics], str]:
    return lambda stream: f"{stream.value(name):.1%}"


def _segments(stream: StreamStatistics) -> str:
    low, high = stream.segments
    each = f" of {stream.frames} rows" if stream.frames and stream.frames > 1 else ""
    return (f"{low}" if low == high else f"{low} to {high}") + each


ROWS: tuple[tuple[str, Callable[[StreamStatistics], str]], ...] = (
    ("videos", lambda stream: f"{stream.videos:,}"),
    ("dimensions", lambda stream: f"{stream.dim}"),
    ("segments of a video", _segments),
    ("mean", _number("mean")),
    ("standard deviation", _number("std")),
    ("range", lambda stream: f"{stream.least:.4g} to {stream.largest:.4g}"),
    ("values that are zero", _share("zeros")),
    ("negative", _share("negatives")),
    ("whole numbers, of those not zero", _share("integers")),
    ("norm of a segment", _number("norm_mean")),
    ("its standard deviation", _number("norm_std")),
    ("correlation of neighbours", _number("neighbours")),
    ("segments that are zero", _share("zero_rows")),
    ("equal to the one before", _share("duplicates")),
)
