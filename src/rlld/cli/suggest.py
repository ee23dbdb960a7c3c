"""Say which videos to annotate next: those whose labels the denoiser is least sure of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld suggest``."""

    run: tyro.conf.Positional[str]
    """Run folder of a recipe whose denoiser learns (rlld-labelwise), or
    hub:owner/name[@revision]."""
    data: Path | None = None
    """Data-set folder; the one of the training when not given."""
    split: Literal["train", "validation"] = "train"
    """The videos to choose from."""
    count: int = 25
    """How many to suggest."""
    out: Path | None = None
    """Tab-separated file to write; RUN/suggest-SPLIT.csv when not given, for a run of
    the hub suggest-SPLIT.csv here."""
    answers: Path | None = None
    """A sheet to fill in (video, class, modality, present) and add by 'rlld data answers'."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Prints the suggestions with their reasons and writes them."""
    from rlld.api import suggest
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.hub import PREFIX

    compute = Compute(args.device)
    found = suggest(args.run, args.count, args.split, args.data, compute=compute)
    folder = Path() if args.run.startswith(PREFIX) else Path(args.run)
    out = args.out or folder / f"suggest-{args.split}.csv"
    found.to_csv(out)
    for each in found:
        OUT.print(str(each))
    if args.answers is not None:
        found.to_sheet(args.answers)
        OUT.print(f"to fill in: {args.answers}")
    OUT.print(f"{len(found)} of {len(found.pool)} {args.split} videos; written: {out}")
