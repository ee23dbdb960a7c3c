"""Tables of sound-event detection (DCASE, DESED, sed_eval), with a column for the modality."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from rlld.errors import RlldError
from rlld.export.lanes import lanes, marked, modality_told, number, one_line
from rlld.parsing.result import Event, Parse

SUFFIX = "tsv"
MANY = True
COLUMNS = {
    "filename": ("filename", "file", "segment_id"),
    "onset": ("onset", "start_time_seconds"),
    "offset": ("offset", "end_time_seconds"),
    "event_label": ("event_label", "event_labels", "label"),
    "modality": ("modality",),
}
"""What the columns are called: here, and elsewhere."""


def dumps(*parses: Parse) -> str:
    """Returns a row for each audible or visible event, and one for a clip without any."""
    text = io.StringIO()
    # Names stand as they are, unlike in our csv: this is read by programs, not by spreadsheets.
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for parse in parses:
        name = one_line(parse.name)
        for event in lanes(parse):
            writer.writerow((name, event.start, event.end, event.label, event.modality))
        if not lanes(parse):
            writer.writerow((name, "", "", "", ""))
    return text.getvalue()


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Reads such a table; columns of other names are passed over.

    Args:
        text: The text that ``dumps`` or another program wrote.
        where: Its file, for messages; its name may say the modality.

    Returns:
        The events by clip.

    Raises:
        RlldError: If a column is missing, or a row holds what is no time or modality.
    """
    found: dict[str, list[Event]] = {}
    for place, row in _rows(text, where):
        events = found.setdefault(row["filename"], [])
        if not row["event_label"]:
            continue
        modality = modality_told(row["modality"], where, place)
        start, end = number(row["onset"], place), number(row["offset"], place)
        events.append(marked(row["event_label"], modality, start, end, place))
    return {name: tuple(events) for name, events in found.items()}


def _rows(text: str, where: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields the place and the cells of every row."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter="\t")
    header = [name.strip() for name in next(reader, [])]
    columns = {
        role: next((header.index(name) for name in names if name in header), None)
        for role, names in COLUMNS.items()
    }
    missing = [role for role, at in columns.items() if at is None and role != "modality"]
    if missing:
        raise RlldError(
            f"{where}:1: has no column {', '.join(missing)}; expected the tab-separated header "
            f"{', '.join(COLUMNS)}"
        )
    for cells in reader:
        place = f"{where}:{reader.line_num}"
        if not any(cells):
            continue
        if len(cells) < len(header):
            raise RlldError(f"{place}: found {len(cells)} fields, expected {len(header)}")
        yield place, {role: "" if at is None else cells[at] for role, at in columns.items()}
