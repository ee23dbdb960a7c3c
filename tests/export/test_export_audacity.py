"""Audacity's label track, by the lines that Audacity writes."""

from __future__ import annotations

import pytest

from rlld.errors import RlldError
from rlld.export import audacity_events
from rlld.parsing.result import Event, Parse

EVENTS = (
    Event("Dog", "visual", 2.5, 36_000.0, 0.5),
    Event("Dog", "audio", 0.0, 1 / 3, 0.875),
    Event("Dog", "audio_visual", 0.0, 1.0, 0.5),
)


def test_its_text():
    parse = Parse("a.mp4", 36_000.0, 1.0, ("Dog",), EVENTS, (), ((0.0,), (0.0,)))
    assert audacity_events.dumps(parse) == (
        "0.000000\t0.333333\taudio: Dog\n2.500000\t36000.000000\tvisual: Dog\n"
    )


def test_ranges_of_frequency_are_passed_over():
    text = "0.5\t1.5\taudio: Dog\n\\\t200.0\t-1.000000\n\n"
    assert audacity_events.loads(text, "x.txt") == {"": (Event("Dog", "audio", 0.5, 1.5, 1.0),)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 1 audio: Dog\n", "x.txt:1: found '0 1 audio: Dog', expected start, end and text"),
        ("\n0,5\t1\taudio: Dog\n", "x.txt:2: '0,5' is no number; write a point for the comma"),
        ("-1\t1\taudio: Dog\n", "x.txt:1: 'Dog' lasts from -1 to 1 s"),
        ("0\t1\taudio:\n", "x.txt:1: 'audio:' names no class"),
    ],
)
def test_bad_labels_are_refused_by_line(text, words):
    with pytest.raises(RlldError) as caught:
        audacity_events.loads(text, "x.txt")
    assert words in str(caught.value)
