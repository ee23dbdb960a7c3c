"""Score tables for the terminal, and cells and rows of tables elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rlld.data.spec import LANES
from rlld.metrics.scores import Scores

KINDS = {
    "audio": "A",
    "visual": "V",
    "audio_visual": "AV",
    "type": "Type",
    "event": "Event",
}
VARIANT_HEADS = {
    "exclusive": "audible-only, visible-only",
    "class_macro": "means over classes",
    "micro": "all together",
}
"""What variants of the ten scores are called."""
REMOVAL = {
    "labels": "labels",
    "noisy": "noisy",
    "removed": "removed",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "within_class_auc": "AUC within class",
}
"""Heads of the measures of noise detection: counts, then percentages."""


def score_table(
    rows: Mapping[str, Mapping[str, float]], title: str, lanes: Sequence[str] = LANES
) -> Table:
    """Returns a table of the ten F-scores.

    Args:
        rows: The ten scores by name (``segment_audio`` ...), in percent, by row title.
        title: What was scored.
        lanes: What the data set knows events in; scores of other lanes mean nothing.
    """
    return _ten(f"F-scores, {title} split: segment level, then event level", rows, lanes)


def variant_table(variants: Mapping[str, Scores], lanes: Sequence[str] = LANES) -> Table:
    """Returns a table of the ten F-scores in other ways.

    Args:
        variants: They by the names of ``metrics.averages.VARIANTS``.
        lanes: See ``score_table``.
    """
    rows = {VARIANT_HEADS[name]: found.as_dict() for name, found in variants.items()}
    return _ten("In other ways: segment level, then event level", rows, lanes)


def further_table(scores: Mapping[str, Mapping[str, float]]) -> Table:
    """Returns a table of the scores of other tasks.

    Args:
        scores: Percent by score, then by lane.
    """
    lanes = [lane for lane in LANES if any(lane in own for own in scores.values())]
    table = _table("Scores of other tasks")
    table.add_column("")
    for lane in lanes:
        table.add_column(KINDS[lane], justify="right")
    for name, own in scores.items():
        table.add_row(name, *(f"{own[lane]:.1f}" if lane in own else "-" for lane in lanes))
    return table


def _ten(title: str, rows: Mapping[str, Mapping[str, float]], lanes: Sequence[str]) -> Table:
    kinds = list(KINDS) if set(lanes) == set(LANES) else list(lanes)
    table = _table(title)
    table.add_column("", overflow="fold")
    for level in ("seg", "ev"):
        for number, kind in enumerate(kinds):
            head = f"{level} {KINDS[kind]}" if number == 0 else KINDS[kind]
            table.add_column(head, justify="right", no_wrap=True)
    for name, scores in rows.items():
        cells = [
            f"{scores[f'{level}_{kind}']:.1f}" for level in ("segment", "event") for kind in kinds
        ]
        table.add_row(name, *cells)
    return table


def class_table(classes: Mapping[str, Mapping[str, float | None]]) -> Table:
    """Returns a table of segment-level F-scores by class.

    Args:
        classes: For each class the scores ``audio``, ``visual``, ``audio_visual`` and ``event``
            in percent, None where the class neither occurs nor is predicted.
    """
    table = _table("Segment-level F-scores by class")
    table.add_column("class")
    kinds = [kind for kind in KINDS if kind != "type"]
    for kind in kinds:
        table.add_column(KINDS[kind], justify="right")
    for name, scores in classes.items():
        values = (scores[kind] for kind in kinds)
        table.add_row(name, *("-" if value is None else f"{value:.1f}" for value in values))
    return table


def removal_table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Returns a table of noise detection; figures that are unknown or undefined are dashes.

    Args:
        rows: ``DenoisingReport.as_dict``: measures by modality, by row title.
    """
    table = _table("Noisy labels found")
    table.padding = (0, 0, 0, 0)  # ten columns beside a long name, within 80 characters
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    for head in REMOVAL.values():
        table.add_column(head, justify="right")
    for name, modalities in rows.items():
        for modality, values in modalities.items():
            table.add_row(name, modality, *removal_cells(values))
    return table


def removal_cells(values: Mapping[str, Any]) -> list[str]:
    """Returns the measures of ``REMOVAL`` as text: counts whole, percentages with one digit.

    Args:
        values: Measures by name; those that are missing or None become dashes.
    """
    counts = ("labels", "noisy", "removed")
    return [number(values.get(key), 0 if key in counts else 1) for key in REMOVAL]


def markdown_row(cells: Sequence[str]) -> str:
    """Returns a row of a Markdown table, whatever signs are in its cells."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def number(value: float | None, digits: int) -> str:
    """Returns a figure as text, a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
