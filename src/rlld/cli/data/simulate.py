"""Make a data set of simulated features with LLP's labels, label noise and difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data simulate``."""

    out: Path
    """Data-set folder to be made."""
    preset: Literal["compact", "llp"] = "compact"
    """compact: two streams of 40 dimensions, trains in under a minute; llp: the published sizes."""
    seed: int = 0
    """The same seed gives the same bytes."""
    annotations: Path | None = None
    """Folder of LLP's annotation files; labels follow the shipped statistics when not given."""
    videos: tuple[int, int, int] | None = None
    """Number of training, validation and test videos; 10000 649 1200 when not given. No
    validation videos make a data set without annotation."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Element type of the stores; the last two take half the space."""
    noise: Literal["llp", "mirrored", "both", "none", "nobody", "lfav", "vggsounder"] = "llp"
    """Wrong tags: llp, mostly not seen; mirrored, mostly not heard; both; none; nobody, ten times
    as many that are neither; lfav, vggsounder: as often as counted there for each class."""
    classes: int = 25
    """How many; beyond LLP's 25 there are others that occur alike."""
    missing: Literal["none", "audio", "visual"] = "none"
    """A track whose features are all zeros."""


def run(args: Args) -> None:
    """Simulates the data set and says what it holds."""
    from rlld.data.dataset import load_data
    from rlld.synthetic.features.conditions import Conditions
    from rlld.synthetic.features.writing import simulate
    from rlld.utils.console import OUT

    spec = simulate(
        args.out,
        args.preset,
        seed=args.seed,
        annotations=args.annotations,
        videos=args.videos,
        dtype=args.dtype,
        conditions=Conditions(args.noise, args.classes, args.missing),
    )
    streams = ", ".join(f"{name} {dim}" for name, dim in spec.dims.items())
    data = load_data(args.out)
    splits = (data.train, data.steering, data.test)
    counts = ", ".join(f"{len(split)} {split.name}" for split in splits)
    OUT.print(f"simulated {counts} videos ({streams}) into {args.out}")
