"""Measure what the labels of one step do to the reward, beside its noise (simulated data)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Args:
    """Options of ``rlld bench signal``."""

    data: Path
    """Data-set folder whose true training labels are known."""
    out: Path
    """Folder of the tables: signal.md, signal.json."""
    after: tuple[int, ...] = (100, 300)
    """Task steps on all labels before the trials."""
    batches: int = 12
    """Batches tried after each of them."""
    repeats: int = 5
    """Fresh networks for each row of the episodes."""


def run(args: Args) -> None:
    """Measures, prints the tables and writes them."""
    from rlld.bench.studies.signal import as_dict, blocks, markdown, signal
    from rlld.bench.tables import terminal
    from rlld.utils.console import OUT
    from rlld.utils.files import write_text
    from rlld.utils.plain import json_text

    steps = " ".join(map(str, args.after))
    command = f"rlld bench signal --data {args.data} --out {args.out} --after {steps}"
    command += f" --batches {args.batches} --repeats {args.repeats}"
    found = signal(
        args.data, after=args.after, batches=args.batches, repeats=args.repeats, command=command
    )
    for table in terminal(blocks(found)):
        OUT.print(table, soft_wrap=False)
    write_text(args.out / "signal.md", markdown(found))
    write_text(args.out / "signal.json", json_text(as_dict(found), str(args.out), indent=2) + "\n")
    OUT.print(f"written: {args.out / 'signal.md'}, {args.out / 'signal.json'}")
