"""Draw what annotated videos are worth: scores over how many there are, beside baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlld.cli._bench import UpdatesArgs

if TYPE_CHECKING:
    from rlld.data.spec import Priors


@dataclass(frozen=True, kw_only=True)
class Args(UpdatesArgs):
    """Options of ``rlld bench annotations``."""

    counts: str = "0,10,25,50,100,200,400"
    """Annotated videos, joined by commas; all of them are added."""
    priors: str | None = None
    """Rough off-screen rates for the point without annotation: Speech=0.75,Cheering=0.5; those of
    dataset.yaml when not given."""
    suggested: bool = True
    """Draw the line of videos that rlld suggest chooses."""


def run(args: Args) -> None:
    """Trains what the cache does not hold, prints the table, writes it and the figures."""
    from rlld.bench.studies.annotations import learning_curves
    from rlld.bench.tables import show
    from rlld.utils.console import OUT

    settings = args.settings
    comparison, figures = learning_curves(
        settings,
        counts=_counts(args.counts),
        priors=_priors(args),
        suggested=args.suggested,
    )
    OUT.print(f"figures: {', '.join(map(str, figures))}")
    show(comparison, args.out, "annotations", figures, settings.log)


def _counts(text: str) -> list[int]:
    from rlld.errors import RlldError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RlldError(f"--counts: expected numbers joined by commas, found {text!r}") from None


def _priors(args: Args) -> Priors | None:
    from rlld.data.spec import Priors, read_spec
    from rlld.errors import RlldError

    if args.priors is None:
        return None
    rates = {}
    for part in args.priors.split(","):
        name, _, rate = part.partition("=")
        for folder in args.data:
            read_spec(folder).taxonomy.index(name)
        try:
            rates[name] = float(rate)
        except ValueError:
            rates[name] = -1.0
        if not 0 <= rates[name] <= 1:
            raise RlldError(f"--priors: expected CLASS=RATE with a rate in [0, 1], found {part!r}")
    return Priors(visual=rates)
