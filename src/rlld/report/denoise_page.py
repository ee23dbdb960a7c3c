"""The self-contained HTML page of ``rlld denoise``: what was removed, and the suspects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.files import write_text
from rlld.metrics.denoising import LEAST, THRESHOLD, DenoisingReport, Removal
from rlld.report.tables import REMOVAL, number, removal_cells
from rlld.report.templates import rendered
from rlld.types import MODALITIES

if TYPE_CHECKING:
    from rlld.report.denoise import LabelReport

HEADS = {**REMOVAL, "within_class_auc": "AUC within class"}


def write_denoise_page(path: Path, report: LabelReport) -> None:
    """Writes the page, which loads nothing.

    Args:
        path: The file, replaced whole.
        report: What to show.

    Raises:
        RlldError: If it cannot be written.
    """
    write_text(path, render_denoise_page(report))


def render_denoise_page(report: LabelReport) -> str:
    """Returns the page as HTML."""
    return rendered(
        "denoise.html.j2",
        ("page.css", "denoise.css"),
        facts=report.facts,
        notes=report.notes,
        measured=report.measured,
        threshold=THRESHOLD,
        least=LEAST,
        heads=list(HEADS.values()),
        sentences=sentences(report.measured),
        tables=_tables(report),
        classes=class_rows(report.measured),
        suspects=report.suspects,
    )


def sentences(measured: DenoisingReport) -> dict[str, str]:
    """Returns by modality what was removed and, where it is known, how much of it rightly."""
    return {name: _sentence(getattr(measured, name).removal) for name in MODALITIES}


def _sentence(removal: Removal) -> str:
    share = number(removal.removed_share, 0)
    text = f"{removal.removed:,} of {removal.labels:,} labels removed ({share} %)"
    if removal.noisy is None or not removal.labels:
        return f"{text}."
    wrong = f"{removal.noisy:,} labels are truly wrong"
    if not removal.removed:
        return f"{text}; {wrong}."
    right = f"{number(removal.precision, 0)} % of the removed ones are truly wrong"
    if not removal.noisy:
        return f"{text}; {right}."
    return f"{text}; {right}, and {number(removal.recall, 0)} % of the wrong ones were found."


def _tables(report: LabelReport) -> list[dict[str, Any]]:
    """Returns the measures as titled rows of cells; without known events the bare counts."""
    parts = {"These labels": report.measured if report.measured.known else None}
    parts["Annotated videos, each judged by a policy that it did not teach"] = report.checked
    return [
        {
            "title": title,
            "rows": {name: removal_cells(found.as_dict()[name]) for name in MODALITIES},
        }
        for title, found in parts.items()
        if found is not None
    ]


def class_rows(measured: DenoisingReport) -> list[tuple[str, dict[str, Removal]]]:
    """Returns the classes that have labels, those with most removed or wrong labels first."""
    rows = [
        (name, {m: getattr(measured, m).classes[name].removal for m in MODALITIES})
        for name in measured.audio.classes
    ]

    def order(row: tuple[str, dict[str, Removal]]) -> tuple[int, int]:
        parts = row[1].values()
        return -sum(part.removed for part in parts), -sum(part.noisy or 0 for part in parts)

    return sorted((row for row in rows if any(p.labels for p in row[1].values())), key=order)
