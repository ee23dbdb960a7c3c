"""Draw Figure 8 of the paper: the segment-level Event F-score on validation over the episodes."""

from __future__ import annotations

from rlld.cli.bench_curves import Args, draw_figures


def run(args: Args) -> None:
    """Trains what the cache does not hold and draws the figure."""
    draw_figures(args, [8])
