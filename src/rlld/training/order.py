"""Which videos are in which batch: a function of the seed and the number of the round or step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.recipes.schedule import Schedule
from rlld.training.validation import Validation

GROUP = 8
"""Batches that are sorted by length together."""
WIDEST = 30_000
"""Segments, padding included, from which on batches are cut by length: some 1.5 GB of a network."""
STREAM = 0x5EED_0003
"""Keeps these draws apart from those of the batches."""


def of_one_length(train: Split, *watched: Validation | Split | None) -> bool:
    """Says whether all videos have as many segments, so that all steps have one shape."""
    splits = (each.split if isinstance(each, Validation) else each for each in (train, *watched))
    return all(split is None or split.lengths is None for split in splits)


def round_batches(
    schedule: Schedule, videos: int, seed: int, number: int, lengths: Tensor | None = None
) -> Iterator[Tensor]:
    """Yields the video indices of each batch of one round.

    The order is a function of the seed and the round alone, so that a resumed run needs no state.
    Videos of an epoch that differ in length meet others of about their own: a batch is as long as
    the longest of them.

    Args:
        schedule: The schedule.
        videos: Videos in the training split.
        seed: Seed of the run.
        number: Round, 0-based.
        lengths: Segments of each video (N,); None where all have as many.

    Yields:
        Index tensors (B,), int64, on the CPU.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    if schedule.round == "epoch":
        order = torch.randperm(videos, generator=generator)
        if lengths is None:
            yield from torch.split(order, schedule.batch_size)
        else:
            yield from _alike(order, lengths.cpu(), schedule.batch_size, generator)
        return
    yield from _episode(schedule, videos, generator)


def _alike(
    order: Tensor, lengths: Tensor, size: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Cuts batches of videos of about one length, in any order.

    Only some batches at a time are sorted: a video meets others in every epoch.
    """
    batches: list[Tensor] = []
    for group in torch.split(order, GROUP * size):
        ranked = group[lengths[group].argsort(stable=True)]
        batches += torch.split(ranked, sizes_of(lengths[ranked].tolist(), size))
    for place in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[place]


def sizes_of(lengths: Sequence[int], size: int) -> list[int]:
    """Returns how many of some videos, sorted by length, are in each batch.

    That is ``size``, and the last batch has the rest. Where a batch would be padded to more than
    ``WIDEST`` segments, as many batches as narrow as they can be: one with a recording of hours has
    that alone.

    Examples:
        >>> sizes_of([1, 2, 3, 4, 5], 2)
        [2, 2, 1]
        >>> sizes_of([1, 2, 2, 3, 50_000, 60_000], 2)
        [4, 1, 1]
    """
    count = -(-len(lengths) // size)
    equal = [size] * (count - 1) + [len(lengths) - size * (count - 1)]
    high = padded_to(lengths, equal)
    if high <= WIDEST:
        return equal
    low = lengths[-1]
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_within(lengths, middle)) <= count else (middle + 1, high)
    found = _within(lengths, high)
    while len(found) < count:
        most = max(range(len(found)), key=found.__getitem__)
        found[most : most + 1] = [found[most] - found[most] // 2, found[most] // 2]
    return found


def padded_to(lengths: Sequence[int], sizes: Sequence[int]) -> int:
    """Returns the segments of the widest batch, padding included."""
    ends = accumulate(sizes)
    return max(size * lengths[end - 1] for size, end in zip(sizes, ends, strict=True))


def _within(lengths: Sequence[int], most: int) -> list[int]:
    """Returns the fewest batches of at most so many segments, from the longest video down."""
    sizes, left = [], len(lengths)
    while left:
        sizes.append(min(left, most // lengths[left - 1]))
        left -= sizes[-1]
    return sizes[::-1]


def _episode(schedule: Schedule, videos: int, generator: torch.Generator) -> Iterator[Tensor]:
    size = min(schedule.batch_size, videos)
    kept = int(schedule.carry * size)
    batch = torch.empty(0, dtype=torch.int64)
    unseen = torch.randperm(videos, generator=generator)
    for _ in range(schedule.steps):
        stay = batch[torch.randperm(len(batch), generator=generator)[:kept]]
        needed = size - len(stay)
        fresh = unseen[~torch.isin(unseen, stay)]
        if len(fresh) < needed:
            # A small training split is exhausted before the episode ends: deal it out anew.
            again = torch.randperm(videos, generator=generator)
            fresh = torch.cat([fresh, again[~torch.isin(again, torch.cat([stay, fresh]))]])
        unseen, fresh = fresh[needed:], fresh[:needed]
        batch = torch.cat([stay, fresh])
        yield batch


def draw_annotated(
    count: int, videos: int, seed: int, update: int, lengths: Tensor | None = None
) -> Tensor:
    """Draws the annotated videos that teach in a step, without repetition, each as probably.

    Args:
        count: How many are wanted; all where there are fewer.
        videos: How many there are.
        seed: Seed of the run.
        update: The step; with the seed it alone decides, so that a resumed run needs no state.
        lengths: Segments of each video (N,), for videos of about one length; None where all have
            as many.

    Returns:
        Index tensor (b,), int64, on the CPU.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + update) ^ STREAM)
    order = torch.randperm(videos, generator=generator)
    if lengths is None or videos < 2 * count:
        return order[:count]
    batches = min(GROUP, videos // count)
    drawn = order[: batches * count]
    place = int(torch.randint(batches, (), generator=generator))
    ranked = drawn[lengths.cpu()[drawn].argsort(stable=True)]
    return torch.split(ranked, sizes_of(lengths.cpu()[ranked].tolist(), count))[place]


def draw_lessons(count: int, teachers: Split, seed: int, updates: range) -> list[Tensor]:
    """Draws the annotated videos of several steps, see ``draw_annotated``."""
    number, lengths = len(teachers), teachers.lengths
    return [draw_annotated(count, number, seed, update, lengths) for update in updates]
