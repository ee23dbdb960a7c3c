"""What is published on LLP's test split, of methods that are here and of others, with the sources.

Nothing is trained. The numbers are those of the papers, under their own features and settings; they
stand beside ours in Table 1, never among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlld.bench.comparison import PublishedScores, published_scores
from rlld.bench.page import Block, Page
from rlld.bench.typed import typed
from rlld.metrics.scores import NAMES
from rlld.utils.config import read_yaml
from rlld.utils.sheets import sheet_text

STANDARD = "standard"
"""VGGish, ResNet-152 and R(2+1)D-18, the features that came with LLP."""
HEADS = ("A", "V", "AV", "Type", "Event", "event A", "V", "AV", "Type", "Event")


@dataclass(frozen=True)
class Printed:
    """A row of a published table.

    Attributes:
        method: Recipe, or name of a method that is none.
        features: What its networks see.
        scores: What is printed, and where.
        missing: Why there is no recipe; empty where there is one.
    """

    method: str
    features: str
    scores: PublishedScores
    missing: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The ten scores as printed, marked where they cannot be right."""
        marks = self.scores.errors
        return tuple(f"{self.scores.scores[name]}{'*' * (name in marks)}" for name in NAMES)


def printed() -> list[Printed]:
    """Returns every published row that is known, by features, then by segment-level Type."""
    here = [Printed(name, STANDARD, scores) for name, scores in published_scores().items()]
    others = [
        Printed(name, entry["features"], PublishedScores.of(entry), entry["missing"])
        for name, entry in _entries("newer").items()
        if "scores" in entry
    ]
    return sorted([*here, *others], key=lambda row: -row.scores.scores["segment_type"])


def _entries(file: str) -> dict[str, Mapping[str, Any]]:
    """Returns the entries of a file of published scores by method and year."""
    known = read_yaml(Path(__file__).parent.with_name(f"{file}.yaml"))
    return {
        f"{name} ({entry['year']})" if "year" in entry else name: entry
        for name, entry in known.items()
    }


def published_page(out: Path) -> Page:
    """Returns all published rows as a page.

    Args:
        out: Where it will be written, for the command that it names.
    """
    rows = printed()
    standard = [row for row in rows if row.features == STANDARD]
    others = [row for row in rows if row.features != STANDARD]
    unseen = {name: entry for name, entry in _entries("newer").items() if "scores" not in entry}
    blocks = (
        _block("With the features that came with LLP", standard),
        _block("With other features", others),
        _online_block(),
        Block(
            "Known, but no score was seen",
            ("method", "described in", "here"),
            tuple((name, entry["source"], entry["missing"]) for name, entry in unseen.items()),
        ),
        Block(
            "Sources",
            ("method", "printed in", "here"),
            tuple((row.method, row.scores.source, row.missing or "recipe") for row in rows),
        ),
    )
    wrong = [
        f"{row.method}: {name.replace('_', ' ')} is marked, for {why}."
        for row in rows
        for name, why in row.scores.errors.items()
    ]
    remarks = (
        "F-scores on LLP's test split, as printed by the sources; nothing here was measured by us. "
        "Two rows compare where features, label refinement and contrastive loss are the same.",
        "The annotation that a row has seen is the paper's own matter: all train on tags, RLLD is "
        "rewarded on annotated validation videos, and what others choose on them is seldom told.",
        "Online rows decide every segment from what came up to it, in LLP's test videos and in "
        "chains of two to six of them; their event scores are means over tIoU 0.1 to 0.9 "
        "(docs/online.md).",
        "No code: none was found by the name of the method or the number of its paper.",
        *wrong,
    )
    cells = [("method", "features", *NAMES, "source", "here")]
    cells += [
        (row.method, row.features, *row.cells, row.scores.source, row.missing or "recipe")
        for row in rows
    ]
    report: Mapping[str, object] = {"rows": [asdict(row) for row in rows]}
    return Page(
        title="What is published on LLP",
        command=typed("rlld", "bench", "published", "--out", out),
        blocks=blocks,
        remarks=remarks,
        sheet=sheet_text(cells, ","),
        report=report,
    )


def _online_block() -> Block:
    heads = ("method", "size", "A", "V", "AV", "event A", "V", "AV", "printed in")
    rows = (
        (name, f"{entry['parameters']} M", *map(str, entry["scores"]), entry["source"])
        for name, entry in _entries("online").items()
    )
    return Block("Online: segments, then events at nine overlaps", heads, tuple(rows))


def _block(title: str, rows: list[Printed]) -> Block:
    return Block(title, ("method", *HEADS), tuple((row.method, *row.cells) for row in rows))
