"""The audit of the labels of a split: a summary to print, a sheet, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.table import Table

from rlld.data.spec import weak_files
from rlld.evaluation.labels import (
    Suspect,
    Verdict,
    cross_checked,
    judge,
    label_report,
    suspects,
    verdict_text,
    verdicts,
)
from rlld.evaluation.scoring import load_for
from rlld.metrics.noise_detection import DenoisingReport
from rlld.report.denoise import REPORTED, LabelReport, facts_of, write_denoise_page, write_report
from rlld.report.tables import removal_table
from rlld.training.run_folder import Run
from rlld.utils.console import as_text
from rlld.utils.files import held, write_text

PRINTED = 10
"""Suspects of a summary."""
CHECKED = "on annotated videos, each judged by a policy that it did not teach:"


@dataclass(frozen=True, repr=False)
class LabelAudit:
    """What the denoiser of a run says of the labels of a split; prints as its summary.

    Attributes:
        facts: What was judged by what: run, recipe, denoiser, split and the rest; JSON-ready.
        notes: What the reader must know, above all whether these labels taught the policy.
        verdicts: One for each weak label and modality, in the order of the videos.
        measured: How much is removed by modality and class and, where the true events are known,
            how rightly.
        checked: The measures on the videos that taught the policy, cross-validated; they tell how
            good the cleaning is where the true events of these labels are unknown.
    """

    facts: Mapping[str, Any]
    notes: Sequence[str]
    verdicts: Sequence[Verdict]
    measured: DenoisingReport
    checked: DenoisingReport | None = None

    def suspects(self, count: int = PRINTED) -> list[Suspect]:
        """Returns the most suspect labels, the lowest keep probability first."""
        return suspects(self.verdicts, count)

    def summary(self, count: int = PRINTED) -> Iterator[str | Table]:
        """Yields what ``rlld denoise`` prints, ``count`` suspects among it."""
        removed = sum(row.decision == "remove" for row in self.verdicts)
        yield (
            f"{self.facts['split']}: {self.facts['videos']} videos, {len(self.verdicts)} labels "
            f"counting each modality, {removed} to remove"
        )
        for entry in self.suspects(count):
            yield f"  {entry}"
        if self.measured.known:
            yield removal_table({self.facts["recipe"]: self.measured.as_dict()})
        if self.checked is not None:
            yield CHECKED
            yield removal_table({self.facts["recipe"]: self.checked.as_dict()})
        for note in self.notes:
            yield f"note: {note}"

    def to_csv(self, path: str | Path) -> None:
        """Writes the verdicts, tab-separated: video, label, modality, keep probability, decision.

        Raises:
            RlldError: If the file cannot be written.
        """
        path = Path(path)
        with held(path):
            write_text(path, verdict_text(self.verdicts))

    def report(self, path: str | Path) -> list[Path]:
        """Writes the report and returns its files.

        Args:
            path: ``PAGE.html`` for one page, or a folder for the page, ``report.json``,
                ``report.md`` and figures.

        Raises:
            RlldError: If a file cannot be written.
        """
        path, shown = Path(path), self.suspects(REPORTED)
        report = LabelReport(self.facts, self.notes, self.measured, shown, self.checked)
        if path.suffix != ".html":
            return write_report(path, report)
        write_denoise_page(path, report)
        return [path]

    def __str__(self) -> str:
        return as_text(self.summary())

    def __repr__(self) -> str:
        return f"<LabelAudit of {self.facts['run']}: {next(self.summary())}>"

    def _repr_html_(self) -> str:
        """Shows the summary in a notebook."""
        return f"<pre>{escape(str(self))}</pre>"


def audit_labels(run: Run, split: str, data: Path | None, name: str) -> LabelAudit:
    """Lets the denoiser of a run judge the labels of a split, and measures what is known of them.

    Args:
        run: A run whose denoiser learns keep probabilities.
        split: ``train``, ``validation`` or ``test``.
        data: The data-set folder; that of the training when None.
        name: What the user calls the run.

    Raises:
        RlldError: If the denoiser learns none, or the data set does not fit the run.
    """
    videos = load_for(run, split, data, with_truth=True).to(run.device)
    judged = judge(run, videos)
    measured, checked = label_report(videos, judged.keep), None
    if split == "train" and not measured.known:
        others = [each for each in ("validation",) if each in weak_files(videos.spec)]
        checked = cross_checked(run, [videos, *(load_for(run, each, data) for each in others)])
    rows = verdicts(videos, judged.keep)
    return LabelAudit(facts_of(run, videos, name), judged.notes, rows, measured, checked)
