"""Which question is asked next."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from rlld.studio.clips import Catalogue, Video

SPLITS = ("train",)
"""Splits whose tags are asked for; of the others people know more than answers say."""


def questions(
    catalogue: Catalogue, done: Collection[tuple[str, str]], count: int
) -> list[dict[str, Any]]:
    """Returns the next questions, class by class in turn.

    Args:
        catalogue: The data set.
        done: Videos and classes that need not be asked.
        count: How many at most.
    """
    found: list[dict[str, Any]] = []
    for video, tag in _in_turn(catalogue):
        if len(found) == count:
            break
        if (video.id, catalogue.spec.classes[tag]) not in done:
            found.append(question(catalogue, video, tag))
    return found


def question(catalogue: Catalogue, video: Video, tag: int) -> dict[str, Any]:
    """Returns a question as the page has it."""
    label = catalogue.spec.classes[tag]
    pool = sum(tag in other.tags for other in catalogue.videos.values() if other.split in SPLITS)
    return {
        "id": f"{video.id}/{label}",
        "video": video.id,
        "class": label,
        "split": video.split,
        "at": 0,
        "end": video.seconds,
        "audio": None,
        "visual": None,
        "probability": 1 / pool if pool else None,
        "why": f"one of {pool} clips tagged {label}",
    }


def _in_turn(catalogue: Catalogue) -> Iterator[tuple[Video, int]]:
    videos = [video for video in catalogue.videos.values() if video.split in SPLITS]
    queues = [
        [(video, tag) for video in videos if tag in video.tags]
        for tag in range(len(catalogue.spec.classes))
    ]
    for place in range(len(videos)):
        for queue in queues:
            if place < len(queue):
                yield queue[place]
