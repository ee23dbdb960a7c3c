"""The one exception that rlld raises for bad input."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

HEAD, TAIL = 500, 300
"""Characters of a message that are kept when it is longer than both."""
SHOWN = 20
"""Names of a list that are told, and problems that are printed."""

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
"""Control characters but tab and line feed, marks of direction, halves of characters."""


class RlldError(Exception):
    """Bad input, told in one sentence for the person who gave it.

    The message names the file and the field, what was found, what was expected and what to do.
    The command line prints it without a traceback and exits with status 2. What was found may be
    of any length and hold anything; the message is not long, and steers no terminal.

    Args:
        message: The sentence.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(shortened(visible(str(message))))


def visible(text: str) -> str:
    """Returns a text whose hidden characters are written as Python escapes them."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str) -> str:
    """Returns a message without its middle if it is long: the place and the advice stay."""
    if len(text) <= HEAD + TAIL:
        return text
    return f"{text[:HEAD]} [... {len(text) - HEAD - TAIL:,} characters ...] {text[-TAIL:]}"


def listed(names: Sequence[object]) -> str:
    """Returns names joined by commas, the first ``SHOWN`` and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


def nearest(name: object, known: Iterable[str]) -> str:
    """Says which known name was probably meant, for the end of an error message.

    Args:
        name: What was found, which may be no text at all.
        known: The names that would have been accepted.

    Returns:
        ``"; did you mean 'x'?"``, or the list of known names when none is close.
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(name)[:HEAD], names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {listed(names)}"
