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
    from rlld.errors import RlldError
    from rlld.evaluation.labels import judge, teachers
    from rlld.evaluation.scoring import load_for
    from rlld.evaluation.suggest import answered_fully, question_text, suggest, suggestion_text
    from rlld.training.run_folder import load_run
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.files import write_text
    from rlld.utils.hub import PREFIX

    loaded = load_run(args.run, Compute(args.device).torch_device)
    videos = load_for(loaded, args.split, args.data).to(loaded.device)
    known = answered_fully(videos).intersection(teachers(loaded, videos))
    found = suggest(videos, judge(loaded, videos).keep, args.count, known)
    if not found:
        raise RlldError(f"{args.run}: every {args.split} video taught it; choose --split train")
    folder = Path() if args.run.startswith(PREFIX) else loaded.path
    out = args.out or folder / f"suggest-{args.split}.csv"
    write_text(out, suggestion_text(found))
    for each in found:
        OUT.print(f"{each.video}  {each.bits:.2f} bits  {each.reason}")
    if args.answers is not None:
        write_text(args.answers, question_text(found, videos))
        OUT.print(f"to fill in: {args.answers}")
    OUT.print(f"{len(found)} of {len(videos)} {args.split} videos; written: {out}")
