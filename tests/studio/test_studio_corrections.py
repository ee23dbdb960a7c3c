"""Events of a clip: saved by version, never over somebody else's, and back to any of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tiny import CLASSES

PATH = "/api/clips/train_000"
DOG = {"c": 0, "m": "audio", "s": 0.5, "e": 1.5, "p": None}
CAT = {"c": 1, "m": "visual", "s": 0.0, "e": 3.0, "p": 0.75}


def test_a_clip_shows_what_the_data_set_knows(page):
    clip = page.get("/api/clips/validation_003?person=Ada")
    assert clip["duration"] == 3.0
    assert clip["step"] == 0.5
    assert clip["any_video"]
    assert clip["events"] == clip["truth"]
    assert clip["previous"] == "validation_002"
    assert clip["next"] == "validation_004"
    assert clip["probabilities"] is None
    assert page.get(PATH)["truth"] is None  # simulated, for measuring alone
    assert page.get(PATH)["previous"] is None
    assert "no such video" in page.refused(404, "GET", "/api/clips/other")["error"]


def test_versions_follow_each_other_and_come_back(data: Path, opened: Callable[..., object]):
    studio, page = opened(data)
    assert page.put(f"{PATH}/events", person="Ada", base=0, events=[CAT, DOG]) == {"revision": 1}
    assert page.put(f"{PATH}/events", person="Bo", base=1, events=[DOG]) == {"revision": 2}
    studio.close()
    _, page = opened(data)
    assert page.get(PATH)["revision"] == 2
    assert page.get(PATH)["events"] == [DOG]
    found = [
        (each["revision"], each["person"], each["events"]) for each in page.get(f"{PATH}/history")
    ]
    assert found == [(1, "Ada", 2), (2, "Bo", 1)]
    back = page.post(f"{PATH}/revert", person="Ada", base=2, classes=CLASSES, to=1)
    assert (back["revision"], back["events"]) == (3, [CAT, DOG])
    first = page.post(f"{PATH}/revert", person="Ada", base=3, classes=CLASSES, to=0)
    assert (first["revision"], first["events"]) == (4, [])
    body = {"person": "Ada", "base": 4, "classes": CLASSES, "to": 9}
    page.refused(404, "POST", f"{PATH}/revert", body)
    rows = {row[0]: row for row in page.get("/api/clips")["rows"]}
    assert rows["train_000"][3] == "corrected"


def test_two_tabs_never_overwrite_each_other(page):
    page.put(f"{PATH}/events", person="Ada", base=0, events=[DOG])
    body = {"person": "Bo", "base": 0, "classes": CLASSES, "events": [CAT]}
    told = page.refused(409, "PUT", f"{PATH}/events", body)
    assert (told["revision"], told["person"], told["events"]) == (1, "Ada", [DOG])
    assert "Ada saved this clip" in told["error"]
    page.refused(409, "POST", f"{PATH}/revert", {**body, "to": 0})
    assert page.get(PATH)["events"] == [DOG]
    assert page.put(f"{PATH}/events", person="Bo", base=1, events=[CAT]) == {"revision": 2}


def test_events_that_are_none_are_refused(page):
    cases = [
        (None, "list"),
        ([7], "mapping"),
        ([{**DOG, "c": 4}], "events[0].c"),
        ([{**DOG, "c": True}], "events[0].c"),
        ([{**DOG, "m": "smell"}], "events[0].m"),
        ([DOG, {**DOG, "s": 2.0}], "events[1]: found 2 to 1.5 s"),
        ([{**DOG, "e": 3.6}], "lasts 3 s"),
        ([{**DOG, "s": -1}], "inside of the clip"),
        ([{**DOG, "s": "0"}], "events[0].s"),
        ([{**DOG, "p": 2}], "events[0].p"),
    ]
    for events, words in cases:
        body = {"person": "Ada", "base": 0, "classes": CLASSES, "events": events}
        assert words in page.refused(400, "PUT", f"{PATH}/events", body)["error"]
    body = {"person": "Ada", "base": 3, "classes": CLASSES, "events": []}
    assert "no version 3" in page.refused(400, "PUT", f"{PATH}/events", body)["error"]
    assert page.get(PATH)["revision"] == 0


def test_gates_are_told_as_a_parse_holds_them(data: Path, trained: Path, opened):
    """Segments come in thousandths; the page prints gates as they come."""
    studio, page = opened(data, str(trained))
    gates = page.get(PATH)["gates"]
    assert studio.beliefs is not None
    parsed = studio.beliefs.parse("train_000").gates
    assert gates == [[round(value, 3) for value in row] for row in parsed]
    assert 0 < max(map(max, gates)) <= 1
