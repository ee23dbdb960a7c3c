"""Class names out of tags: one spelling each, and a word about those that look alike."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from rlld.errors import HIDDEN, listed

SEPARATORS = re.compile(r"[,;|\n\r\t\uff0c\u3001\uff1b]")
"""What stands between tags, in East Asian writing too."""
EMPTY = frozenset(("none", "nothing", "empty", "-", "--", "\u2013", "\u2014"))
"""Tags that say that nothing occurs."""
UNKNOWN = frozenset(
    (
        *("", "?", "unknown", "n/a", "na", "nan", "null", "todo", "tbd"),
        *("#n/a", "#ref!", "#name?", "#value!", "#div/0!", "#null!", "#num!"),
    )
)
"""Tags that say nothing, the errors of spreadsheets among them."""
LIKE = 0.9
"""Likeness of two class names from which on one may be a slip of the other."""
MOST_COMPARED = 300
"""Classes that are compared letter by letter; more are hardly typed by hand."""


def cleaned(tag: str) -> str:
    """Returns a tag as a class name: single blanks, no hidden letters, no comma, no outer quotes.

    Examples:
        >>> cleaned(" Fire  engine, siren "), cleaned('"Dog"')
        ('Fire engine siren', 'Dog')
    """
    tag = "".join(letter for letter in HIDDEN.sub(" ", tag) if unicodedata.category(letter) != "Cf")
    tag = " ".join(unicodedata.normalize("NFC", tag).replace(",", " ").split())
    # Both of "Dog", and the one that is left of "Dog, Cat" when it is split.
    quoted = tag.count('"') == 1 or (tag[:1] == tag[-1:] == '"')
    return tag.strip('"').strip() if quoted else tag


def split_tags(cell: str | tuple[str, ...]) -> list[str]:
    """Returns the tags of a cell; those of a list are not split again.

    Examples:
        >>> split_tags("dog; Cat,  bird"), split_tags(("Fire engine, siren",))
        (['dog', 'Cat', 'bird'], ['Fire engine siren'])
    """
    parts = SEPARATORS.split(cell) if isinstance(cell, str) else cell
    return [tag for part in parts if (tag := cleaned(part))]


def said(tags: Iterable[str]) -> tuple[str, ...] | None:
    """Returns what the tags of a clip say: classes, each once, nothing, or None for not known."""
    words = [tag for tag in tags if tag.casefold() not in UNKNOWN]
    classes = tuple(dict.fromkeys(tag for tag in words if tag.casefold() not in EMPTY))
    return classes if classes or words else None


def one_spelling(tags: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, str], list[str]]:
    """Makes one class of tags that differ in capital letters alone.

    Args:
        tags: Tags of each clip.

    Returns:
        The class of every spelling, the most frequent one of each, and notes.
    """
    count = Counter(tag for found in tags.values() for tag in set(found))
    groups: dict[str, list[str]] = defaultdict(list)
    for tag in sorted(count, key=lambda tag: (-count[tag], tag)):
        groups[tag.casefold()].append(tag)
    notes = [
        f"{', '.join(map(repr, group[1:]))} and {group[0]!r} are one class, {group[0]!r}"
        for group in groups.values()
        if len(group) > 1
    ]
    return {tag: group[0] for group in groups.values() for tag in group}, notes


def look_alike(classes: Iterable[str]) -> list[str]:
    """Returns notes on classes that may be meant as one: plurals, blanks, slips of the pen.

    Examples:
        >>> look_alike(["Dog", "dogs", "Cat", "fire alarm", "fire_alarm"])
        ["'Dog' and 'dogs' are two classes", "'fire alarm' and 'fire_alarm' are two classes"]
    """
    names = sorted(classes, key=str.casefold)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_stem(name)].append(name)
    pairs = [(group[0], other) for group in groups.values() for other in group[1:]]
    if len(names) <= MOST_COMPARED:
        stems = sorted(stem for stem in groups if len(stem) > 4)
        for at, stem in enumerate(stems):
            for other in difflib.get_close_matches(stem, stems[at + 1 :], n=3, cutoff=LIKE):
                pairs.append((groups[stem][0], groups[other][0]))
    return [f"{first!r} and {other!r} are two classes" for first, other in pairs]


def _stem(name: str) -> str:
    letters = "".join(letter for letter in name.casefold() if letter.isalnum())
    return re.sub(r"(?<=\w\w)(e?s)$", "", letters) or name


def told(notes: list[str], what: str) -> list[str]:
    """Returns notes of one kind as one, when there are many."""
    return notes if len(notes) <= 3 else [f"{what}: {listed(notes)}"]
