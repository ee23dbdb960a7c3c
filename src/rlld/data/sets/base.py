"""What a published data set says of its videos, whatever its files look like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from rlld.data.spec import Modalities
from rlld.errors import RlldError, nearest
from rlld.types import Modality

Split = str
"""``train``, ``validation`` or ``test``."""
SECONDS = 10
"""Length of a video where all have one."""


class Video(NamedTuple):
    """What is known of a video.

    Attributes:
        split: The split that it is in.
        tags: Classes that occur in it.
        timed: Whether all its events are among those of the data set.
        heard: Tags whose event is heard; None where nobody says.
        seen: Tags whose event is seen; None where nobody says.
        youtube: The YouTube video that it is, or is cut out of.
        start: Second of that where it begins.
        end: Second where it ends; None where it is the whole video.
        seconds: Its length; None where the files do not say it.
    """

    split: Split
    tags: tuple[str, ...]
    timed: bool = False
    heard: tuple[str, ...] | None = None
    seen: tuple[str, ...] | None = None
    youtube: str = ""
    start: float = 0.0
    end: float | None = None
    seconds: float | None = None


class SetEvent(NamedTuple):
    """An event as it is published, whether its times make sense or not.

    Attributes:
        video: Id of its video.
        label: Class.
        modality: ``audio``, ``visual`` or ``audio_visual``.
        onset: Start in seconds.
        offset: End in seconds, exclusive.
        place: File and line, for messages.
    """

    video: str
    label: str
    modality: Modality
    onset: float
    offset: float
    place: str = ""


@dataclass(frozen=True)
class PublishedSet:
    """A published data set, without features.

    Attributes:
        name: Its name.
        classes: Class names in the published order.
        videos: Its videos in the published order.
        events: Their events in the published order.
        modalities: Which of its truth can be told from which, see ``DataSpec``.
        any_length: Whether each video is as long as it is; 10 s each where not.
        spelled: How the files spell classes whose name rlld cannot hold.
        found_by: How its tags were found, as ``Priors`` has it.
    """

    name: str
    classes: tuple[str, ...]
    videos: Mapping[str, Video]
    events: tuple[SetEvent, ...] = ()
    modalities: Modalities = "separate"
    any_length: bool = False
    spelled: Mapping[str, str] = field(default_factory=dict)
    found_by: Literal["heard", "unknown"] = "unknown"

    def of(self, split: str) -> list[str]:
        """Returns the videos of a split."""
        return [video for video, known in self.videos.items() if known.split == split]

    def only(self, videos: Iterable[str]) -> PublishedSet:
        """Returns what is said of some videos, in the published order."""
        wanted = frozenset(videos)
        kept = {video: known for video, known in self.videos.items() if video in wanted}
        events = tuple(event for event in self.events if event.video in kept)
        return replace(self, videos=kept, events=events)

    def spelling(self, label: str) -> str:
        """Returns a class as the files spell it."""
        return self.spelled.get(label, label)


def require_joint(name: str, given: PublishedSet) -> None:
    """Refuses events that are not heard and seen at once, for files that hold only such.

    Raises:
        RlldError: If there are others.
    """
    if any(event.modality != "audio_visual" for event in given.events):
        raise RlldError(
            f"{given.name}: has events that are heard or seen alone, which the files of {name} "
            "cannot tell; write those of lfav"
        )


def spell(names: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns classes as rlld can hold them, and how the files spell those that differ.

    Annotation files join classes by commas, so that those of a name are left out.

    Raises:
        RlldError: If two classes become one.

    Examples:
        >>> spell(["Bark", "Violin, fiddle"])
        (('Bark', 'Violin fiddle'), {'Violin fiddle': 'Violin, fiddle'})
    """
    made = {name: " ".join(name.replace(",", " ").split()) for name in names}
    if len(set(made.values())) < len(made):
        raise RlldError("two classes differ in commas and spaces alone; rename one of them")
    return tuple(made.values()), {short: name for name, short in made.items() if short != name}


def class_at(label: str, known: Mapping[str, str] | tuple[str, ...], place: str, what: str) -> str:
    """Returns a class that a file names.

    Args:
        label: What stands there.
        known: The classes, or what each spelling means.
        place: File and line.
        what: The file as the data set calls it.

    Raises:
        RlldError: If it is none of the data set.
    """
    if label not in known:
        raise RlldError(
            f"{place}: unknown class {label!r}{nearest(label, known)}; give {what} as published, "
            "of the same version of the data set"
        )
    return known[label] if isinstance(known, Mapping) else label


def repaired(
    events: Iterable[SetEvent], lengths: Mapping[str, float]
) -> tuple[list[SetEvent], list[tuple[SetEvent, str]]]:
    """Returns events that make sense, and what was wrong with the others.

    An event that ends before it begins is turned round where it lies in its video then, one
    without length is dropped, one that reaches behind the end is cut there.

    Args:
        events: Events as published.
        lengths: Seconds of every video.

    Examples:
        >>> events = [SetEvent("v", "Dog", "audio", *times) for times in ((4, 2), (3, 3), (5, 99))]
        >>> for event, fault in repaired(events, {"v": 8.0})[1]:
        ...     print(fault)
        ends before it begins (4 to 2 s); taken as 2 to 4 s
        has no length (3 s); dropped
        ends behind its video (5 to 99 s of 8 s); cut there
    """
    kept, faults = [], []
    for event in events:
        end = lengths.get(event.video, math.inf)
        usable, fault = _repaired(event, end)
        if usable is not None:
            kept.append(usable)
        if fault:
            faults.append((event, fault))
    return kept, faults


def _repaired(event: SetEvent, end: float) -> tuple[SetEvent | None, str]:
    onset, offset = event.onset, event.offset
    times = f"{onset:g} to {offset:g} s"
    if onset == offset:
        return None, f"has no length ({onset:g} s); dropped"
    if offset < onset:
        if offset < 0 or onset > end:
            return None, f"ends before it begins ({times}), also turned round outside; dropped"
        turned = event._replace(onset=offset, offset=onset)
        return turned, f"ends before it begins ({times}); taken as {offset:g} to {onset:g} s"
    if onset >= end:
        return None, f"lies behind the end of its video ({times} of {end:g} s); dropped"
    if offset > end:
        return event._replace(
            offset=end
        ), f"ends behind its video ({times} of {end:g} s); cut there"
    return event, ""
