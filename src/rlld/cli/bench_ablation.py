"""Take a learner apart: the rows of the paper's Table 2, or the parts of the labelwise learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from rlld.cli._bench import UpdatesArgs


@dataclass(frozen=True, kw_only=True)
class Args(UpdatesArgs):
    """Options of ``rlld bench ablation``."""

    learner: Annotated[Literal["paper", "labelwise"], tyro.conf.Positional]
    """paper: Table 2; labelwise: the recommended learner."""
    selection: str = "segment_type+event_type"
    """Validation score that picks the weights of every row, or last."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    from rlld.bench.studies.ablation import ablation
    from rlld.bench.tables import show

    settings = args.settings
    comparison = ablation(settings, args.learner, selection=args.selection)
    show(comparison, args.out, f"ablation-{args.learner}", log=settings.log)
