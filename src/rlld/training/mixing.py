"""The sound of one video with the pictures of another: new videos from a batch, for nothing.

Labels that are right for each modality by itself stay right for any pair of tracks, so a batch of B
videos holds B times B of them (the cross-modal random combination of MUG, ICCV 2025). A network
that has seen such pairs leans less on what usually goes together.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rlld.types import AUDIO, VISUAL, Batch, ModalityLabels


def crossed(batch: Batch, labels: ModalityLabels, share: float) -> tuple[Batch, ModalityLabels]:
    """Gives some videos of a batch the pictures of others of it.

    Where the two tracks differ in length the shorter one starts over, so that nothing that a label
    speaks of is cut off.

    Args:
        batch: The videos.
        labels: Their targets, each right for its modality.
        share: How many of the videos, in [0, 1]; a single one stays as it is.

    Returns:
        The videos and their targets; the target of the fused probability is what either has.
    """
    count = round(share * len(batch.index))
    if count < 2:
        return batch, labels
    everyone = torch.arange(len(batch.index), device=batch.index.device)
    # Sorting draws is a permutation that a GPU can record.
    chosen = torch.rand(len(everyone), device=everyone.device).argsort()[:count]
    partner = everyone.scatter(0, chosen, chosen.roll(1))
    mask, segment = batch.mask, labels.segment
    if mask is not None:
        own, longest = mask.sum(1), mask.shape[1]
        lengths = torch.maximum(own, own[partner])
        mask = torch.arange(longest, device=mask.device) < lengths[:, None]

    def track(rows: Tensor, whose: Tensor) -> Tensor:
        if mask is None:
            return rows[whose]
        return _repeated(rows[whose], own[whose], lengths, longest)

    streams = {
        name: track(value, everyone if name == "audio" else partner)
        for name, value in batch.streams.items()
    }
    if segment is not None:
        heard, seen = segment[:, :, AUDIO], segment[:, :, VISUAL]
        segment = torch.stack([track(heard, everyone), track(seen, partner)], 2)
    audio, visual = labels.audio, labels.visual[partner]
    alone = (partner == everyone)[:, None]
    video = torch.where(alone, labels.video, torch.maximum(audio, visual))
    mixed = replace(labels, audio=audio, visual=visual, video=video, segment=segment)
    tags = torch.where(alone, batch.labels, (video > 0).to(batch.labels))
    return replace(batch, streams=streams, labels=tags, mask=mask, tracks=None), mixed


def _repeated(rows: Tensor, own: Tensor, lengths: Tensor, segments: int) -> Tensor:
    """Lets each track start over until its video ends.

    Args:
        rows: (B, R, ...), R a multiple of ``segments``; 0 behind the end of a track.
        own: Segments of each track (B,).
        lengths: Segments of each video, at least as many (B,).
        segments: Segments of the longest video.
    """
    frames = rows.shape[1] // segments
    parts = rows.view(len(rows), segments, frames, *rows.shape[2:])
    place = torch.arange(segments, device=rows.device)
    index = place % own[:, None].clamp(min=1)
    found = parts[torch.arange(len(rows), device=rows.device)[:, None], index]
    inside = (place < lengths[:, None]).view(*index.shape, *[1] * (parts.ndim - 2))
    return torch.where(inside, found, torch.zeros_like(found)).view(rows.shape)
