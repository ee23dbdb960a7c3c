"""What people marked in the same clips, segment by segment: how far they agree, and where not.

Of each person the last version of a clip counts. A lane is a class in a modality of a clip: one of
its tags, or one in which somebody marked something; what nobody expects in it tells nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from rlld.data.annotations import covered, union
from rlld.studio.store import Version
from rlld.types import MODALITIES
from rlld.utils.runs import runs

Lane = tuple[str, str, str]
"""Video, class and modality."""
Spans = list[tuple[float, float]]
"""When somebody marked it, in seconds; disjoint, in the order of time."""
Lanes = dict[Lane, dict[str, Spans]]
"""What each person marked in a lane."""
Mark = tuple[str, str, str, int]
"""Video, class, modality and segment."""


def lanes_of(versions: Iterable[Version], tags: Callable[[str], Iterable[str]]) -> Lanes:
    """Returns the lanes of clips, with what each person marked in them.

    Args:
        versions: The last version of each person of each clip.
        tags: Gives the classes of the tags of a video.
    """
    by_clip: dict[str, list[Version]] = {}
    for version in versions:
        by_clip.setdefault(version.video, []).append(version)
    found: Lanes = {}
    for video, own in by_clip.items():
        marked = {event["class"] for version in own for event in version.events}
        for label in sorted({*tags(video), *marked}):
            for modality in MODALITIES:
                found[video, label, modality] = {
                    version.person: _spans(version, label, modality) for version in own
                }
    return found


def _spans(version: Version, label: str, modality: str) -> Spans:
    both = (modality, "audio_visual")
    return union(
        (event["start"], event["end"])
        for event in version.events
        if event["class"] == label and event["modality"] in both
    )


def marks_of(
    lanes: Lanes, step: float, seconds: Callable[[str], float]
) -> dict[Mark, dict[str, bool]]:
    """Returns what each person says of each segment: marked is what an event covers half of.

    Args:
        lanes: The lanes.
        step: Seconds of a segment.
        seconds: Gives the length of a video; a last segment of less than half a step cannot be
            marked and does not count.
    """
    found: dict[Mark, dict[str, bool]] = {}
    for (video, label, modality), by_person in lanes.items():
        count = max(1, int(seconds(video) / step + 0.5))
        for person, spans in by_person.items():
            active = _active(spans, count, step)
            for segment in range(count):
                mark = (video, label, modality, segment)
                found.setdefault(mark, {})[person] = bool(active[segment])
    return found


def _active(spans: Spans, count: int, step: float) -> Any:
    active = np.zeros(count, bool)
    for start, end in spans:
        first, stop = covered(start, end, step)
        active[first:stop] = True
    return active


def lanes_apart(
    lanes: Lanes, marks: Mapping[Mark, Mapping[str, bool]], step: float
) -> list[dict[str, Any]]:
    """Returns the lanes in which people marked different segments.

    Returns:
        ``video``, ``class``, ``modality`` and ``spans``, what each person marked; ``at`` and
        ``end``, the first place where they differ, in seconds.
    """
    differ: dict[Lane, list[bool]] = {}
    for (video, label, modality, _), said in marks.items():  # segments come in their order
        differ.setdefault((video, label, modality), []).append(len(set(said.values())) > 1)
    found = []
    for lane, cells in differ.items():
        for first, stop in runs(np.array(cells))[:1]:
            video, label, modality = lane
            found.append(
                {
                    "video": video,
                    "class": label,
                    "modality": modality,
                    "spans": lanes[lane],
                    "at": first * step,
                    "end": stop * step,
                }
            )
    return found
