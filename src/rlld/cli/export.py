"""Bring parses into the programs that people annotate, listen and cut with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.parsing.result import Parse


@dataclass(frozen=True)
class Args:
    """Options of ``rlld export``."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Files of 'rlld parse --format json', folders of them, or a run: of every video of its data
    set, with its tags."""
    to: str
    """The format; docs/formats.md has the list, and so has the message on a wrong name."""
    data: Path | None = None
    """Data-set folder of a run; the one of the training when not given."""
    out: Path | None = None
    """Folder, for a file of each parse; or the one file, which most formats let hold several.
    Without it that is printed."""
    fps: float | None = None
    """Frames per second of the timeline or project, for formats that count frames; 25 when not
    given."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a run computes."""


def run(args: Args) -> None:
    """Reads all parses, then writes them."""
    from rlld.export import load_format, rate_of
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.files import write_text
    from rlld.workflows.parses import parses_of

    form, rate = load_format(args.to), rate_of(args.to, args.fps)
    if not args.sources:
        raise RlldError("nothing to export; give a run, or parses that 'rlld parse' wrote")
    parses = parses_of(args.sources, str(Compute(args.device).torch_device), args.data)
    joined = form.MANY or len(parses) == 1
    if args.out is None:
        if not joined:
            raise RlldError(f"{len(parses)} parses as {args.to} need a folder; give --out FOLDER")
        OUT.content(form.dumps(*parses.values(), **rate))
        return
    if joined and args.out.suffix and not args.out.is_dir():
        texts = {args.out: form.dumps(*parses.values(), **rate)}
    else:
        files = _files(args.out, parses, args.to)
        texts = {file: form.dumps(parse, **rate) for file, parse in files.items()}
    for path, text in texts.items():  # all of them are there before any is written
        write_text(path, text)
    OUT.print(f"{len(parses):,} parses written: {args.out}")


def _files(folder: Path, parses: Mapping[str, Parse], to: str) -> dict[Path, Parse]:
    """Returns what each file of a folder is to hold."""
    from rlld.export import load_format
    from rlld.utils.names import inside

    if folder.exists() and not folder.is_dir():
        raise RlldError(f"{folder}: is a file; {len(parses)} parses as {to} need a folder")
    suffix = load_format(to).SUFFIX
    return {
        inside(folder, f"{name}.{suffix}", "name of the result"): parse
        for name, parse in parses.items()
    }
