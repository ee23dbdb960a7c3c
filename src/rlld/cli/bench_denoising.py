"""Compare label denoisers on equal terms: recipes x data sets x seeds, cached and resumable."""

from __future__ import annotations

from dataclasses import dataclass

from rlld.cli._bench import UpdatesArgs, names


@dataclass(frozen=True, kw_only=True)
class Args(UpdatesArgs):
    """Options of ``rlld bench denoising``."""

    recipes: str | None = None
    """Recipes, joined by commas; RLLD and its baselines when not given."""
    baseline: str = "weak"
    """Row that differences refer to; weak is training on all labels."""
    selection: str = "segment_type+event_type"
    """Validation score that picks the weights of every row, or last."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    from rlld.bench.studies.denoisers import denoising
    from rlld.bench.tables import show

    settings = args.settings
    comparison = denoising(
        settings, names(args.recipes), selection=args.selection, baseline=args.baseline
    )
    show(comparison, args.out, "denoising", log=settings.log)
