"""The one exception that rlld raises for bad input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RlldError(Exception):
    """Bad input, told in one sentence for the person who gave it.

    The message names the file and the field, what was found, what was expected and what to do.
    The command line prints it without a traceback and exits with status 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Says which known name was probably meant, for the end of an error message.

    Args:
        name: What was found.
        known: The names that would have been accepted.

    Returns:
        ``"; did you mean 'x'?"``, or the list of known names when none is close.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}"
