"""A comparison of runs as tables: for the terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlld.bench.page import NOTHING, Block, Page
from rlld.bench.tables import SCORE_HEADS, VARIANTS, interval_of
from rlld.comparing.compared import WAYS, Apart, Compared, Figure, Judged, as_dict
from rlld.metrics.averages import VARIANT_NAMES
from rlld.metrics.paired import Difference
from rlld.metrics.scores import NAMES
from rlld.report.tables import KINDS, number
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text

SHEET_HEADS = ("name", "way", "class", "measure", "value", "difference", "low", "high")
SENSES = {"audio": "heard", "visual": "seen"}
SHOWN = 10
"""Videos in the table of those on which sides disagree; the JSON has all."""


def page_of(compared: Compared) -> Page:
    """Returns a comparison as a page."""
    videos = compared.videos
    means = {
        f"{judged.side.name}/{name}": figure.value
        for judged in compared.judged
        for name, figure in judged.scores[WAYS[0]].items()
        if figure.value is not None
    }
    return Page(
        f"{', '.join(each.side.name for each in compared.judged)}: {videos.name} split",
        compared.command,
        tuple(blocks(compared)),
        tuple(remarks(compared)),
        sheet_text([SHEET_HEADS, *sheet_rows(compared)], ","),
        as_dict(compared),
        means=means,
    )


def blocks(compared: Compared) -> Iterator[Block]:
    """Yields the tables."""
    first, names = compared.first.side.name, [each.side.name for each in compared.judged]
    sides = [compared.judged[0].side.name, *names[1:]]
    yield Block(
        "F-scores: segment level, then event level",
        ("", *SCORE_HEADS),
        tuple(
            (each.side.name, *(value_text(each.scores[WAYS[0]][name]) for name in NAMES))
            for each in compared.judged
        ),
    )
    yield Block(
        "In other ways: see docs/metrics.md",
        ("", *VARIANTS.values()),
        tuple(
            (each.side.name, *(value_text(figure(each, name)) for name in VARIANTS))
            for each in compared.judged
        ),
    )
    yield Block(
        f"Difference to {first}",
        ("", *sides[1:]),
        tuple(
            (head, *(_difference(figure(each, name)) for each in compared.others))
            for name, head in zip(
                (*NAMES, *VARIANTS), _heads((*SCORE_HEADS, *VARIANTS.values())), strict=True
            )
        ),
    )
    for modality in MODALITIES:
        yield _classes(compared, modality)
    yield _disagreements(compared)
    yield _videos(compared)


def figure(judged: Judged, name: str) -> Figure:
    """Returns a score by its name, or by variant and name, as in ``VARIANT_NAMES``."""
    if name in NAMES:
        return judged.scores[WAYS[0]][name]
    place = VARIANT_NAMES.index(name)
    return judged.scores[WAYS[1 + place // len(NAMES)]][NAMES[place % len(NAMES)]]


def _heads(heads: Sequence[str]) -> list[str]:
    """Puts the level before every head, as rows have none before them."""
    found, level = [], ""
    for head in heads:
        first, _, rest = head.partition(" ")
        if first in ("seg", "ev"):
            level = first
        else:
            rest = head
        found.append(f"{'segment' if level == 'seg' else 'event'} {rest}")
    return found


def _classes(compared: Compared, modality: str) -> Block:
    truth = compared.videos.require_dense()[:, :, MODALITIES.index(modality)].any(1)
    first, *others = compared.judged
    heads = ["class", "videos", first.side.name]
    for each in others:
        heads += [each.side.name, "difference"]
    rows = []
    for place, label in enumerate(compared.videos.spec.classes):
        cells = [label, str(int(truth[:, place].sum())), value_text(first.classes[label][modality])]
        for each in others:
            found = each.classes[label][modality]
            cells += [value_text(found), _difference(found)]
        rows.append(tuple(cells))
    title = f"Classes that are {SENSES[modality]}: segment-level F, {KINDS[modality]}"
    return Block(title, tuple(heads), tuple(rows))


def _disagreements(compared: Compared) -> Block:
    """Counts the segments in which sides differ: as it is found or not, one of them is right."""
    first, rows = compared.first.side.name, []
    for each in compared.others:
        if each.apart is None:
            continue
        for place, modality in enumerate(MODALITIES):
            rows.append((f"{each.side.name}, {SENSES[modality]}", *counts(each.apart, place)))
    heads = ("", "segments", "it is right", f"{first} is right")
    return Block(f"Where they decide otherwise than {first}", heads, tuple(rows))


def counts(apart: Apart, modality: int) -> tuple[str, str, str]:
    """Returns in how many segments of a modality a side differs, it is right, and the first is."""
    cells, right = (int(part[:, modality].sum()) for part in (apart.cells, apart.right))
    return f"{cells:,}", f"{right:,}", f"{cells - right:,}"


def _videos(compared: Compared) -> Block:
    heads = ("video", "segments", *(f"{each.side.name} Type" for each in compared.judged))
    rows = []
    for place in compared.apart()[:SHOWN]:
        cells = sum(
            int(each.apart.cells[place].sum()) for each in compared.others if each.apart is not None
        )
        types = (f"{100 * float(each.columns[place, :3].mean()):.1f}" for each in compared.judged)
        rows.append((compared.videos.ids[place], f"{cells:,}", *types))
    return Block("Videos on which they disagree most", heads, tuple(rows))


def remarks(compared: Compared) -> list[str]:
    """Returns the sentences under the tables."""
    count = len(compared.videos)
    return [
        f"{count:,} {compared.videos.name} videos of {compared.videos.spec.name}.",
        "Intervals: 95 %, paired bootstrap over the videos; they know nothing of other seeds.",
        *(f"{note}." for each in compared.judged for note in each.side.notes),
    ]


def sheet_rows(compared: Compared) -> list[list[str | float]]:
    """Returns a line for every score of every side, and of every class."""
    rows: list[list[str | float]] = []
    for judged in compared.judged:
        for way, scores in judged.scores.items():
            rows += [_line(judged, way, "", name, found) for name, found in scores.items()]
        for label, scores in judged.classes.items():
            rows += [_line(judged, "class", label, name, found) for name, found in scores.items()]
    return rows


def _line(judged: Judged, way: str, label: str, name: str, found: Figure) -> list[str | float]:
    ends = found.difference
    apart = ("", "", "") if ends is None else (ends.value, ends.low, ends.high)
    value = "" if found.value is None else found.value
    return [judged.side.name, way, label, name, value, *apart]


def value_text(found: Figure) -> str:
    """Returns a figure with one digit, a dash where there is none."""
    return number(found.value, 1)


def _difference(found: Figure) -> str:
    return NOTHING if found.difference is None else difference_text(found.difference)


def difference_text(found: Difference) -> str:
    """Returns a difference with its interval."""
    return interval_of(found.value, found.low, found.high)
