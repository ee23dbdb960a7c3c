"""Bring events back that were corrected or made in another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from rlld.errors import RlldError

SHOWN = 10


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data import``."""

    folder: tyro.conf.Positional[Path]
    """Data-set folder."""
    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files of events in any format of 'rlld export', or folders of them. A clip that they name is
    taken as watched: what is not marked does not occur, and what was marked before is replaced."""
    format: str | None = None
    """Their format; told by suffix and content when not given."""
    fps: float | None = None
    """Frames per second of the timeline, where the format counts frames and does not say it (edl);
    25 when not given."""


def run(args: Args) -> None:
    """Reads all files, then writes the annotation, and says what it has become."""
    from rlld.studio.imported import beside_studio
    from rlld.utils.console import OUT
    from rlld.workflows.import_events import import_events

    if not args.files:
        raise RlldError("nothing to import; give files of events")
    with beside_studio(args.folder) as keep:
        made = import_events(args.folder, args.files, args.format, args.fps)
        keep(made.videos)
    for note in made.notes[:SHOWN]:
        OUT.print(f"note: {note}")
    if len(made.notes) > SHOWN:
        OUT.print(f"note: {len(made.notes) - SHOWN:,} more of this kind")
    if made.moved:
        OUT.print(f"for validation from now on, and not for training: {len(made.moved):,} clips")
    OUT.print(f"{args.folder}: {made.events:,} events of {len(made.videos):,} clips imported")
