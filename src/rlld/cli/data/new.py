"""Make a data set of a folder of clips and their tags, or bring it up to date."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import listed

if TYPE_CHECKING:
    from rlld.workflows.new_data import NewReport

SHOWN = 5


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data new``."""

    out: tyro.conf.Positional[Path]
    """Data-set folder; called again with more clips or other tags, it is brought up to date."""
    videos: Path
    """Folder of the clips, with all its sub-folders; nothing is copied or changed there."""
    tags: str | None = None
    """Table of clips and their tags (.csv, .tsv, .xlsx, .json, .jsonl), or a folder of text files;
    or one of folders, texts, keywords: the sub-folders' names, text files beside the clips, what
    the clips carry. Not needed where only one of these three tells anything."""
    columns: str | None = None
    """Which columns are which, where that is in doubt: file=clip,labels=tags."""
    events: tuple[Path, ...] = ()
    """Tables of clip, class, modality, onset, offset for clips that were watched: they serve for
    validation."""
    test: float = 0
    """So many of these, or such a share of them (0.3), are for testing instead."""
    answers: tuple[Path, ...] = ()
    """Tables of clip, class, modality, present (yes, no, or empty where it is not known): is it
    heard, is it seen?"""
    features: str | None = None
    """Extractors joined by commas; starter where its extra is installed, else light, when not
    given."""
    segment_seconds: float | None = None
    """Length of a segment in seconds; 1 when not given."""
    workers: int = 0
    """Processes; 0 takes one per core. Their number changes nothing about the features."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where networks run; auto takes a GPU when there is one."""


def run(args: Args) -> None:
    """Makes the data set, says what was found and what comes next."""
    from rlld.features.job import Where, check_seconds
    from rlld.workflows.new_data import Wanted, new_data

    if args.segment_seconds is not None:
        check_seconds(args.segment_seconds)
    wanted = Wanted(
        args.videos,
        args.tags,
        args.columns,
        args.events,
        args.answers,
        args.test,
        args.features,
        args.segment_seconds,
        Where(args.workers, args.device, apart=True),
    )
    _show(args, new_data(args.out, wanted))


def _show(args: Args, report: NewReport) -> None:
    from rlld.utils.console import OUT
    from rlld.workflows.new_data import LEFT_OUT

    used = sum(map(len, report.splits.values()))
    OUT.print(f"{args.videos}: {report.clips:,} clips, {used:,} of them in {args.out}")
    if report.left_out:
        shown = list(report.left_out.items())[:SHOWN]
        for path, reason in shown:
            OUT.print(f"left out: {path}: {reason}")
        if len(report.left_out) > len(shown):
            more = len(report.left_out) - len(shown)
            OUT.print(f"left out: {more:,} more, listed in {args.out / LEFT_OUT}")
    if report.strangers:
        names = listed([repr(name) for name in report.strangers[:SHOWN]])
        OUT.print(f"named in tables, but no clip: {len(report.strangers):,}, such as {names}")
    classes = listed([f"{name} {count:,}" for name, count in sorted(report.counts.items())])
    OUT.print(f"{len(report.counts)} classes, with their clips: {classes}")
    for note in (*report.notes, *report.extracted.remarks):
        OUT.print(f"note: {note}")
    if args.features is None and report.spec.features == "light":
        OUT.print(
            "note: light knows no thing of the world; of real clips '--features starter' sees far "
            "more (pip install 'rlld[starter]')"
        )
    notes = list(report.extracted.notes.items())
    for video, texts in notes[:SHOWN]:
        OUT.print(f"note on {video}: {'; '.join(texts)}")
    if len(notes) > SHOWN:
        OUT.print(f"notes on {len(notes) - SHOWN:,} more clips")
    spec = report.spec
    length = "as long as they are" if spec.any_length else f"of {spec.duration:g} s"
    made = report.extracted.made
    kept = f", of {used - made:,} kept" if used > made else ""
    OUT.print(f"videos are {length}; features of {made:,} clips extracted{kept}")
    splits = ", ".join(f"{len(videos):,} {split}" for split, videos in report.splits.items())
    OUT.print(f"{args.out}: {splits} videos with {report.spec.features} features")
    OUT.print(_next(args.out, len(report.splits["train"])))


def _next(out: Path, videos: int) -> str:
    """Says what can be done with so many training videos."""
    from rlld.recipes import RECOMMENDED
    from rlld.recipes.recipe import load_recipe

    named = quote(str(out))
    folds = load_recipe(RECOMMENDED).as_dict()["denoiser"]["labelwise"]["folds"]
    if not isinstance(folds, int) or videos >= folds:  # what is no number fits the data
        return f"next: rlld train {RECOMMENDED} --data {named} --out run"
    return (
        f"next: more clips, for {RECOMMENDED} needs {folds} training videos at least; or rlld "
        f"train weak --data {named} --out run"
    )
