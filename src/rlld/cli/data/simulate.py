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
    """Number of training, validation and test videos; 10000 649 1200 when not given."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Element type of the stores; the last two take half the space."""


def run(args: Args) -> None:
    """Simulates the data set and says what it holds."""
    from rlld.data.dataset import load_data
    from rlld.synthetic.features.writing import simulate
    from rlld.utils.console import OUT

    spec = simulate(
        args.out,
        args.preset,
        seed=args.seed,
        annotations=args.annotations,
        videos=args.videos,
        dtype=args.dtype,
    )
    streams = ", ".join(f"{name} {dim}" for name, dim in spec.dims.items())
    data = load_data(args.out)
    counts = ", ".join(
        f"{len(split)} {split.name}" for split in (data.train, data.validation, data.test)
    )
    OUT.print(f"simulated {counts} videos ({streams}) into {args.out}")
