"""The page of a comparison: scores, intervals drawn, classes, and the clips of disagreements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from rlld.bench.tables import VARIANTS
from rlld.comparing.compared import Compared, Judged
from rlld.comparing.tables import SENSES, counts, difference_text, figure, remarks, value_text
from rlld.evaluation.baselines import columns_of
from rlld.metrics.paired import Difference
from rlld.metrics.scores import LEVELS
from rlld.report.clips import clips_of_page
from rlld.report.curves import Tick, round_numbers
from rlld.report.tables import KINDS
from rlld.report.templates import rendered
from rlld.report.timelines import Span, segments_of, spans_of
from rlld.types import MODALITIES
from rlld.utils.files import write_text

SHOWN = 8
"""Videos on which sides disagree."""
LANES = 10
"""Lanes of a video at most."""


@dataclass(frozen=True)
class Bar:
    """A difference with its interval, as it is drawn.

    Attributes:
        text: The difference in figures.
        at: Where the difference is, in percent of the axis.
        left: Where the interval begins.
        width: How wide it is.
        clear: Whether the interval leaves out 0.
    """

    text: str
    at: float
    left: float
    width: float
    clear: bool


@dataclass(frozen=True)
class Forest:
    """The differences of one side to the first.

    Attributes:
        name: The side.
        rows: Bars by level and head, None where a difference is not defined.
        ticks: The axis.
    """

    name: str
    rows: Mapping[str, Mapping[str, Bar | None]]
    ticks: Sequence[Tick]


@dataclass(frozen=True)
class ClassLine:
    """A class in one modality.

    Attributes:
        label: The class.
        videos: Videos in which it occurs.
        cells: F-scores of the sides, and after that of each but the first its difference.
    """

    label: str
    videos: int
    cells: Sequence[tuple[str, bool]]


@dataclass(frozen=True)
class Lane:
    """A class in a modality of a video on which sides disagree.

    Attributes:
        label: The class.
        modality: The modality.
        found: What each side finds.
        true: What occurs.
    """

    label: str
    modality: str
    found: Sequence[Sequence[Span]]
    true: Sequence[Span]


@dataclass(frozen=True)
class Dispute:
    """A video on which sides disagree.

    Attributes:
        video: Its id.
        duration: Seconds.
        types: Type scores of the sides as text, segment level and event level.
        segments: Segments in which some side decides otherwise than the first.
        lanes: Where they disagree, at most ``LANES``.
        more: How many such lanes are left out.
    """

    video: str
    duration: float
    types: Sequence[str]
    segments: int
    lanes: Sequence[Lane]
    more: int = field(default=0)


def write_compare_page(compared: Compared, page: Path) -> None:
    """Writes the page, which loads nothing but the clips that are too large to be inside.

    Raises:
        RlldError: If it cannot be written.
    """
    write_text(page, render_compare_page(compared, page))


def render_compare_page(compared: Compared, page: Path) -> str:
    """Returns the page as HTML.

    Args:
        compared: The comparison.
        page: Where the page will be.
    """
    videos = compared.videos
    shown, reach = disputes(compared), _reach(compared.others)
    clips = {}
    if videos.folder is not None:
        clips = clips_of_page(videos.folder, [each.video for each in shown], page)
    names = [each.side.name for each in compared.judged]
    return rendered(
        "compare.html.j2",
        ("page.css", "denoise.css", "run.css", "compare.css"),
        names=names,
        dataset=videos.spec.name,
        split=videos.name,
        videos=len(videos),
        remarks=remarks(compared),
        heads=_heads("segment").values(),
        rows={level: {n: _cells(j, level) for n, j in _by_name(compared)} for level in LEVELS},
        forests=[_forest(each, reach) for each in compared.others],
        classes={modality: _classes(compared, modality) for modality in MODALITIES},
        senses=SENSES,
        apart=[
            (each.side.name, modality, *counts(each.apart, place))
            for each in compared.others
            if each.apart is not None
            for place, modality in enumerate(MODALITIES)
        ],
        disputes=shown,
        clips=clips,
        command=compared.command,
    )


def _by_name(compared: Compared) -> Iterable[tuple[str, Judged]]:
    return ((each.side.name, each) for each in compared.judged)


def _heads(level: str) -> dict[str, str]:
    """Returns the heads of the scores of a level, by name."""
    short = "seg " if level == "segment" else "ev "
    published = {f"{level}_{kind}": head for kind, head in KINDS.items()}
    variants = {
        name: head.removeprefix(short) for name, head in VARIANTS.items() if head.startswith(short)
    }
    return published | variants


def _cells(judged: Judged, level: str) -> list[str]:
    return [value_text(figure(judged, name)) for name in _heads(level)]


def _differences(judged: Judged) -> dict[str, dict[str, Difference | None]]:
    return {
        level: {head: figure(judged, name).difference for name, head in _heads(level).items()}
        for level in LEVELS
    }


def _reach(judged: Sequence[Judged]) -> float:
    """Returns how far the axes of forests reach, the same for all that stand side by side."""
    rows = [row for each in judged for row in _differences(each).values()]
    known = [each for row in rows for each in row.values() if each is not None]
    farthest = max([abs(end) for each in known for end in (each.low, each.high)], default=1.0)
    steps = round_numbers(-farthest, farthest) if farthest else [-1.0, 0.0, 1.0]
    return max(-steps[0], steps[-1])


def _forest(judged: Judged, reach: float) -> Forest:
    """Draws differences on one axis, with 0 in its middle."""

    def across(value: float) -> float:
        return 50 + 50 * value / reach

    def bar(difference: Difference | None) -> Bar | None:
        if difference is None:
            return None
        low, high = across(difference.low), across(difference.high)
        text = difference_text(difference)
        return Bar(text, across(difference.value), low, high - low, difference.clear)

    ticks = [Tick(f"{step:+g}" if step else "0", across(step)) for step in (-reach, 0, reach)]
    rows = {
        level: {head: bar(each) for head, each in row.items()}
        for level, row in _differences(judged).items()
    }
    return Forest(judged.side.name, rows, ticks)


def _classes(compared: Compared, modality: str) -> list[ClassLine]:
    """Returns the classes of a modality, those of most videos first."""
    truth = compared.videos.require_dense()[:, :, MODALITIES.index(modality)].any(1).sum(0)
    first, *others = compared.judged
    lines = []
    for label, videos in zip(compared.videos.spec.classes, truth.tolist(), strict=True):
        cells = [(value_text(first.classes[label][modality]), False)]
        for each in others:
            found = each.classes[label][modality]
            known = found.difference
            text = "-" if known is None else difference_text(known)
            cells += [(value_text(found), False), (text, known is not None and known.clear)]
        lines.append(ClassLine(label, videos, cells))
    return sorted(lines, key=lambda line: -line.videos)


def disputes(compared: Compared) -> list[Dispute]:
    """Returns the videos on which sides disagree most, the first first."""
    return [_dispute(compared, place) for place in compared.apart()[:SHOWN]]


def _dispute(compared: Compared, place: int) -> Dispute:
    videos, truth = compared.videos, compared.videos.require_dense()[place].cpu()
    segments, step = segments_of(videos, place), videos.spec.segment_seconds
    maps = [each.side.maps[place] for each in compared.judged]
    apart = (torch.stack(maps) ^ maps[0]).sum((0, 1))
    lanes = [
        (
            int(apart[m, c]),
            Lane(
                label,
                modality,
                [spans_of(each[:segments, m, c], step) for each in maps],
                spans_of(truth[:segments, m, c], step),
            ),
        )
        for c, label in enumerate(videos.spec.classes)
        for m, modality in enumerate(MODALITIES)
        if apart[m, c]
    ]
    lanes.sort(key=lambda lane: -lane[0])
    return Dispute(
        videos.ids[place],
        segments * step,
        [_types(each, place) for each in compared.judged],
        sum(count for count, _ in lanes),
        [lane for _, lane in lanes[:LANES]],
        len(lanes[LANES:]),
    )


def _types(judged: Judged, place: int) -> str:
    scores = (100 * float(judged.columns[place, columns_of(level)].mean()) for level in LEVELS)
    return " / ".join(f"{score:.1f}" for score in scores)
