"""Write one page of a run: curves, scores by class, wrong tags with their clips, parses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld report``."""

    run: tyro.conf.Positional[str]
    """Run folder, or hub:owner/name[@revision]."""
    data: Path | None = None
    """Data-set folder; the one of the training when not given. Clips are played from its videos."""
    out: Path | None = None
    """Page to write; RUN/report.html when not given, for a run of the hub report.html here."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def run(args: Args) -> None:
    """Writes the page."""
    from rlld.data.dataset import load_data
    from rlld.evaluation.scoring import load_for
    from rlld.report.run_page import report_run, write_run_page
    from rlld.training.run_folder import load_run
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.hub import PREFIX

    loaded = load_run(args.run, Compute(args.device).torch_device)
    folder = load_for(loaded, "train", args.data).folder
    folder_of_run = Path() if args.run.startswith(PREFIX) else Path(args.run)
    page = args.out or folder_of_run / "report.html"
    assert folder is not None  # noqa: S101  (a loaded split knows its folder)
    report = report_run(loaded, load_data(folder), page)
    write_run_page(page, report)
    linked = [clip.linked for clip in report.clips.values() if not isinstance(clip, str)]
    count = sum(path is not None for path in linked)
    if count:
        OUT.print(f"{page}: plays {count} clips where they are; keep them there")
    OUT.print(f"written: {page}")
