"""Clips in, parses out, for classes that were never trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rlld.errors import RlldError
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.open_classes.similarities import TRACKS, Found, Rule, Similarities
from rlld.parsing.events import events_of_maps
from rlld.parsing.parse import ABSENT, nested, readable
from rlld.parsing.result import Parse
from rlld.parsing.sources import described
from rlld.types import MODALITIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rlld.open_classes.named import Namer

SECONDS = 1.0
"""Length of a segment."""
ALONE = "probabilities rest on this clip alone; several clips parsed together tell more"


@dataclass(frozen=True)
class Compared:
    """A clip whose segments were compared with class names.

    Attributes:
        name: What it is called.
        duration: Its length in seconds.
        similarities: What came of it.
        notes: Remarks of the decoder.
    """

    name: str
    duration: float
    similarities: Similarities
    notes: tuple[str, ...] = ()


def compare(namer: Namer, path: Path | str, tracks: TrackChoice = AS_PLAYED) -> Compared:
    """Compares a clip with class names, in memory that does not grow with it but for the scores.

    Args:
        namer: Knows the names.
        path: The file.
        tracks: Which of several tracks of a clip are looked at; those of a player when not given.

    Raises:
        RlldError: If the clip cannot be read.
    """
    source = described(Path(path), namer.extractor, SECONDS, tracks=tracks)
    similarities = namer.similarities(source.chunks)
    for modality in range(len(MODALITIES)):
        if _infinite(similarities.part(modality)):
            raise RlldError(f"{path}: gives features that are no numbers; check its tracks")
    if source.outcome is None:
        raise AssertionError("a clip has an outcome")
    duration, notes = source.outcome()
    return Compared(source.name, duration, similarities, notes)


def decide(
    clips: Sequence[Compared], classes: Sequence[str], rule: Rule, model: str
) -> list[Parse]:
    """Parses clips that were compared.

    Args:
        clips: The clips of a collection.
        classes: The class names.
        rule: Finds events by similarities.
        model: What parsed them, for the reader.
    """
    found = rule([clip.similarities for clip in clips])
    pairs = zip(clips, found, strict=True)
    return [_parse(clip, tuple(classes), each, model) for clip, each in pairs]


def _parse(clip: Compared, classes: tuple[str, ...], found: Found, model: str) -> Parse:
    maps = dict(zip(TRACKS, zip(found.active, found.scores, strict=True), strict=True))
    heard_and_seen = torch.from_numpy(found.scores[:2].swapaxes(0, 1)).float()
    absent = [m for m in range(len(MODALITIES)) if _absent(clip.similarities.part(m))]
    return Parse(
        name=readable(clip.name),
        duration=clip.duration,
        segment_seconds=SECONDS,
        classes=classes,
        events=events_of_maps(maps, classes, SECONDS, clip.duration),
        probabilities=nested(heard_and_seen),
        gates=nested(heard_and_seen.amax(0)),
        notes=clip.notes + tuple(ABSENT[modality] for modality in absent),
        model=model,
    )


def _absent(rows: NDArray[np.float64]) -> bool:
    return bool((rows != rows).all())


def _infinite(rows: NDArray[np.float64]) -> bool:
    return bool(((rows != rows).any(1) & ~(rows != rows).all(1)).any())
