"""Answer, correct and retrain in the browser, on a page that this machine serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld studio``."""

    folder: tyro.conf.Positional[Path]
    """Data-set folder; what is answered and corrected is kept in its folder studio."""
    run: str | None = None
    """Run whose doubts are asked and whose events are corrected; the last one that the studio
    trained when not given."""
    port: int = 8765
    """Port to listen on; 0 takes any that is free."""
    host: str = "127.0.0.1"
    """Address to listen on; whoever is not on this machine needs the token that is printed."""
    browser: bool = True
    """Open the page in the browser."""
    person: str | None = None
    """Who answers; asked on the page when not given."""


def run(args: Args) -> None:
    """Serves the page until it is interrupted."""
    from rlld.utils.console import OUT
    from rlld.utils.extras import optional

    for package in ("starlette", "uvicorn"):
        optional(package, "rlld studio")
    from rlld.studio.serving import listening, served
    from rlld.studio.session import Studio

    with listening(args.host, args.port) as (socket, place):
        studio = Studio(args.folder, args.run, args.person)
        try:
            for note in studio.notes:
                OUT.print(f"note: {note}")
            OUT.print(f"the studio of {args.folder} is open at {place.url}; Ctrl-C closes it")
            served(studio, socket, place, browser=args.browser)
        finally:
            studio.close()
    OUT.print(f"closed; everything that was stored is in {args.folder / 'studio'}")
