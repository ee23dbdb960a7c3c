"""Put a run on the Hugging Face hub, with a model card written from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld push``."""

    run: tyro.conf.Positional[str]
    """Run folder of ``rlld train``."""
    repository: tyro.conf.Positional[str]
    """Where it goes: owner/name. It is made where there is none; one that holds something else
    than a run is refused."""
    license: str | None = None
    """Licence under which others may use the run, by the hub's identifier: apache-2.0. It has to be
    given."""
    private: bool = False
    """Let only the owner see a repository that is made."""
    data: Path | None = None
    """Data-set folder to measure on for the card; the one of the training when not given."""
    card: Path | None = None
    """Write the model card to this file, to look at, and push nothing."""


def run(args: Args) -> None:
    """Measures, writes the card and pushes."""
    from rlld.report.card import model_card
    from rlld.training.run_folder import load_run
    from rlld.utils.console import ERR, OUT
    from rlld.utils.files import write_text
    from rlld.utils.hub import named
    from rlld.workflows.push import measure, push, require_licence, require_whole

    licence, name = require_licence(args.license), named(args.repository).name
    loaded = load_run(args.run)
    require_whole(loaded)
    measured = measure(loaded, args.data)
    for reason in measured.why:
        ERR.print(f"note: {reason}")
    if licence == "other":
        ERR.print("note: --license other: add a file LICENSE with the terms to the repository")
    card = model_card(loaded, name, licence, measured)
    if args.card is not None:
        write_text(args.card, card)
        OUT.print(f"written: {args.card}; nothing was pushed")
        return
    address = push(loaded, args.repository, card, private=args.private)
    OUT.print(f"pushed: {address}; next: rlld parse hub:{name} CLIP")
