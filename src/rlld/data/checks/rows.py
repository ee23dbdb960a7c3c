"""Doubts about the rows of a dense annotation file."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rlld.data.annotations import DenseRow, marked, united
from rlld.data.problems import Grade
from rlld.data.spec import FILE_NAME, DataSpec

MOST_TYPING_ERRORS = 50

Doubt = tuple[int, Grade, str]
"""Line, grade and text of a problem."""


def doubts(rows: Sequence[DenseRow], known: set[str], spec: DataSpec) -> Iterator[Doubt]:
    """Yields what is doubtful about rows that can be read.

    Args:
        rows: The rows of a file.
        known: The videos of the splits that it serves.
        spec: The data set.
    """
    yield from _foreign(rows, known)
    yield from _repeated(rows)
    yield from _short([row for row in rows if row.id in known and row.onset < row.offset], spec)


def _short(rows: Sequence[DenseRow], spec: DataSpec) -> Iterator[Doubt]:
    """Yields the events that mark nothing, at the first of them."""
    events = united(rows)
    lost = sorted((event for event in events if not marked(event, spec)), key=lambda e: e.line)
    if not lost:
        return
    first, what = lost[0], f"half of a segment of {spec.segment_seconds:g} s"
    times = f"{first.label} of '{first.id}' ({first.onset:g} to {first.offset:g} s)"
    if len(lost) == len(events):
        advice = f"correct the times (seconds), or segment_seconds in {FILE_NAME}"
        text = f"none of its {len(events)} events covers {what}, so that nothing is annotated"
        yield first.line, "warning", f"{text}; {advice}"
        return
    more = f", as {len(lost) - 1} more of its events," if len(lost) > 1 else ""
    yield first.line, "warning", f"{times}{more} covers {what} nowhere and marks nothing"


def _foreign(rows: Sequence[DenseRow], known: set[str]) -> Iterator[Doubt]:
    """Yields the videos that no split knows, at their first rows."""
    lines: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row.id not in known:
            lines[row.id].append(row.line)
    # A few unknown videos are typing errors; many mean another file, and cost time to compare.
    candidates = known if len(lines) <= MOST_TYPING_ERRORS else set()
    for video, found in lines.items():
        close = difflib.get_close_matches(video, candidates, n=1, cutoff=0.9)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        text = (
            f"'{video}' (this row{more}) is in none of the splits of this file and not used{hint}"
        )
        yield found[0], "warning", text


def _repeated(rows: Sequence[DenseRow]) -> Iterator[Doubt]:
    """Yields rows that are merged with others, and videos whose rows are not together."""
    groups: dict[tuple[str, str], list[DenseRow]] = defaultdict(list)
    for row in rows:
        if row.onset < row.offset:
            groups[row.id, row.label].append(row)
    for (video, label), group in groups.items():
        for first, second in pairwise(sorted(group, key=lambda row: row[1:3])):
            if second.onset > first.offset:
                continue
            if second[:4] == first[:4]:
                what = "repeats"
            else:
                what = "touches" if second.onset == first.offset else "overlaps"
            text = f"{label} of '{video}' {what} line {first.line}; they count as one event"
            yield second.line, "note", text
    closed: set[str] = set()
    for before, row in pairwise(rows):
        if row.id != before.id:
            closed.add(before.id)
            if row.id in closed:
                yield row.line, "note", f"rows of '{row.id}' are not together; all of them count"
