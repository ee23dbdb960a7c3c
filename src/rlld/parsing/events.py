"""From decisions per segment to events with times and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.parsing.result import Event
from rlld.types import AUDIO, VISUAL, Modality
from rlld.utils.runs import runs

ORDER: tuple[Modality, ...] = ("audio", "visual", "audio_visual")
"""Order of events that start together."""

Maps = Mapping[Modality, tuple[NDArray[np.bool_], NDArray[np.floating[Any]]]]
"""Decisions and probabilities of a modality, each (S, C)."""


def events_from(
    active: NDArray[np.bool_],
    probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    segment_seconds: float,
    duration: float,
    before: int = 0,
) -> tuple[Event, ...]:
    """Reads events from the decided segments.

    An event is a maximal run of segments. Audio-visual events are the runs of the product of both
    maps, as the official evaluation has it, so they can be shorter than the audible and visible
    events that they come from. The confidence is the mean segment probability over the run; for
    audio-visual events the mean of the smaller of both probabilities, since an event is as
    certainly in both tracks as it is in the weaker one.

    Args:
        active: Decisions (S, 2, C).
        probabilities: Segment probabilities (S, 2, C) in [0, 1].
        classes: The C class names.
        segment_seconds: Length of a segment.
        duration: Length of the video in seconds; no event reaches past it.
        before: Segments of the video before these, which hold no event.

    Returns:
        Events ordered by start, modality and class.

    Examples:
        Three segments of half a second; a dog is heard in the first two and seen in the last two:

        >>> active = np.array([[[1], [0]], [[1], [1]], [[0], [1]]], dtype=bool)  # (S, 2, C)
        >>> values = np.array([[[0.8], [0.2]], [[0.6], [0.9]], [[0.1], [0.7]]])
        >>> for event in events_from(active, values, ["Dog"], 0.5, 1.5):
        ...     print(event.modality, event.start, event.end, round(event.confidence, 2))
        audio 0.0 1.0 0.7
        visual 0.5 1.5 0.8
        audio_visual 0.5 1.0 0.6
    """
    both = active[:, AUDIO] & active[:, VISUAL]
    weaker = probabilities.min(axis=1)
    maps: Maps = {
        "audio": (active[:, AUDIO], probabilities[:, AUDIO]),
        "visual": (active[:, VISUAL], probabilities[:, VISUAL]),
        "audio_visual": (both, weaker),
    }
    return events_of_maps(maps, classes, segment_seconds, duration, before)


def events_of_maps(
    maps: Maps,
    classes: Sequence[str],
    segment_seconds: float,
    duration: float,
    before: int = 0,
) -> tuple[Event, ...]:
    """Reads events from a map of its own for what is heard, seen, and both; see ``events_from``.

    Args:
        maps: Decisions and probabilities, each (S, C).
        classes: The C class names.
        segment_seconds: Length of a segment.
        duration: Length of the video in seconds.
        before: Segments of the video before these.
    """
    found = []
    for modality, (decided, values) in maps.items():
        rank = ORDER.index(modality)
        for index in np.flatnonzero(decided.any(axis=0)).tolist():
            for first, last in runs(decided[:, index]):
                start = (before + first) * segment_seconds
                end = min((before + last) * segment_seconds, duration)
                if start >= end:
                    continue
                confidence = float(values[first:last, index].mean(dtype=np.float64))
                event = Event(classes[index], modality, start, end, confidence)
                found.append((start, rank, index, event))
    return tuple(event for *_, event in sorted(found, key=lambda item: item[:3]))
