"""Table 2 of the paper: RLLD without one of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from rlld.cli._bench import TableArgs, show_table


@dataclass(frozen=True, kw_only=True)
class Args(TableArgs):
    """Options of ``rlld bench table2``."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    show_table(2, args)
