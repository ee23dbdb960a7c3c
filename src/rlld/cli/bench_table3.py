"""Table 3 of the paper: parameters trained and measured training time, relative to MMIL."""

from __future__ import annotations

from dataclasses import dataclass

from rlld.cli._bench import FigureArgs, track


@dataclass(frozen=True, kw_only=True)
class Args(FigureArgs):
    """Options of ``rlld bench table3``; runs go one at a time, whatever ``--workers`` says."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    from rlld.bench.studies.costs import block, costs, remarks_of, write_costs
    from rlld.bench.tables import terminal
    from rlld.utils.console import OUT

    settings = args.settings
    found, terms = costs(settings, conditions=args.terms)
    remarks = remarks_of(terms, settings)
    command = f"rlld bench table3 {settings.command} --terms {args.terms}"
    paths = write_costs(found, args.out, command, remarks)
    for table in terminal([block(found)]):
        OUT.print(table)
    for remark in remarks:
        OUT.print(remark)
    track(args, "table3", command, paths)
    OUT.print(f"written: {', '.join(map(str, paths))}")
