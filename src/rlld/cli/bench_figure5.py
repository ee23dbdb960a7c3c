"""Draw Figure 5 of the paper: CPSP without and with RLLD, event-level scores."""

from __future__ import annotations

from dataclasses import dataclass

from rlld.cli._bench import FigureArgs, show_figure


@dataclass(frozen=True, kw_only=True)
class Args(FigureArgs):
    """Options of ``rlld bench figure5``."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, draws the figure and writes its numbers."""
    show_figure(5, args)
