"""The report of ``rlld denoise``: measures, suspects, bars per class; a folder, or a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlld.data.split import Split
from rlld.evaluation.labels import Suspect
from rlld.metrics.noise_detection import LEAST, THRESHOLD, DenoisingReport, Removal
from rlld.report.figures import class_bars
from rlld.report.tables import REMOVAL, markdown_row, number, removal_cells
from rlld.report.templates import rendered
from rlld.training.run_folder import Run
from rlld.types import MODALITIES
from rlld.utils.files import write_text
from rlld.utils.plain import json_text

REPORTED = 100
"""Suspects in a report."""
SHARES = {"removed_share": "removed", "noise_share": "truly noisy"}
SCORES = {"precision": "precision", "recall": "recall"}
CAPTIONS = {
    "removed.png": "removed labels by class",
    "found.png": "precision and recall by class",
}
PAGE_HEADS = {**REMOVAL, "within_class_auc": "AUC within class"}
CLASS_HEADS = {**REMOVAL, "mean_keep": "mean keep"}


@dataclass(frozen=True)
class LabelReport:
    """What there is to say of the labels of a split.

    Attributes:
        facts: What was judged by what: recipe, denoiser, split and the rest; JSON-ready.
        notes: What the reader must know, above all whether these labels taught the policy.
        measured: The measures.
        suspects: The most suspect labels, ranked.
        checked: The measures on the videos that taught the policy, cross-validated; they tell how
            good the cleaning is where the true events of these labels are unknown.
    """

    facts: Mapping[str, Any]
    notes: Sequence[str]
    measured: DenoisingReport
    suspects: Sequence[Suspect]
    checked: DenoisingReport | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns everything JSON-ready."""
        return {
            **self.facts,
            "threshold": THRESHOLD,
            "truth_known": self.measured.known,
            "notes": list(self.notes),
            "modalities": self.measured.as_dict(),
            "checked": None if self.checked is None else self.checked.as_dict(),
            "suspects": [_suspect(entry) for entry in self.suspects],
        }


def facts_of(run: Run, videos: Split, name: str) -> dict[str, Any]:
    """Returns what was judged by what, for ``LabelReport``; ``name`` is what the user calls it."""
    return {
        "run": name,
        "recipe": run.recipe.name,
        "denoiser": run.recipe.denoiser.name,
        "seed": run.facts.get("seed"),
        "dataset": videos.spec.name,
        "split": videos.name,
        "videos": len(videos),
    }


def write_report(folder: Path, report: LabelReport) -> list[Path]:
    """Writes ``report.json``, ``report.md``, ``report.html`` and the figures.

    Args:
        folder: The folder, made when missing; files of an earlier report are replaced.
        report: What to write.

    Returns:
        The files written.

    Raises:
        RlldError: If a file cannot be written.
    """
    found = report.measured.as_dict()
    title = "{recipe} ({denoiser}), {split} labels".format(**report.facts)
    figures = _bars(folder / "removed", found, _shown(found, SHARES), f"Labels removed: {title}")
    if report.measured.known:
        shown = _shown(found, SCORES)
        figures += _bars(folder / "found", found, shown, f"Noisy labels found: {title}")
    text, data = folder / "report.md", folder / "report.json"
    pictures = [path.name for path in figures if path.suffix == ".png"]
    write_text(text, _markdown(report, found, title, pictures))
    write_text(data, json_text(report.as_dict(), str(data), indent=2, ensure_ascii=False) + "\n")
    page = folder / "report.html"
    write_denoise_page(page, report)
    return [page, text, data, *figures]


def _shown(found: Mapping[str, Any], heads: Mapping[str, str]) -> dict[str, str]:
    """Returns the measures that some class has."""
    rows = [row for name in MODALITIES for row in found[name]["classes"].values()]
    return {key: head for key, head in heads.items() if any(row[key] is not None for row in rows)}


def _bars(
    path_stem: Path, found: Mapping[str, Any], shown: Mapping[str, str], title: str
) -> list[Path]:
    """Draws the classes that have labels, those with most removals or noise first."""

    def total(name: str, key: str) -> int:
        return sum(found[modality]["classes"][name][key] or 0 for modality in MODALITIES)

    counts = {name: row["labels"] for name, row in found["visual"]["classes"].items()}
    names = [name for name, count in counts.items() if count]
    names.sort(key=lambda name: (-total(name, "removed"), -total(name, "noisy")))
    if not names or not shown:
        return []
    panels = {
        modality: {
            head: [found[modality]["classes"][name][key] for name in names]
            for key, head in shown.items()
        }
        for modality in MODALITIES
    }
    rows = [f"{name} ({counts[name]})" for name in names]
    shares = "removed_share" in shown
    x_label = "% of the labels of the class" if shares else "% (dash: none removed, or none noisy)"
    return class_bars(path_stem, rows, panels, x_label, title)


def _markdown(
    report: LabelReport, found: Mapping[str, Any], title: str, pictures: Sequence[str]
) -> str:
    lines = [f"# {title}", ""]
    lines += [f"- {key}: {value}" for key, value in report.facts.items()]
    lines += [f"- a label is kept from a keep probability of {THRESHOLD} on", ""]
    lines += [f"> {note}\n" for note in report.notes]
    rows = [[name, *removal_cells(found[name])] for name in MODALITIES]
    lines += ["## Noisy labels found", "", *_table(["modality", *REMOVAL.values()], rows), ""]
    if not report.measured.known:
        lines += ["The true events of these videos are unknown: only removals are counted.", ""]
    if report.checked is not None:
        checked = report.checked.as_dict()
        rows = [[name, *removal_cells(checked[name])] for name in MODALITIES]
        lines += ["On the annotated videos, each judged by a policy that it did not teach:", ""]
        lines += [*_table(["modality", *REMOVAL.values()], rows), ""]
    for picture in pictures:
        lines += [f"![{CAPTIONS[picture]}]({picture})", ""]
    heads = [head for key, head in CLASS_HEADS.items() if key != "within_class_auc"]
    for name in MODALITIES:
        rows = [_class_row(label, row) for label, row in found[name]["classes"].items()]
        lines += [f"## By class: {name}", "", *_table(["class", *heads], rows), ""]
    lines += ["## Most suspect labels", "", *_suspect_table(report), ""]
    return "\n".join(lines)


def _class_row(label: str, row: Mapping[str, Any]) -> list[str]:
    cells = dict(zip(REMOVAL, removal_cells(row), strict=True))
    del cells["within_class_auc"]
    return [label, *cells.values(), number(row["mean_keep"], 2)]


def _suspect_table(report: LabelReport) -> list[str]:
    heads = ["", "video", "class", "modality", "keep", "decision", "reason"]
    if report.measured.known:
        heads.insert(6, "right")
    rows = []
    for place, entry in enumerate(report.suspects, start=1):
        row = _suspect(entry)
        cells = [str(place), row["video"], row["label"], row["modality"], f"{row['keep']:.3f}"]
        cells.append(row["decision"])
        if report.measured.known:
            cells.append("yes" if row["right"] else "no")
        rows.append([*cells, row["reason"]])
    return _table(heads, rows)


def _suspect(entry: Suspect) -> dict[str, Any]:
    verdict = entry.verdict
    return {
        "video": verdict.video,
        "label": verdict.label,
        "modality": verdict.modality,
        "keep": verdict.keep,
        "decision": verdict.decision,
        "right": verdict.right,
        "reason": entry.reason,
    }


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [markdown_row(heads), "|" + "--|" * len(heads), *map(markdown_row, rows)]


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
        heads=list(PAGE_HEADS.values()),
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
