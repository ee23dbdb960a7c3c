"""Add bare answers (is it heard? is it seen?) to a packed data set: of a file, or of its studio."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data answers``."""

    folder: tyro.conf.Positional[Path]
    """Data-set folder."""
    file: tyro.conf.Positional[Path | None] = None
    """Columns video, class, modality, present (yes, no, or empty); tabs or commas. Without it, what
    was answered and corrected in 'rlld studio' is taken."""


def run(args: Args) -> None:
    """Adds the answers and says how many the data set has."""
    from rlld.data.add_answers import add_answers
    from rlld.utils.console import OUT

    if args.file is None:
        from rlld.studio.into_data import write_kept

        OUT.print(write_kept(args.folder).text)
        return
    added = add_answers(args.folder, args.file)
    OUT.print(f"{args.folder}: {added.used} answers added, {added.total} in all")
    if added.unused:
        OUT.print(
            f"{added.unused} answers are about test videos, unknown videos, or classes that the "
            "video is not tagged with; they are not used"
        )
