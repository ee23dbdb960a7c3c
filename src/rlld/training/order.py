"""Which videos are in which batch: a function of the seed and the number of the round or step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rlld.recipes.schedule import Schedule

STREAM = 0x5EED_0003
"""Keeps these draws apart from those of the batches."""


def round_batches(schedule: Schedule, videos: int, seed: int, number: int) -> Iterator[Tensor]:
    """Yields the video indices of each batch of one round.

    The order is a function of the seed and the round alone, so that a resumed run needs no state.

    Args:
        schedule: The schedule.
        videos: Videos in the training split.
        seed: Seed of the run.
        number: Round, 0-based.

    Yields:
        Index tensors (B,), int64, on the CPU.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    if schedule.round == "epoch":
        yield from torch.split(torch.randperm(videos, generator=generator), schedule.batch_size)
        return
    yield from _episode(schedule, videos, generator)


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


def draw_annotated(count: int, videos: int, seed: int, update: int) -> Tensor:
    """Draws the annotated videos that teach in a step, without repetition.

    Args:
        count: How many are wanted; all where there are fewer.
        videos: How many there are.
        seed: Seed of the run.
        update: The step; with the seed it alone decides, so that a resumed run needs no state.

    Returns:
        Index tensor (b,), int64, on the CPU.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + update) ^ STREAM)
    return torch.randperm(videos, generator=generator)[:count]
