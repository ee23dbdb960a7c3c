"""Runs and predictions of others, compared: the tables to print, the files to keep."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rlld.bench.page import Page, terminal, write_page
from rlld.comparing.compared import WAYS, Compared, judge
from rlld.comparing.sides import load_sides, named_sources
from rlld.comparing.tables import page_of
from rlld.comparing.web import write_compare_page
from rlld.training.run_folder import Run
from rlld.utils.console import as_text

STEM = "compare"


@dataclass(frozen=True, repr=False)
class SideBySide:
    """Runs, and predictions of others, side by side; prints as tables.

    Attributes:
        compared: The scores, their differences with intervals, and where the sides disagree.
    """

    compared: Compared

    @property
    def scores(self) -> dict[str, dict[str, float | None]]:
        """The ten published scores by side."""
        return {
            each.side.name: {name: found.value for name, found in each.scores[WAYS[0]].items()}
            for each in self.compared.judged
        }

    @property
    def page(self) -> Page:
        """The tables."""
        return page_of(self.compared)

    def write(self, out: str | Path) -> list[Path]:
        """Writes the tables, and the page with the clips of the videos on which they disagree most.

        Args:
            out: The folder.

        Returns:
            The files.

        Raises:
            RlldError: If they cannot be written.
        """
        paths = write_page(self.page, Path(out), STEM)
        paths.append(Path(out) / f"{STEM}.html")
        write_compare_page(self.compared, paths[-1])
        return paths

    def __str__(self) -> str:
        page = self.page
        return as_text([*terminal(page.blocks), *page.remarks])

    def __repr__(self) -> str:
        names = ", ".join(self.scores)
        return f"<{names} on {len(self.compared.videos)} {self.compared.videos.name} videos>"


def compare_sources(
    sources: Sequence[str | Path | Run],
    split: str,
    data: Path | None,
    device: torch.device,
    form: str | None = None,
    classes: Path | None = None,
) -> SideBySide:
    """Compares runs, and files of predictions, on the same videos.

    Args:
        sources: Two or more, ``NAME=SOURCE`` for what tables call one; differences are to the
            first.
        split: The videos; they need dense annotation.
        data: The data set; that of the trainings when None.
        device: Where runs compute that are given by name.
        form: Format of the files of predictions; told by suffix and content when None.
        classes: A table of what these files call the classes.

    Raises:
        RlldError: If a source cannot be read, or they see other videos.
    """
    named = named_sources(sources)
    videos, sides = load_sides(named, split, data, device, form, classes)
    words = ["rlld", "compare", *(f"{side.name}={side.source}" for side in sides)]
    words += ["--split", split, "--data", str(videos.folder)]
    words += [] if form is None else ["--format", form]
    words += [] if classes is None else ["--classes", str(classes)]
    return SideBySide(judge(videos, sides, shlex.join(words)))
