"""The table of clips: one row each, small enough for ten thousand in one answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rlld.studio.agreement import settled, votes_of
from rlld.studio.beliefs import Beliefs
from rlld.studio.clips import Catalogue, Video
from rlld.studio.store import Kept, Version
from rlld.types import MODALITIES

COLUMNS = (
    *("video", "split", "tags", "state", "suspicion", "seconds", "events"),
    *("audio", "visual", "disagreement"),
)
"""What stands in a row; ``audio`` and ``visual`` are the tags that are heard and seen."""
EVEN = 0.5

Said = dict[str, dict[tuple[str, str], bool]]
"""What is said of each video: by class and modality."""


def rows_of(
    catalogue: Catalogue,
    store: Kept,
    beliefs: Beliefs | None,
    person: str,
    disputed: Collection[str] = (),
) -> list[list[Any]]:
    """Returns a row of every clip.

    Args:
        catalogue: The data set.
        store: What people said.
        beliefs: What the run thinks; None without one.
        person: Whose answers make a clip an answered one; anybody's where it is empty. What they
            are unsure of counts for nothing here either.
        disputed: Clips whose events people marked differently.
    """
    answers, corrected = store.answers(), store.corrected()
    votes = votes_of(answers)
    apart = {item[0] for item, said in votes.items() if len(set(said.values())) > 1} | {*disputed}
    answered = {
        each.video for each in answers if not each.unsure and (not person or each.person == person)
    }
    said = _said(catalogue, settled(votes))
    keep = None if beliefs is None else beliefs.keep
    rows = []
    for video in catalogue.videos.values():
        version = corrected.get(video.id)
        state = "answered" if video.id in answered else "new"
        own = said.get(video.id, {})
        judged = None if keep is None else keep.get(video.id)
        tracks = _tracks(catalogue, video, version, own, judged)
        rows.append(
            [
                video.id,
                video.split,
                list(video.tags),
                "corrected" if version else state,
                None if beliefs is None else beliefs.suspicion(video),
                video.seconds,
                _count(catalogue, video, version),
                *tracks,
                video.id in apart,
            ]
        )
    return rows


def _said(catalogue: Catalogue, votes: Mapping[tuple[str, str, str], bool]) -> Said:
    found: Said = {}
    for answer in catalogue.answers:
        found.setdefault(answer.video, {})[answer.label, answer.modality] = answer.present
    for (video, label, modality), present in votes.items():
        found.setdefault(video, {})[label, modality] = present
    return found


def _tracks(
    catalogue: Catalogue,
    video: Video,
    version: Version | None,
    said: Mapping[tuple[str, str], bool],
    judged: Any,
) -> list[list[int]]:
    """Returns the classes that are heard, and those that are seen, as far as it is known."""
    classes, known = catalogue.spec.classes, catalogue.truth.get(video.id)
    tracks = []
    for m, modality in enumerate(MODALITIES):
        if version is not None:
            both = (modality, "audio_visual")
            names = {event["class"] for event in version.events if event["modality"] in both}
            tracks.append([c for c, name in enumerate(classes) if name in names])
            continue
        occurs = {event.label for event in known or () if event.modality == modality}
        found = []
        for c in video.tags:
            present = said.get((classes[c], modality))
            if present is None and known is not None:
                present = classes[c] in occurs
            if present is None and judged is not None:
                present = bool(judged[m][c] >= EVEN)
            if present:
                found.append(c)
        tracks.append(found)
    return tracks


def _count(catalogue: Catalogue, video: Video, version: Version | None) -> int | None:
    if version is not None:
        return len(version.events)
    return len(catalogue.truth[video.id]) if video.id in catalogue.truth else None
