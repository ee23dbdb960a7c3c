"""Draw Figures 6 to 11 of the paper from the same runs, and how many labels the policy keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rlld.cli._bench import BenchArgs, track


@dataclass(frozen=True, kw_only=True)
class Args(BenchArgs):
    """Options of ``rlld bench curves``, and of ``figure6`` to ``figure11``."""

    episodes: int = 100
    """Length of each run in episodes of 32 steps."""


def run(args: Args) -> None:
    """Trains what the cache does not hold and draws everything."""
    draw_figures(args, range(6, 12), keeping=True)


def draw_figures(args: Args, numbers: Iterable[int], *, keeping: bool = False) -> None:
    """Trains what the cache does not hold and draws some figures.

    Args:
        args: Options.
        numbers: Numbers of the paper.
        keeping: Whether to draw the keep probabilities too.
    """
    from rlld.bench.studies.curves import FIGURES, KEPT, SMOOTHING, draw, record
    from rlld.utils.console import OUT

    recorded, terms = record(args.settings, args.episodes)
    paths = []
    for number in numbers:
        name = FIGURES[number]
        level, kind = name.replace("_event", "_Event").split("_")
        title = f"Figure {number}: {level}-level {kind}"
        paths += draw(recorded, name, args.out / f"figure{number}", title)
    for name, labels in KEPT.items() if keeping else ():
        paths += draw(recorded, name, args.out / name.replace("_", "-"), f"Kept: {labels}")
    OUT.print(
        f"{terms}; validation videos that rewarded nothing; mean and standard deviation of "
        f"{args.seeds * len(args.data)} runs, exponentially smoothed ({SMOOTHING}).",
    )
    stem = "curves" if keeping else f"figure{number}"
    track(args, stem, f"rlld bench {stem} {args.settings.command}", paths)
    OUT.print(f"written: {', '.join(map(str, paths))}")
