"""Say what to ask next of a person who looks at clips: is it heard, is it seen?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld suggest``."""

    run: tyro.conf.Positional[str | None] = None
    """Run folder or hub:owner/name[@revision], whose beliefs are shown; tags alone say what to
    ask when not given."""
    data: Path | None = None
    """Data-set folder; the one of the training when not given."""
    split: Literal["train", "validation"] = "train"
    """The videos to ask about."""
    by: Literal["question", "sample", "doubt"] = "question"
    """How they are drawn: by the class where answers put most right, its video by lot; typical
    videos with all of their tags; or, to find wrong tags, half by what the run doubts."""
    count: int = 25
    """How many questions, each about one class in one video."""
    seed: int = 0
    """Seed of the lot; the same one goes on where answers ended."""
    out: Path | None = None
    """Tab-separated file to write; RUN/suggest-SPLIT.csv when not given, for a run of
    the hub or without a run suggest-SPLIT.csv here."""
    answers: Path | None = None
    """A sheet to fill in (video, class, modality, present, probability) and add by 'rlld data
    answers'."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Prints the questions with their reasons and writes them."""
    from rlld.api import suggest
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.hub import PREFIX

    found = suggest(
        args.run,
        args.count,
        args.split,
        args.data,
        by=args.by,
        seed=args.seed,
        compute=Compute(args.device),
    )
    here = args.run is None or args.run.startswith(PREFIX)
    folder = Path() if here else Path(str(args.run))
    out = args.out or folder / f"suggest-{args.split}.csv"
    found.to_csv(out)
    OUT.print(str(found))
    if args.answers is not None:
        found.to_sheet(args.answers)
        OUT.print(f"to fill in: {args.answers}")
    OUT.print(f"{len(found)} questions; written: {out}")
