"""Three ways to draw questions about tags by lot, each with probabilities that are known."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlld.data.answers import UNKNOWN
from rlld.evaluation.drawing import apportioned, inclusion, systematic
from rlld.evaluation.pool import Pool
from rlld.evaluation.wrong import PRIOR, WrongRate

By = Literal["question", "sample", "doubt"]
Rates = tuple[tuple[WrongRate, ...], ...]
"""By modality and class."""
TYPICAL = 0.9
"""Quantile at which the size of a video is cut: videos of many tags are not typical."""
LOT = 0.5
"""Share of the draws by doubt that the lot alone decides."""
STEP = 3
"""Steps between the lots of two classes: another number is another draw of every seed."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Units(NamedTuple):
    """Everything that can be asked, one entry each.

    Attributes:
        video: Number of the video (u,).
        label: Number of the class (u,).
    """

    video: Ints
    label: Ints

    def at(self, index: Ints) -> Units:
        """Returns some of them."""
        return Units(self.video[index], self.label[index])


class Draw(NamedTuple):
    """What was drawn.

    Attributes:
        units: The questions, in the order in which to ask them.
        chances: Chance that one question about the class falls to the video (n,).
    """

    units: Units
    chances: Floats


def open_units(pool: Pool) -> Units:
    """Returns what is not known yet: a tag of a video, in either track."""
    unknown = pool.tags[:, None] & (pool.known == UNKNOWN)
    return Units(*unknown.any(1).nonzero())


def by_question(pool: Pool, units: Units, rates: Rates, count: int, seed: int) -> Draw:
    """Gives each next question to the class where it puts most right; its video is drawn by lot.

    Args:
        pool: What can be asked about.
        units: What is open.
        rates: What is known of the classes.
        count: How many.
        seed: Seed of the lot. One list is the beginning of a longer one, and goes on after answers.
    """
    labels, inverse, sizes = np.unique(units.label, return_inverse=True, return_counts=True)
    own = [[row[label] for row in rates] for label in labels.tolist()]
    worth = np.array([sum(rate.tags * rate.spread for rate in each) for each in own])
    before = np.array([min(rate.answers for rate in each) + PRIOR for each in own])
    given = apportioned(worth, before, sizes, count)
    queues = {}
    for number in np.unique(given).tolist():
        lot = np.random.default_rng([seed, STEP * int(labels[number])]).random(len(pool))
        members = np.flatnonzero(inverse == number)
        queues[number] = iter(members[lot[units.video[members]].argsort()].tolist())
    chosen = np.array([next(queues[number]) for number in given.tolist()], np.int64)
    return Draw(units.at(chosen), 1 / sizes[inverse[chosen]])


def by_sample(pool: Pool, units: Units, rates: Rates, count: int, seed: int) -> Draw:
    """Draws videos, those of rare classes more often but none for its many tags; asks all of each.

    Args:
        pool: What can be asked about.
        units: What is open.
        rates: Not looked at.
        count: About how many.
        seed: Seed of the lot.
    """
    videos, inverse, open_ = np.unique(units.video, return_inverse=True, return_counts=True)
    if not len(videos):
        return Draw(units, np.zeros(0))
    tags = pool.tags.sum(0)
    sizes = np.array([(1 / np.sqrt(tags[pool.tags[video]])).sum() for video in videos])
    sizes = np.minimum(sizes, np.quantile(sizes, TYPICAL))
    each = float((sizes * open_).sum() / sizes.sum())
    chances = inclusion(sizes, max(1, round(count / each)))
    drawn = systematic(chances, _lot(pool, seed))
    chosen = np.concatenate([np.flatnonzero(inverse == video) for video in drawn])
    return _within(units, chances[inverse], chosen)


def by_doubt(pool: Pool, units: Units, rates: Rates, count: int, seed: int) -> Draw:
    """Draws half by what the run doubts and half by lot alone; the most doubted comes first.

    Args:
        pool: What can be asked about.
        units: What is open.
        rates: Not looked at.
        count: How many.
        seed: Seed of the lot.
    """
    wrong = pool.wrong[units.video, :, units.label]
    doubt = np.sqrt((wrong * (1 - wrong)).sum(1)) + 1e-9
    sizes = (1 - LOT) * doubt / doubt.sum() + LOT / max(1, len(doubt))
    chances = inclusion(sizes, count)
    drawn = systematic(chances, _lot(pool, seed))
    return _within(units, chances, drawn[np.argsort(-doubt[drawn], kind="stable")])


def _lot(pool: Pool, seed: int) -> np.random.Generator:
    """Returns the lot of a draw: another one when there are more answers."""
    return np.random.default_rng([seed, int((pool.known != UNKNOWN).sum())])


def _within(units: Units, chances: Floats, chosen: Ints) -> Draw:
    """Makes chances shares of those of their class."""
    totals = np.bincount(units.label, chances)
    return Draw(units.at(chosen), chances[chosen] / totals[units.label[chosen]])
