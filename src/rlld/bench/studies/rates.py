"""How well each way of knowing the rates of wrong tags does, on labels that say which are wrong.

No feature is read. A data set never borrows from itself; its tags were found in a way that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rlld.bench.page import Block, Page
from rlld.data.rates.annotated import read_lfav, read_llp, read_vggsounder
from rlld.data.rates.borrow import borrowed, fallback
from rlld.data.rates.likes import likes_of
from rlld.data.rates.table import SOURCES, Origin, Row, counted, load_table
from rlld.errors import RlldError
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text

EVIDENCE = 0.86
"""Chance that evidence ranks a right label above a wrong one of its class: about what networks
trained on simulated tags reach."""
KEEP, CONSTANT, SPREAD = "keep all", "one rate for all", "distribution over classes"
BORROW, TRUTH = "borrowed", "true rates"
Rates = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A data set whose wrong tags are known.

    Attributes:
        title: How tables call it.
        source: Its name among the sources, which it does not borrow from.
        rows: Its counts.
    """

    title: str
    source: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Figure:
    """What one way of knowing the rates comes to.

    Attributes:
        target: Title of the data set.
        modality: ``audio`` or ``visual``.
        way: The way.
        classes: Classes of which it knows something of its own.
        error: Root mean square error of the rates, weighted by tags.
        correlation: Pearson's, over those classes; None of fewer than three, or of one value.
        wrong: Percent of the tags that are decided wrongly when that share of the least credible
            ones of each class goes, evidence being of ``EVIDENCE``.
    """

    target: str
    modality: str
    way: str
    classes: int
    error: float
    correlation: float | None
    wrong: float


def targets(lfav: Path | None, vggsounder: Path | None, llp: Path | None) -> list[Target]:
    """Reads what is there.

    Raises:
        RlldError: If nothing is, or a file is missing or damaged.
    """
    found = []
    if lfav is not None:
        found.append(_target("LFAV train", "LFAV", counted("LFAV", read_lfav(lfav))))
    if llp is not None:
        for split in ("validation", "test"):
            rows = counted("LLP", read_llp(llp, (split,)))
            found.append(_target(f"LLP {split}", "LLP", rows))
    if vggsounder is not None:
        rows = counted("VGGSounder", read_vggsounder(vggsounder))
        found.append(_target("VGGSounder", "VGGSounder", rows))
    if not found:
        raise RlldError("bench rates: nothing to measure on; give --lfav, --llp or --vggsounder")
    return found


def _target(title: str, source: str, rows: Sequence[Row]) -> Target:
    return Target(title, source, tuple(rows))


def measure(found: Iterable[Target]) -> list[Figure]:
    """Returns the figures of every way on every data set and track."""
    return [
        figure
        for target in found
        for modality in range(len(MODALITIES))
        for figure in _figures(target, modality)
    ]


def _figures(target: Target, modality: int) -> list[Figure]:
    tags = np.array([row.tags for row in target.rows], float)
    true = np.array([row.absent[modality] for row in target.rows]) / tags
    figures = []
    for way, (rates, known) in _ways(target, modality, tags, true).items():
        weights = tags / tags.sum()
        error = float(np.sqrt((weights * (rates - true) ** 2).sum()))
        wrong = sum(
            weight * wrongly_decided(real, share)
            for weight, real, share in zip(weights, true, rates, strict=True)
        )
        figures.append(
            Figure(
                target.title,
                MODALITIES[modality],
                way,
                int(known.sum()),
                error,
                _correlation(rates[known], true[known]),
                100 * float(wrong),
            )
        )
    return figures


def _ways(
    target: Target, modality: int, tags: Rates, true: Rates
) -> Mapping[str, tuple[Rates, NDArray[np.bool_]]]:
    others = [row for row in load_table() if row.source != target.source]
    labels = [row.label for row in target.rows]
    everywhere, nowhere = np.ones(len(labels), bool), np.zeros(len(labels), bool)
    constant = np.full(len(labels), float((tags * true).sum() / tags.sum()))
    start = np.full(len(labels), fallback(others, modality).median())
    ways = {
        KEEP: (np.zeros(len(labels)), nowhere),
        CONSTANT: (constant, nowhere),
        SPREAD: (start, nowhere),
    }
    for source in (name for name in SOURCES if name != target.source):
        ways[f"{source} as it is"] = _alone(labels, others, source, modality)
    matched = np.array([bool(likes_of(label, others)) for label in labels])
    origins: tuple[Origin, ...] = ("unknown", "heard", "seen")
    for origin in origins:
        belief = borrowed(target.source, labels, origin)
        rates = np.array([belief.rate(MODALITIES[modality], label).share for label in labels])
        ways[f"{BORROW}, tags {origin}"] = (rates, matched)
    return {**ways, TRUTH: (true, everywhere)}


def _alone(
    labels: Sequence[str], rows: Sequence[Row], source: str, modality: int
) -> tuple[Rates, NDArray[np.bool_]]:
    """Returns the plain rates of one source, 0 where it has no such class."""
    own = [row for row in rows if row.source == source]
    found, known = np.zeros(len(labels)), np.zeros(len(labels), bool)
    for number, label in enumerate(labels):
        likes = [like.row for like in likes_of(label, own)]
        if likes:
            wrong = sum(row.absent[modality] for row in likes)
            found[number] = wrong / sum(row.tags for row in likes)
            known[number] = True
    return found, known


def _correlation(one: Rates, other: Rates) -> float | None:
    if len(one) < 3 or not one.std() or not other.std():
        return None
    return float(np.corrcoef(one, other)[0, 1])


def wrongly_decided(true: float, removed: float, evidence: float = EVIDENCE) -> float:
    """Returns the share of a class's labels that is decided wrongly.

    Evidence is normal with equal spread for right and wrong labels, so far apart that it ranks a
    right one above a wrong one with chance ``evidence``; the lowest share of all labels goes.

    Args:
        true: Share of the labels that are wrong.
        removed: Share that is removed.
        evidence: In (0.5, 1).

    Examples:
        >>> wrongly_decided(0.3, 0.0)
        0.3
        >>> round(wrongly_decided(0.0, 0.2), 6)
        0.2
    """
    if removed <= 0:
        return true
    if removed >= 1:
        return 1 - true
    plain = NormalDist()
    apart = 2**0.5 * plain.inv_cdf(evidence)

    def gone(cutoff: float) -> float:
        return true * plain.cdf(cutoff) + (1 - true) * plain.cdf(cutoff - apart)

    cutoff = _root(lambda value: gone(value) - removed, -10.0, 10.0 + apart)
    return true * (1 - plain.cdf(cutoff)) + (1 - true) * plain.cdf(cutoff - apart)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def _blocks(figures: Sequence[Figure]) -> list[Block]:
    """Returns the figures as a table for each data set."""
    heads = ("rates from", *(f"{m[0]} {head}" for m in MODALITIES for head in HEADS))
    tables = []
    for target in dict.fromkeys(figure.target for figure in figures):
        of = [figure for figure in figures if figure.target == target]
        rows = [
            (way, *(cell for figure in of if figure.way == way for cell in _cells(figure)))
            for way in dict.fromkeys(figure.way for figure in of)
        ]
        tables.append(Block(target, heads, tuple(rows)))
    return tables


HEADS = ("classes", "RMSE", "r", "% wrong")


def _cells(figure: Figure) -> tuple[str, ...]:
    correlation = "-" if figure.correlation is None else f"{figure.correlation:.2f}"
    return str(figure.classes), f"{figure.error:.3f}", correlation, f"{figure.wrong:.1f}"


def page(figures: Sequence[Figure], command: str) -> Page:
    """Returns the figures as tables for the terminal and for files."""
    rows = [asdict(figure) for figure in figures]
    cells = [["" if cell is None else cell for cell in row.values()] for row in rows]
    return Page(
        title="Ways to know how many tags are wrong",
        command=command,
        blocks=tuple(_blocks(figures)),
        remarks=(
            "a, v: audio, visual. Classes: those of which the way knows something of its own.",
            "RMSE: of the rates, weighted by tags; r: their correlation over those classes.",
            "% wrong: of all tags when that share of the least credible ones of each class goes, "
            f"by evidence that ranks a right label above a wrong one with chance {EVIDENCE}; "
            "computed, not trained.",
            "borrowed: what a training without annotation does, the data set itself left out of "
            "the table, with tags that were heard, seen, or found nobody knows how.",
            "one rate for all is the true mean of the data set, which nobody has.",
        ),
        sheet=sheet_text([list(rows[0]), *cells], ","),
        report={"command": command, "evidence": EVIDENCE, "figures": rows},
    )
