"""Names of people: what a keyboard types, and nothing that cannot be seen."""

from __future__ import annotations

import pytest

from rlld.errors import RlldError
from rlld.studio.people import LONGEST_NAME, person_of

ALI = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
"""A Persian name, with a joiner in it."""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Ada \t Lovelace\n", "Ada Lovelace"),
        (
            "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
            "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        ),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
    ],
)
def test_names_are_kept_with_single_blanks(text, name):
    assert person_of(text) == name


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * (LONGEST_NAME + 1), "a\x00b", "\u202eadA", "\u200d", "\ud800"]
)
def test_names_that_nobody_can_read_are_refused(text):
    with pytest.raises(RlldError, match="person: expected a name of 1 to 60 letters"):
        person_of(text)
