"""Tag files of text: its encoding and what separates its columns are found out."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from pathlib import Path

from rlld.data.lines import read_bytes
from rlld.data.tags.names import ClipNames
from rlld.data.tags.sheet import Row, Sheet
from rlld.errors import RlldError, visible
from rlld.utils.sheets import SheetError, read_sheet

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""How a text begins that says its encoding; that of UTF-32 begins as that of UTF-16."""
BINARY = re.compile("[\0-\x08\x0e-\x1f]")
"""What no text holds."""
LOOK = 2000
"""Lines by which separators are compared."""
HINT = "sep="
"""What Excel writes into the first line to say its separator."""


def read_text_sheet(path: Path, names: ClipNames) -> Sheet:
    """Reads separated text.

    Args:
        path: The file.
        names: The clips; the separator is the one between whose columns most of them are named.

    Raises:
        RlldError: If it cannot be read, is no text, or a quote is not closed.
    """
    text, notes = decoded(path, read_bytes(path))
    return text_sheet(path, text, names, notes)


def text_sheet(path: Path, text: str, names: ClipNames, notes: tuple[str, ...] = ()) -> Sheet:
    """Returns separated text as a sheet; see ``read_text_sheet``.

    Raises:
        RlldError: If it cannot be read as a table.
    """
    first, _, rest = text.partition("\n")
    separator = first.strip().strip('"')[len(HINT) :]
    if first.strip().strip('"').lower().startswith(HINT) and separator in SEPARATORS:
        # The line stays counted, so that messages name the right one.
        text = "\n" + rest
    else:
        separator = _separator(text, names)
    try:
        rows = tuple(
            Row(line, tuple(cell.strip() for cell in cells))
            for line, cells in read_sheet(text, separator)
            if any(cell.strip() for cell in cells)
        )
    except SheetError as error:
        raise RlldError(f"{path}:{error.line}: {error.text}") from None
    return Sheet(path, rows, notes=notes)


def decoded(path: Path, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Returns a text whose encoding is found out, and a note where that was a guess.

    Raises:
        RlldError: If it is no text.
    """
    text, guess = _decoded(path, content)
    text = text.removesuffix("\x1a")  # how DOS ended texts
    if BINARY.search(text):
        raise RlldError(
            f"{path}: holds control characters and is no text; save the table as CSV in UTF-8, or "
            "as .xlsx"
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not guess:
        return text, ()
    strange = next((line for line in text.split("\n") if not line.isascii()), "")
    note = f"{path.name} is read as {guess} text ({visible(strange.strip())[:60]!r})"
    return text, (f"{note}; if that looks wrong, save it as UTF-8",)


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """Returns the text, and the name of an encoding that was guessed."""
    told = next((name for mark, name in MARKS if content.startswith(mark)), "")
    try:
        if told:
            return content.decode(told), ""
        if b"\0" not in content:
            return content.decode("utf-8"), ""
        wide = _wide(content)
        return (content.decode(wide), wide) if wide else ("\0", "")
    except UnicodeDecodeError as error:
        if told:
            line = content[: error.start].count(b"\n") + 1
            raise RlldError(
                f"{path}:{line}: begins as {told} text and is none; save it as UTF-8"
            ) from None
    return _guessed(path, content)


def _wide(content: bytes) -> str:
    """Returns the UTF-16 of a text without a mark: every second byte of Latin letters is zero."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    if len(content) % 2 or max(even, odd) < len(content) / 8 or min(even, odd) > max(even, odd) / 4:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _guessed(path: Path, content: bytes) -> tuple[str, str]:
    """Reads text in an encoding of old, which only what it says can tell."""
    from charset_normalizer import from_bytes

    lines = [line for line in content.splitlines() if not line.isascii()]
    best = from_bytes(b"\n".join(lines[:LOOK])).best()
    for name in (best.encoding if best else "", "cp1252", "latin-1"):
        try:
            if name:
                return content.decode(name), name
        except UnicodeDecodeError:
            continue
    raise RlldError(f"{path}: its encoding cannot be told; save it as UTF-8")


def _separator(text: str, names: ClipNames) -> str:
    """Returns what separates columns: what sets most names of clips free, then most evenly."""
    lines = text.split("\n", LOOK)[:LOOK]
    head = "\n".join(lines)

    def worth(mark: str) -> tuple[int, int, int]:
        try:
            rows = [cells for _, cells in read_sheet(head, mark)]
        except SheetError:  # a quoted cell may be cut where the look ends
            rows = [line.split(mark) for line in lines]
        rows = [row for row in rows if any(row)]
        named = sum(any(names.find(cell.strip()).ids for cell in row) for row in rows)
        widths = Counter(map(len, rows))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        return named, count if width > 1 else 0, width

    return max(SEPARATORS, key=worth)
