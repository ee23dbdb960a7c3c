"""Draws what happens in the videos of a rendered data set, from LLP's aggregate statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import SPLITS
from rlld.synthetic.clips.pictures import PICTURES
from rlld.synthetic.features import masks
from rlld.synthetic.features.drawn import draw_events
from rlld.synthetic.features.labels import SplitLabels, generator
from rlld.synthetic.features.statistics import LabelCounts, load_statistics, restrict
from rlld.taxonomy import LLP

COMPANION = "Speech"
COMPANION_SHARE = 0.8
"""Share of videos of several labels in which one of them is Speech (LLP: 0.84 train, 0.81 rest)."""

ID_MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


def rendered_classes(number: int) -> tuple[str, ...]:
    """Returns the first ``number`` classes that can be rendered, in LLP's order."""
    return tuple(sorted(list(PICTURES)[:number], key=LLP.index))


def draw_dataset(
    classes: Sequence[str], videos: Sequence[int], seed: int
) -> dict[str, SplitLabels]:
    """Draws weak labels and true events of the three splits.

    How many labels a video has, in which modality each is perceived, when, and which events no
    label names follow LLP. Which classes they are does not: all but Speech are drawn equally
    often, so that a few dozen videos show every one; Speech joins in as it does in LLP.

    Args:
        classes: Class names, C of them, rendered ones.
        videos: Number of training, validation and test videos.
        seed: The same seed draws the same.

    Returns:
        Labels by split name.
    """
    statistics = restrict(load_statistics(), classes)
    taken: set[str] = set()
    result = {}
    for place, (split, number) in enumerate(zip(SPLITS, videos, strict=True)):
        rng = generator(seed, place)
        counts = statistics.train if split == SPLITS[0] else statistics.evaluation
        weak = draw_weak(classes, counts, number, rng)
        events = draw_events(statistics, weak, rng)
        result[split] = SplitLabels(_ids(number, taken, rng), weak, events)
    return result


def draw_weak(
    classes: Sequence[str], counts: LabelCounts, number: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draws weak labels (number, C) with LLP's number of labels per video."""
    weak = np.zeros((number, len(classes)), np.uint8)
    deck = _deck([c for c, name in enumerate(classes) if name != COMPANION], rng)
    sizes = masks.draw(rng, np.asarray(counts.number[: len(classes)], float), number)
    for video, size in enumerate(sizes):
        if size > 1 and COMPANION in classes and rng.random() < COMPANION_SHARE:
            weak[video, classes.index(COMPANION)] = 1
        while weak[video].sum() < size:
            weak[video, next(deck)] = 1
    return weak


def _deck(cards: list[int], rng: np.random.Generator) -> Iterator[int]:
    """Deals all cards in random order before any comes again, for ever."""
    while True:
        yield from rng.permutation(cards).tolist()


def _ids(number: int, taken: set[str], rng: np.random.Generator) -> tuple[str, ...]:
    """Makes ids of LLP's form, ``XXXXXXXXXXX_30_40``, none of them starting with a dash."""
    result: list[str] = []
    while len(result) < number:
        marks = rng.integers(0, len(ID_MARKS), 11)
        marks[0] = rng.integers(0, 26)
        name = "".join(ID_MARKS[mark] for mark in marks)
        start = 10 * int(rng.integers(0, 30))
        # Some file systems ignore case.
        if name.lower() not in taken:
            taken.add(name.lower())
            result.append(f"{name}_{start}_{start + 10}")
    return tuple(result)
