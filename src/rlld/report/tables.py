"""Score tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

KINDS = {
    "audio": "A",
    "visual": "V",
    "audio_visual": "AV",
    "type": "Type",
    "event": "Event",
}


def score_table(rows: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """Returns a table of the ten F-scores.

    Args:
        rows: The ten scores by name (``segment_audio`` ...), in percent, by row title.
        title: What was scored.
    """
    table = _table(f"F-scores, {title} split: segment level, then event level")
    table.add_column("", no_wrap=True)
    for level in ("seg", "ev"):
        for number, head in enumerate(KINDS.values()):
            table.add_column(
                f"{level} {head}" if number == 0 else head, justify="right", no_wrap=True
            )
    for name, scores in rows.items():
        cells = [
            f"{scores[f'{level}_{kind}']:.1f}" for level in ("segment", "event") for kind in KINDS
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


def removal_table(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    """Returns a table of noise detection.

    Args:
        rows: ``Removal.as_dict`` by modality, by row title.
    """
    table = _table("Noisy labels found")
    table.add_column("")
    table.add_column("modality")
    for head in ("labels", "noisy", "removed", "precision", "recall", "F1"):
        table.add_column(head, justify="right")
    for name, modalities in rows.items():
        for modality, values in modalities.items():
            counts = [f"{values[key]:.0f}" for key in ("labels", "noisy", "removed")]
            scores = [f"{values[key]:.1f}" for key in ("precision", "recall", "f1")]
            table.add_row(name, modality, *counts, *scores)
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
