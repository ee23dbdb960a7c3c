"""Which column of a table names the clips, and which hold their tags."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rlld.data.tags.names import SUFFIX, ClipNames
from rlld.data.tags.sheet import Sheet
from rlld.errors import RlldError, listed, nearest

CLIP, TAGS, CLASS = "clip", "tags", "class"
ROLES = (CLIP, TAGS, CLASS)
"""What a column may be: names of clips, their tags, or yes and no for the class it is called."""

TAG_NAMES = frozenset(
    (
        *("tag", "label", "event_label", "class", "category", "keyword", "event"),
        *("tags", "labels", "event_labels", "classes", "categories", "keywords", "events"),
    )
)
"""What columns of tags are called, whatever number stands behind."""
YES = frozenset(("1", "x", "yes", "y", "true", "t", "1.0", "ja", "\u2713", "\u2714", "\u2705"))
NO = frozenset(("0", "no", "n", "false", "f", "0.0", "nein"))


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read.

    Attributes:
        names: Name of every column; its number from 1 where there is no header.
        clip: The column that names the clips.
        tags: Columns of tags.
        classes: Columns of yes and no, one per class.
        first: The first row that is no header.
    """

    names: tuple[str, ...]
    clip: int
    tags: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    first: int = 0

    def __str__(self) -> str:
        roles = {self.clip: CLIP} | dict.fromkeys(self.tags, TAGS)
        roles |= dict.fromkeys(self.classes, CLASS)
        return spelled(self.names, roles)


def spelled(names: Sequence[str], roles: dict[int, str]) -> str:
    """Returns columns as ``--columns`` takes them; a name that cannot be typed is its number."""
    shown = (
        str(at + 1) if any(mark in names[at] for mark in ",='\"") or not names[at] else names[at]
        for at in sorted(roles)
    )
    text = ",".join(
        f"{name}={role}" for name, (_, role) in zip(shown, sorted(roles.items()), strict=True)
    )
    return f"'{text}'" if re.search(r"[^\w=,.-]", text) else text


def find_columns(sheet: Sheet, names: ClipNames, asked: str | None = None) -> Columns:
    """Finds out which columns are read.

    Args:
        sheet: The table.
        names: The clips.
        asked: What the user says, ``name=tags,file=clip``; what it leaves out is found out.

    Raises:
        RlldError: If that cannot be told; the message says what to type.
    """
    if not sheet.rows:
        raise RlldError(f"{sheet.path}: holds no rows; expected a row for each clip with its tags")
    given = _given(sheet, asked) if asked else {}
    clips = [at for at, role in given.items() if role == CLIP]
    clip = clips[0] if clips else clip_column(sheet, names, given)
    header = sheet.header or _header(sheet, names, clip)
    first = 0 if sheet.header or not header else 1
    shown = tuple(header or (str(at + 1) for at in range(sheet.width)))
    tags = tuple(at for at, role in given.items() if role == TAGS)
    classes = tuple(at for at, role in given.items() if role == CLASS)
    found = Columns(shown, clip, tags, classes, first)
    return found if tags or classes else _tag_columns(sheet, found, bool(header))


def _given(sheet: Sheet, asked: str) -> dict[int, str]:
    """Reads ``--columns``."""
    names = list(sheet.header or (sheet.rows[0].text(at) for at in range(sheet.width)))
    numbers = [str(at + 1) for at in range(len(names))]
    given: dict[int, str] = {}
    for part in asked.split(","):
        name, equals, role = (word.strip() for word in part.rpartition("="))
        if not equals or role not in ROLES:
            raise RlldError(
                f"--columns: found {part.strip()!r}, expected COLUMN=ROLE pairs joined by commas, "
                f"such as file=clip,labels=tags; roles: {', '.join(ROLES)}"
            )
        folded = [known.casefold() for known in names]
        if name.casefold() in folded:
            at = folded.index(name.casefold())
        elif name in numbers:
            at = numbers.index(name)
        else:
            raise RlldError(f"{sheet.path}: has no column {name!r}{nearest(name, names)}")
        given[at] = role
    if sum(role == CLIP for role in given.values()) > 1:
        raise RlldError(f"--columns: two columns are to name the clips in {asked!r}; give one")
    return given


def clip_column(sheet: Sheet, names: ClipNames, given: Collection[int]) -> int:
    """Returns the column whose cells name most clips.

    Args:
        sheet: The table.
        names: The clips.
        given: Columns that are something else.

    Raises:
        RlldError: If no cell names a clip, or two columns do so equally often.
    """
    width = max(len(row.cells) for row in sheet.rows)
    count = {
        at: sum(bool(names.find(row.text(at)).ids) for row in sheet.rows)
        for at in range(width)
        if at not in given
    }
    best = max(count, key=lambda at: count[at], default=0)
    if not count.get(best):
        clip = next(iter(names.paths.values()))
        rows = [row.text(0) for row in sheet.rows[:3]]
        raise RlldError(
            f"{sheet.path}: none of its {len(sheet.rows):,} rows names one of the {len(names):,} "
            f"clips: clips are called {clip!r}, its first column holds {', '.join(map(repr, rows))}"
            "; write the file names there, with or without suffix"
        )
    for other in (at for at in count if at != best and count[at] == count[best]):
        pairs = ((names.find(row.text(at)).ids for at in (other, best)) for row in sheet.rows)
        if any(one != two for one, two in pairs):
            columns = [row_name(sheet, at) for at in (best, other)]
            line = spelled([row_name(sheet, at) for at in range(width)], {best: CLIP})
            raise RlldError(
                f"{sheet.path}: columns {columns[0]!r} and {columns[1]!r} name clips equally "
                f"often; say which one is meant, such as --columns {line}"
            )
    return best


def row_name(sheet: Sheet, column: int) -> str:
    """Returns what the first row calls a column."""
    return sheet.header[column] if sheet.header else sheet.rows[0].text(column)


def _header(sheet: Sheet, names: ClipNames, clip: int) -> tuple[str, ...]:
    """Returns the first row if it names columns, nothing if it is one like the others."""
    head = sheet.rows[0]
    told = head.text(clip)
    if names.find(told).ids or (SUFFIX.search(told) and _has_suffixes(sheet, clip)):
        return ()
    others = {
        (at, row.text(at)) for row in sheet.rows[1:] for at in range(len(row.cells)) if at != clip
    }
    if any((at, head.text(at)) in others for at in range(len(head.cells)) if head.text(at)):
        return ()
    return tuple(head.text(at) for at in range(len(head.cells)))


def _has_suffixes(sheet: Sheet, clip: int) -> bool:
    rows = sheet.rows[1:100]
    return sum(bool(SUFFIX.search(row.text(clip))) for row in rows) * 2 >= len(rows)


def _tag_columns(sheet: Sheet, found: Columns, header: bool) -> Columns:
    """Returns the columns with those of tags or classes."""
    rest = [at for at in range(len(found.names)) if at != found.clip]
    data = sheet.rows[found.first :]
    filled = [at for at in rest if any(row.text(at) for row in data)]
    called = {at: re.sub(r"[\s_.-]*\d*$", "", found.names[at].lower()) for at in rest}
    named = [at for at in rest if header and called[at].replace(" ", "_") in TAG_NAMES]
    if len({called[at] for at in named}) == 1:
        return _with(found, named, ())
    ticks = [
        at
        for at in filled
        if header and all(row.text(at).casefold() in YES | NO | {""} for row in data)
    ]
    if not named and ticks and (len(ticks) == len(filled) or len(ticks) > 1):
        return _with(found, (), ticks)
    if not named and len(filled) == 1:
        return _with(found, filled, ())
    if not named and not header and filled:
        return _with(found, filled, ())  # clip, tag, tag, tag
    if not filled and not named:
        raise RlldError(
            f"{sheet.path}: has a column of clips ({found.names[found.clip]!r}) and none of tags; "
            "add one, with the tags of a clip separated by commas"
        )
    choice = (named or filled)[0]
    line = spelled(found.names, {found.clip: CLIP, choice: TAGS})
    shown = listed([repr(found.names[at]) for at in named or filled])
    raise RlldError(
        f"{sheet.path}: the tags may stand in columns {shown}; say which ones hold them, such as "
        f"--columns {line}"
    )


def _with(found: Columns, tags: Sequence[int], classes: Sequence[int]) -> Columns:
    return Columns(found.names, found.clip, tuple(tags), tuple(classes), found.first)
