"""Questions and answers, undone and kept over restarts; the table of clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from parse_kit import make_clip
from studio_page_kit import make_data
from tiny import CLASSES, COUNTS


def answer(page, question, person="Ada", audio=True, visual=False, **more):
    return page.post(
        "/api/answers",
        person=person,
        video=question["video"],
        **{"class": question["class"]},
        audio=audio,
        visual=visual,
        probability=question["probability"],
        **more,
    )


def test_the_state_tells_what_there_is(page):
    state = page.get("/api/state?person=Ada")
    assert state["data"]["name"] == "tiny"
    assert state["data"]["clips"] == sum(COUNTS.values())
    assert state["data"]["classes"] == list(CLASSES)
    assert state["data"]["splits"] == COUNTS
    assert state["data"]["dense"] == COUNTS["validation"] + COUNTS["test"]
    assert state["run"] is None
    assert state["answered"] == 0
    assert [name for name, about in state["formats"] if "ELAN" in about] == ["elan"]


def test_answers_are_counted_by_person_and_their_questions_not_asked_again(page):
    first, second, *_ = page.get("/api/questions?person=Ada&count=3")
    assert answer(page, first)["answered"] == 1
    assert answer(page, second, audio=None, visual=None, unsure=True)["answered"] == 1
    left = page.get("/api/questions?person=Ada&count=3")
    assert not {first["id"], second["id"]} & {each["id"] for each in left}
    state = page.get("/api/state?person=Ada")
    assert (state["answered"], state["by_person"]) == (1, {"Ada": 1})  # unsure counts for nothing
    assert (state["people"], state["counted"]) == (["Ada"], 1)
    answer(page, first, "Bo", audio=None, visual=None, unsure=True)
    state = page.get("/api/state")
    assert (state["people"], state["counted"]) == (["Ada", "Bo"], 1)  # Bo said nothing yet
    page.put(f"/api/clips/{first['video']}/events", person="Cy", base=0, events=[])
    assert page.get("/api/state")["counted"] == 2
    back = page.post("/api/answers/undo", person="Ada")
    assert back["question"]["id"] == second["id"]
    assert page.get("/api/state")["answered"] == 1


def test_undo_takes_back_the_answer_that_a_page_means(page: object):
    given = []
    for question in page.get("/api/questions?person=Ada&count=3"):
        about = {"video": question["video"], "class": question["class"]}
        sent = page.post("/api/answers", person="Ada", **about, audio=True, visual=True)
        given.append((sent["id"], about))
    (first, about), (second, _), (third, last) = given
    for _ in range(2):  # its reply may be lost, and it is asked again
        back = page.post("/api/answers/undo", person="Ada", answer=first)
        assert back["undone"] == about
    assert page.get("/api/state")["answered"] == 2
    assert page.post("/api/answers/undo", person="Bo", answer=second)["undone"] is None
    assert page.post("/api/answers/undo", person="Ada", answer=third)["undone"] == last
    assert page.get("/api/state")["answered"] == 1


def test_undo_goes_back_one_by_one_over_a_restart(data: Path, opened: Callable[..., object]):
    studio, page = opened(data)
    first, second = page.get("/api/questions?person=Ada&count=2")
    answer(page, first)
    answer(page, second)
    studio.close()
    _, page = opened(data)
    back = page.post("/api/answers/undo", person="Ada")
    assert back["undone"] == {"video": second["video"], "class": second["class"]}
    assert back["question"]["id"] == second["id"]
    assert page.post("/api/answers/undo", person="Bo")["undone"] is None
    assert page.post("/api/answers/undo", person="Ada")["undone"]["video"] == first["video"]
    assert page.post("/api/answers/undo", person="Ada") == {"undone": None, "question": None}
    assert page.get("/api/state")["answered"] == 0


def test_an_answer_on_one_track_leaves_the_other(studio, page):
    question = page.get("/api/questions?person=Ada&count=1")[0]
    answer(page, question, audio=True, visual=False)
    answer(page, question, audio=None, visual=True)
    (kept,) = studio.store.answers()
    assert (kept.audio, kept.visual) == (True, True)
    answer(page, question, audio=None, visual=None, unsure=True)
    (kept,) = studio.store.answers()
    assert (kept.audio, kept.visual) == (None, None)


def test_what_is_no_answer_is_refused(page):
    question = page.get("/api/questions?person=Ada&count=1")[0]
    body = {"person": "Ada", "video": question["video"], "class": question["class"]}
    tags = page.get(f"/api/clips/{question['video']}")["tags"]
    other = next(name for c, name in enumerate(CLASSES) if c not in tags)
    cases = [
        ({**body, "audio": None}, 400, "says nothing"),
        ({**body, "audio": 1}, 400, "audio: expected true or false"),
        ({**body, "class": other, "audio": True}, 400, "not tagged"),
        ({**body, "class": "Cat", "audio": True}, 400, "Cat"),
        ({**body, "video": "nobody", "audio": True}, 404, "no such video"),
        ({**body, "person": " ", "audio": True}, 400, "person"),
        ({**body, "person": "x" * 61, "audio": True}, 400, "person"),
        ({**body, "audio": True, "probability": 0}, 400, "probability"),
        ({**body, "audio": True, "probability": 1.5}, 400, "probability"),
        ([1], 400, "mapping"),
    ]
    for sent, status, words in cases:
        assert words in page.refused(status, "POST", "/api/answers", sent)["error"]
    assert page.get("/api/state")["answered"] == 0


def test_the_table_of_clips_tells_states_and_tracks(page):
    table = page.get("/api/clips?person=Ada")
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert len(rows) == sum(COUNTS.values())
    assert {row["state"] for row in rows.values()} == {"new"}
    question = page.get("/api/questions?person=Ada&count=1")[0]
    answer(page, question, audio=None, visual=None, unsure=True)
    unsure = page.get("/api/clips?person=Ada")["rows"]
    assert {row[3] for row in unsure} == {"new"}
    answer(page, question, audio=True, visual=False)
    answer(page, question, "Bo", audio=False, visual=False)
    table = page.get("/api/clips?person=Ada")
    row = next(
        dict(zip(table["columns"], row, strict=True))
        for row in table["rows"]
        if row[0] == question["video"]
    )
    assert row["state"] == "answered"
    assert row["disagreement"]
    assert row["audio"] == []  # one yes, one no
    assert row["visual"] == []
    other = page.get("/api/clips?person=Cy")["rows"]
    assert {row[3] for row in other} == {"new"}
    validation = rows["validation_000"]
    heard = {
        event["c"]
        for event in page.get("/api/clips/validation_000")["truth"]
        if event["m"] == "audio"
    }
    assert validation["audio"] == sorted(heard & set(validation["tags"]))
    assert validation["events"] == len(page.get("/api/clips/validation_000")["truth"])


def test_one_in_five_is_asked_of_several_people(page):
    for question in page.get("/api/questions?person=Ada&count=6"):
        answer(page, question)
    mine = page.get("/api/questions?person=Bo&count=10")
    assert len({each["id"] for each in mine}) == 10
    again = [each for each in mine if each["why"] == "asked of Ada too"]
    assert [mine.index(each) for each in again] == [4, 9]
    assert again[0]["probability"] > 0
    for question in again:
        answer(page, question, "Bo", audio=True, visual=True)
    found = page.get("/api/agreement")
    assert found["pairs"] == [{"a": "Ada", "b": "Bo", "common": 4, "kappa": 0.0}]
    assert found["items"] == 4
    apart = page.get("/api/disagreements")
    assert {(each["video"], each["modality"]) for each in apart} == {
        (each["video"], "visual") for each in again
    }
    assert apart[0]["answers"] == {"Ada": False, "Bo": True}
    assert (apart[0]["at"], apart[0]["end"]) == (0, 3)
    clip = page.get(f"/api/clips/{apart[0]['video']}?person=Bo")  # who looks closer sees both
    row = {"class": apart[0]["class"], "audio": True}
    assert {**row, "visual": False, "person": "Ada"} in clip["answers"]
    assert {**row, "visual": True, "person": "Bo"} in clip["answers"]
    rows = page.get("/api/clips")["rows"]
    alone = next(row[0] for row in rows if row[3] == "answered" and not row[-1])
    assert page.get(f"/api/clips/{alone}?person=Bo")["answers"] == []


def test_every_tag_is_asked_once_and_then_none(page):
    asked = set()
    while batch := page.get("/api/questions?person=Ada&count=40"):
        for question in batch:
            assert question["id"] not in asked
            asked.add(question["id"])
            answer(page, question)
    rows = page.get("/api/clips")["rows"]
    assert len(asked) == sum(len(row[2]) for row in rows if row[1] == "train")
    state = page.get("/api/state")
    assert state["answered"] == len(asked)
    assert state["gain"] == 0
    assert "Stop" in state["stop"]


def test_a_moment_ends_where_its_clip_does(tmp_path: Path, opened: Callable[..., object]):
    clip = make_clip(tmp_path / "clip.mp4", seconds=2.4)
    studio, page = opened(make_data(tmp_path / "data", clips=3, clip=clip))  # of 10 s at most
    moments = studio.queue.pool().moments

    def shown() -> set[tuple[float, float | None]]:
        rows = page.get("/api/questions?person=Ada&count=9")
        return {(row["at"], row["end"] and round(row["end"], 1)) for row in rows}

    assert shown() == {(0, None)}
    for moment, end in (((0, 3), None), ((0, 1), 1), ((1, 2), 2), ((1, 4), 2.4)):
        moments[:] = moment
        assert shown() == {(moment[0], end)}
    question = page.get("/api/questions?person=Ada&count=1")[0]
    answer(page, question)
    back = page.post("/api/answers/undo", person="Ada")["question"]
    assert back["end"] == pytest.approx(2.4, abs=0.05)
