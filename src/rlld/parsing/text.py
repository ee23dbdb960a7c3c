"""A parse on the terminal."""

from __future__ import annotations

import io

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rlld.errors import visible
from rlld.parsing.result import Event, Parse
from rlld.parsing.words import NAMES, seconds
from rlld.utils.console import Terminal

WIDTH = 40
"""Characters of a timeline, at most."""


def parse_table(parse: Parse) -> RenderableType:
    """Returns a parse as a table: a row per class and modality with its timeline and events."""
    head = Text.assemble((visible(parse.name), "bold"), f"  {seconds(parse.duration)} s")
    if parse.tags is not None:
        head.append(visible(f"  tags: {', '.join(parse.tags)}"))
    notes = [f"note: {note}" for note in parse.notes]
    if not parse.events:
        return Group(head, *notes, "no events found")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("class", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(f"0 to {seconds(parse.duration)} s", no_wrap=True)
    table.add_column("events in seconds (confidence)")
    shown = ""
    for label in (name for name in parse.classes if any(e.label == name for e in parse.events)):
        for modality, name in NAMES.items():
            events = [e for e in parse.events if (e.label, e.modality) == (label, modality)]
            if events:
                spans = ", ".join(
                    f"{seconds(e.start)}-{seconds(e.end)} ({e.confidence:.2f})" for e in events
                )
                first = "" if label == shown else label
                table.add_row(first, name, _bar(events, parse), spans)
                shown = label
    return Group(head, *notes, table)


def dumps(parse: Parse) -> str:
    """Returns the table as plain text."""
    out = io.StringIO()
    Terminal(file=out, width=110, no_color=True).print(parse_table(parse))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _bar(events: list[Event], parse: Parse) -> str:
    """Draws a timeline; a character is filled when an event covers its middle."""
    count = min(WIDTH, max(len(parse.probabilities) * 2, 10))
    middles = [(k + 0.5) * parse.duration / count for k in range(count)]
    return "".join(
        "\u2588" if any(e.start <= t < e.end for e in events) else "\u00b7" for t in middles
    )
