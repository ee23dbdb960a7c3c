"""A clip on the timeline: what was parsed, what is known, what people made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlld.errors import RlldError
from rlld.parsing.result import Parse
from rlld.studio import events as form
from rlld.studio.agreement import disagreements, votes_of
from rlld.studio.beliefs import doubts
from rlld.studio.clips import NotFoundError
from rlld.studio.session import Studio
from rlld.studio.store import Version
from rlld.types import MODALITIES

FINE = 1000
"""Probabilities of segments go to the page in thousandths."""


def shown(studio: Studio, video: str, person: str) -> dict[str, Any]:
    """Returns everything that the timeline of a clip shows.

    ``events`` are those of the last version that anybody saved; where nobody did, those that the
    data set knows already, else those that the run found, else none. They are audible and visible
    ones; a page may send audio-visual ones too, which count as both.

    Args:
        studio: The studio.
        video: Video id.
        person: Whose answers are shown; everybody's where it is empty, or where people differ
            about the clip, in answers or in events: who looks closer wants to know who said what.
    """
    known, spec = studio.catalogue[video], studio.catalogue.spec
    parse = studio.beliefs.parse(video) if studio.beliefs is not None else None
    version, before = studio.store.latest(video), studio.catalogue.beside(video)
    (sound, pictures), notes = _look(studio, video)
    said = [each for each in studio.store.answers() if each.video == video]
    everybody = not person or disagreements(votes_of(said)) or studio.events_apart(video)
    return {
        "id": video,
        "split": known.split,
        "duration": studio.seconds(video),
        "step": spec.segment_seconds,
        "any_audio": sound,
        "any_video": pictures,
        "tags": list(known.tags),
        "classes": list(spec.classes),
        **_probabilities(parse),
        "parsed": form.to_page(form.stored(parse.events) if parse else (), spec.classes),
        "truth": _truth(studio, video),
        "events": form.to_page(_events(studio, video, version), spec.classes),
        "revision": version.revision if version else 0,
        "answers": [
            {
                "class": each.label,
                "audio": each.audio,
                "visual": each.visual,
                "person": each.person,
            }
            for each in said
            if everybody or each.person == person
        ],
        "doubts": doubts(parse, known.tags) if parse else [],
        "previous": before[0],
        "next": before[1],
        "notes": list(dict.fromkeys((*known.notes(), *notes))),
    }


def save(studio: Studio, video: str, person: str, base: int, counted: Any, events: Any) -> Version:
    """Keeps the events of a clip as a page sends them, which counts classes in ``counted``.

    Raises:
        OtherClassesError: If the data set has other classes by now.
        SavedMeanwhileError: If somebody saved a newer version than ``base``.
        RlldError: If they are wrong.
    """
    classes = studio.catalogue.spec.classes
    form.require_classes(counted, classes)
    rows = form.from_page(events, classes, studio.seconds(video))
    return studio.store.save(video, person, base, rows)


def revert(studio: Studio, video: str, person: str, base: int, counted: Any, to: int) -> Version:
    """Makes an earlier version of a clip its newest one; 0 is what there was before any.

    Raises:
        OtherClassesError: If a page that counts classes in ``counted`` would show others.
        SavedMeanwhileError: If somebody saved a newer version than ``base``.
        NotFoundError: If there is no such version.
    """
    known = studio.catalogue[video]
    form.require_classes(counted, studio.catalogue.spec.classes)
    versions = {version.revision: version for version in studio.store.history(known.id)}
    if to and to not in versions:
        raise NotFoundError(f"{video}: has no version {to}; it has 1 to {len(versions)}")
    events = versions[to].events if to else _events(studio, video, None)
    return studio.store.save(video, person, base, events)


def history(studio: Studio, video: str) -> list[dict[str, Any]]:
    """Returns who saved a clip, and when."""
    return [
        {
            "revision": version.revision,
            "person": version.person,
            "time": version.time,
            "events": sum(event["modality"] in MODALITIES for event in version.events),
        }
        for version in studio.store.history(studio.catalogue[video].id)
    ]


def told(studio: Studio, version: Version) -> dict[str, Any]:
    """Returns a version as the page has it."""
    return {
        "revision": version.revision,
        "person": version.person,
        "time": version.time,
        "events": form.to_page(version.events, studio.catalogue.spec.classes),
    }


def _events(studio: Studio, video: str, version: Version | None) -> Sequence[Any]:
    if version is not None:
        return version.events
    if video in studio.catalogue.truth:
        return form.stored(studio.catalogue.truth[video], certain=True)
    if studio.beliefs is not None:
        return form.stored(studio.beliefs.parse(video).events)
    return ()


def _truth(studio: Studio, video: str) -> list[dict[str, Any]] | None:
    known = studio.catalogue.truth.get(video)
    if known is None:
        return None
    return form.to_page(form.stored(known, certain=True), studio.catalogue.spec.classes)


def _look(studio: Studio, video: str) -> tuple[tuple[bool, bool], tuple[str, ...]]:
    """Returns whether a clip has sound and pictures, and what is wrong with it."""
    try:
        return studio.media.tracks(studio.catalogue[video]), ()
    except RlldError as error:
        return (False, False), (str(error),)


def _probabilities(parse: Parse | None) -> dict[str, Any]:
    """Returns the probabilities (2, C, T) in thousandths and the gates (2, C), 0 to 1."""
    if parse is None:
        return {"probabilities": None, "gates": None}
    values = [
        [
            [round(FINE * segment[m][c]) for segment in parse.probabilities]
            for c in range(len(parse.classes))
        ]
        for m in range(len(MODALITIES))
    ]
    gates = [[round(value, 3) for value in row] for row in parse.gates]
    return {"probabilities": values, "gates": gates}
