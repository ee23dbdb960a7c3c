from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.export import csv_events, format_names, json_events, load_format
from rlld.parsing.result import Event, Parse

CLASSES = ("Dog", "Frying_(food)", 'a "b" & <c>')
probability = st.floats(0, 1)
name = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip)


@st.composite
def parses(draw: st.DrawFn) -> Parse:
    row = st.tuples(*[probability] * len(CLASSES))
    pair = st.tuples(row, row)
    events = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.floats(0, 10_000, allow_subnormal=False))
        end = start + draw(st.floats(0.01, 100))
        modality = draw(st.sampled_from(["audio", "visual", "audio_visual"]))
        events.append(
            Event(draw(st.sampled_from(CLASSES)), modality, start, end, draw(probability))
        )
    return Parse(
        name=draw(name),
        duration=draw(st.floats(0.1, 20_000)),
        segment_seconds=1.0,
        classes=CLASSES,
        events=tuple(events),
        probabilities=tuple(draw(st.lists(pair, min_size=1, max_size=4))),
        gates=draw(pair),
        tags=draw(st.sampled_from([None, ("Dog",), ("Dog", CLASSES[2])])),
        notes=tuple(draw(st.lists(name, max_size=2))),
        model=draw(st.text(st.characters(exclude_categories=("Cs",)))),
    )


@given(parses())
def test_json_comes_back_whole(parse: Parse) -> None:
    assert json_events.loads(json_events.dumps(parse), "x.json") == parse


@given(parses())
def test_csv_brings_all_events_back(parse: Parse) -> None:
    expected = {parse.name: parse.events} if parse.events else {}
    assert csv_events.loads(csv_events.dumps(parse), "x.csv") == expected


def sample() -> Parse:
    events = (
        Event("Dog", "audio", 0.0, 2.5, 0.875),
        Event("Frying_(food)", "audio_visual", 3.0, 10.0, 0.5),
    )
    probabilities = (((0.875, 0.1, 0.0), (0.2, 0.5, 1.0)),)
    return Parse("a_0_10.mp4", 10.0, 1.0, CLASSES, events, probabilities, ((1.0,) * 3,) * 2)


def test_the_text_of_csv() -> None:
    assert csv_events.dumps(sample()) == (
        "filename\tonset\toffset\tevent_labels\tmodality\tconfidence\n"
        "a_0_10.mp4\t0\t2.5\tDog\taudio\t0.875\n"
        "a_0_10.mp4\t3\t10\tFrying_(food)\taudio_visual\t0.5\n"
    )


def test_the_fields_of_json() -> None:
    data = json.loads(json_events.dumps(sample()))
    assert data["format"] == "rlld.parse"
    assert data["version"] == 1
    assert data["events"][0] == {
        "label": "Dog",
        "modality": "audio",
        "start": 0.0,
        "end": 2.5,
        "confidence": 0.875,
    }


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(json_events.dumps(sample())), **changes})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "no parse of rlld"),
        (changed(format="else"), "no parse of rlld"),
        (changed(version=2), "version 2, this rlld reads up to 1; update"),
        (changed(evnts=[]), "unknown key 'evnts'; did you mean 'events'"),
        (changed(gates=[[1.0]]), "gates: expected 2 rows of 3 values"),
        (changed(probabilities=[[[0.5]]]), r"probabilities[0]: expected 2 rows of 3 values"),
        (
            changed(gates=[[1.0, 0.5, 1.1]] * 2),
            "gates: expected probabilities in [0, 1], found 1.1",
        ),
        (
            changed(probabilities=[[[0.5, 1e308, 0.5]] * 2]),
            "probabilities[0]: expected probabilities in [0, 1], found 1e+308",
        ),
        (changed(duration="long"), "duration: expected a number"),
        (
            changed(events=[{**json.loads(changed())["events"][0], "label": "Cat"}]),
            "events[0]: label 'Cat' is none of the classes",
        ),
        (
            changed(events=[{**json.loads(changed())["events"][0], "end": 0.0}]),
            "events[0]: expected 0 <= start < end, found 0.0, 0.0",
        ),
        (
            changed(events=[{**json.loads(changed())["events"][0], "confidence": -0.5}]),
            "events[0]: confidence: expected probabilities in [0, 1], found -0.5",
        ),
    ],
)
def test_bad_json_is_refused_by_file_and_field(text: str, words: str) -> None:
    with pytest.raises(RlldError) as caught:
        json_events.loads(text, "x.json")
    assert str(caught.value).startswith("x.json")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("filename", "file", "x.csv:1: expected the tab-separated header"),
        ("\tDog\t", "\t", "x.csv:2: expected 6 tab-separated fields, found 5"),
        ("audio_visual", "sound", "x.csv:3: unknown modality 'sound'"),
        ("2.5", "two", "x.csv:2: offset: expected a number, found 'two'"),
        ("\t0\t2.5", "\t3\t2.5", "x.csv:2: expected 0 <= onset < offset, found 3 and 2.5"),
        ("\t0\t2.5", "\tnan\t2.5", "x.csv:2: expected 0 <= onset < offset"),
        ("0.875", "1.2", "x.csv:2: expected a confidence in [0, 1]"),
    ],
)
def test_bad_csv_is_refused_by_line(old: str, new: str, words: str) -> None:
    with pytest.raises(RlldError) as caught:
        csv_events.loads(csv_events.dumps(sample()).replace(old, new), "x.csv")
    assert words in str(caught.value)


def test_an_event_that_a_person_added_to_a_csv_is_certain() -> None:
    text = csv_events.dumps(sample()).replace("0.875", "")
    (added,) = [
        event for event in csv_events.loads(text, "x.csv")["a_0_10.mp4"] if event.end == 2.5
    ]
    assert added.confidence == 1


def test_formats_are_found_by_name() -> None:
    assert {"csv", "json"} <= set(format_names())
    assert load_format("csv").dumps(sample()) == csv_events.dumps(sample())
    with pytest.raises(RlldError, match="unknown format 'jsn'; did you mean 'json'"):
        load_format("jsn")
