"""What a run decides about every segment of a split: from whole videos, or as they go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.parsing.windows import window_of
from rlld.training.predict import joined, pieces
from rlld.training.run_folder import Run
from rlld.types import Batch, Prediction


@dataclass(frozen=True)
class Decisions:
    """What a run says of videos.

    Attributes:
        probabilities: Of segments (N, T, 2, C), completed where a policy judged them; 0 behind the
            end of a video.
        active: Which segments hold an event (N, T, 2, C), bool.
    """

    probabilities: Tensor
    active: Tensor


def decisions(run: Run, videos: Split, *, by_tags: bool = False, online: bool = False) -> Decisions:
    """Decides about every segment, in float32.

    Args:
        run: The run.
        videos: Videos that fit it.
        by_tags: Whether the known tags gate instead of the video-level probabilities.
        online: Whether a segment is decided from what comes up to it alone; see ``prefixes``.

    Raises:
        RlldError: If probabilities are no numbers.
    """
    videos = videos.to(run.device, torch.float32)
    labels = videos.labels if by_tags else None
    where = f"{videos.name} split of {videos.spec.name}"
    if online:
        return _online(run, videos, labels, where)
    prediction = _predicted(run, videos, labels)
    prediction.require_numbers(where)
    completed = run.gate.completed(prediction, labels)
    found = Decisions(completed.segment, run.gate.apply(completed, labels))
    return _of_tracks(found, videos)


def _predicted(run: Run, videos: Split, labels: Tensor | None) -> Prediction:
    """Predicts all videos, judged where the run has a policy for it; without extras."""
    parts = []
    for batch in pieces(videos):
        tags = None if labels is None else labels[batch.index]
        found = run.predict(batch.streams, batch.mask, tags)
        parts.append((batch.index, replace(found, extras={})))
    return joined(videos, parts)


def _online(run: Run, videos: Split, labels: Tensor | None, where: str) -> Decisions:
    """Decides by the last segment of every prefix: its probabilities, gate and neighbours."""
    shape = len(videos), videos.spec.segments, 2, len(videos.spec.classes)
    found = Decisions(
        torch.zeros(shape, device=run.device),
        torch.zeros(shape, dtype=torch.bool, device=run.device),
    )
    for batch in pieces(videos):
        for place, rows, streams in prefixes(batch, window_of(run.spec, run.network.reach)[0]):
            index = batch.index[rows]
            tags = None if labels is None else labels[index]
            prediction = run.predict(streams, tags=tags)
            prediction.require_numbers(where)
            completed = run.gate.completed(prediction, tags)
            found.probabilities[index, place] = completed.segment[:, -1].float()
            found.active[index, place] = run.gate.apply(completed, tags)[:, -1]
    return _of_tracks(found, videos)


def _of_tracks(found: Decisions, videos: Split) -> Decisions:
    """Returns decisions without events in tracks that a video lacks, whatever its tags are."""
    if videos.tracks is None:
        return found
    there = videos.tracks[:, None, :, None]
    return Decisions(found.probabilities * there, found.active & there)


def prefixes(batch: Batch, past: int) -> Iterator[tuple[int, Tensor, Mapping[str, Tensor]]]:
    """Yields what is known of the videos of a batch when each segment has just passed.

    All prefixes of one length go through a network together, without padding; so a batch of T
    segments takes the time of T (T + 1) / 2, and the memory of one pass.

    Args:
        batch: The videos.
        past: Segments that are looked back at most, the last one included: what comes before
            is forgotten, which bounds the time for long videos.

    Yields:
        The place of the segment, which videos have it (n,), int64, and their streams up to it.
    """
    everyone = torch.arange(len(batch.index), device=batch.index.device)
    for place in range(batch.segments):
        rows = everyone if batch.mask is None else everyone[batch.mask[:, place]]
        seen = slice(max(0, place + 1 - past), place + 1)
        streams = {name: value[:, seen] for name, value in batch.streams.items()}
        if len(rows) < len(everyone):
            streams = {name: value[rows] for name, value in streams.items()}
        yield place, rows, streams
