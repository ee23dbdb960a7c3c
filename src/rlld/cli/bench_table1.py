"""Table 1 of the paper: every system beside its published scores."""

from __future__ import annotations

from dataclasses import dataclass

from rlld.cli._bench import TableArgs, show_table


@dataclass(frozen=True, kw_only=True)
class Args(TableArgs):
    """Options of ``rlld bench table1``."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    show_table(1, args)
