"""Names of the people who answer and correct."""

from __future__ import annotations

from rlld.errors import RlldError

LONGEST_NAME = 60
JOINERS = "\u200c\u200d"
"""Zero-width signs within words of Persian and of Indian scripts, and within composed emoji."""


def person_of(text: str) -> str:
    """Returns a name with single blanks between its words.

    Raises:
        RlldError: If it is empty, too long, or holds signs that cannot be seen.
    """
    name = " ".join(text.split())
    seen = name.translate(dict.fromkeys(map(ord, JOINERS)))
    if not seen or len(name) > LONGEST_NAME or not seen.isprintable():
        raise RlldError(f"person: expected a name of 1 to {LONGEST_NAME} letters; say who you are")
    return name
