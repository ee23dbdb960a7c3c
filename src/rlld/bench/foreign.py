"""Rows of a table that nobody trains: what others predicted, under the same metric."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rlld.bench.comparison import MethodRow, tags_row
from rlld.bench.keys import dataset_fingerprint
from rlld.data.dataset import load_split
from rlld.errors import RlldError
from rlld.metrics.averages import every_score
from rlld.workflows.predictions import read_predictions


def foreign_rows(
    given: Sequence[str], data: Sequence[Path], seeds: Sequence[int], taken: Collection[str]
) -> tuple[list[MethodRow], list[str]]:
    """Reads predictions on the test videos of a data set.

    Args:
        given: ``NAME=PATH`` each; PATH as ``rlld compare`` takes it.
        data: The data-set folders of the table, of which there may be one.
        seeds: Seeds of the other rows; predictions are the same for each.
        taken: Titles of the other rows.

    Returns:
        The rows, and notes for the reader.

    Raises:
        RlldError: If a word is none, a name is taken, or predictions do not fit the data set.
    """
    if given and len(data) != 1:
        raise RlldError(
            f"--foreign: predictions are of one data set, and --data names {len(data)}; give one"
        )
    rows: list[MethodRow] = []
    notes: list[str] = []
    for word in given:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise RlldError(f"--foreign: expected NAME=PATH, found {word!r}")
        if name in (*taken, *(row.method for row in rows)):
            raise RlldError(f"--foreign: a row is called {name!r} already; give another name")
        videos = load_split(data[0], "test")
        found = read_predictions(Path(path), videos)
        scores = every_score(found.maps, videos.require_dense())
        rows.append(tags_row(name, {dataset_fingerprint(data[0]): scores}, seeds))
        notes.append(f"{name}: predictions in {path}, not trained here.")
        notes += (f"{note}." for note in found.notes)
    return rows, notes
