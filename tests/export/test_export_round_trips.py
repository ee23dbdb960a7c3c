"""What every format owes: the events come back, to its resolution, from files that people edit."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rlld.data.imported import BLUNT
from rlld.errors import RlldError, visible
from rlld.export import event_formats, load_format
from rlld.export.lanes import lane_name, lane_of, lanes, modality_of, number
from rlld.parsing.result import Event, Parse


@dataclass(frozen=True)
class Owed:
    """What a format keeps.

    Attributes:
        tick: Its resolution in seconds, 0 where times are exact.
        confidence: Largest difference of a confidence, None where it is lost.
        named: Whether a file says whose events it holds.
        blanks: Whether the name of a clip comes back with its blanks.
        signs: Whether that of a class comes back with all of its signs.
    """

    tick: float
    confidence: float | None = None
    named: bool = True
    blanks: bool = True
    signs: bool = True


OWED = {
    "audacity": Owed(1e-6, named=False),
    "activitynet": Owed(0, 0),
    "csv": Owed(0, 0),
    "edl": Owed(1 / 25, signs=False),
    "labelstudio": Owed(1 / 25, 0),
    "otio": Owed(1 / 25, 1e-15),  # its library reads the last digit of a number otherwise
    "premiere": Owed(1 / 25),
    "fcpxml": Owed(1 / 25),
    "via": Owed(0),
    "dcase": Owed(0),
    "jams": Owed(1e-9, 0),  # a start and a length; floats differ in the last digit
    "rttm": Owed(1e-3, 5e-4, blanks=False, signs=False),
    "elan": Owed(1e-3),
    "srt": Owed(1e-3, named=False),
    "textgrid": Owed(0, named=False),
    "webvtt": Owed(1e-3, named=False),
    "json": Owed(0, 0),
}
each_format = pytest.mark.parametrize("name", sorted(OWED))

SIGNS = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp"))


def fit(text: str) -> bool:
    return text == text.strip() and visible(text) == text and "," not in text


TEXTS = st.text(SIGNS, min_size=1, max_size=12).filter(fit)
LABELS = st.one_of(
    TEXTS,
    st.sampled_from(
        ['a "b" & <c>', "7 |M:x |D:1", "audio: Dog", "Frying_(food)", "Säge", "x --> y", "[a] 'b'"]
    ),
)
NAMES = st.one_of(
    TEXTS.map(lambda text: re.sub(r"[/\\]", "-", text)),
    st.sampled_from(["-x.mp4", "a b.mp4", "ä&é.mov", 'q"q.mp4', "x%20y.mp4"]),
)


@st.composite
def parses(draw: st.DrawFn, least: float = 0.1) -> Parse:
    """Parses of up to ten hours, whose lanes do not overlap; an event lasts ``least`` or more."""
    classes = tuple(draw(st.lists(LABELS, min_size=1, max_size=3, unique=True)))
    assume(len({BLUNT.sub(" ", label).strip() for label in classes} - {""}) == len(classes))
    events = []
    for label in classes:
        for modality in ("audio", "visual"):
            end = 0.0
            for _ in range(draw(st.integers(0, 3))):
                start = end + draw(st.floats(0, 3000, allow_subnormal=False))
                end = start + draw(st.floats(least, 3000))
                events.append(Event(label, modality, start, end, draw(st.floats(0, 1))))
    longest = max((event.end for event in events), default=1.0)
    duration = longest + draw(st.sampled_from([0.0, 0.04, 12.3456789]))
    zeros = ((0.0,) * len(classes),) * 2
    tags = draw(st.sampled_from([None, classes, classes[:1]]))
    return Parse(draw(NAMES), duration, 1.0, classes, tuple(events), (), zeros, tags)


def read(name: str, text: str, parse: Parse) -> list[Event]:
    """Returns the audible and visible events of a text, as the import takes them."""
    found = load_format(name).loads(text, "clip")
    if isinstance(found, Parse):
        found = {found.name: found.events}
    if not found:  # then the file's own name stands for the clip
        return []
    ((clip, events),) = found.items()
    assert clip == (expected_name(name, parse) if OWED[name].named else "")
    return lanes(replace(parse, events=events))


def expected_name(name: str, parse: Parse) -> str:
    return parse.name if OWED[name].blanks else re.sub(r"\s", "_", parse.name)


def plain(name: str, label: str) -> str:
    return label if OWED[name].signs else BLUNT.sub(" ", label).strip()


def assert_same(name: str, found: list[Event], parse: Parse) -> None:
    owed, expected = OWED[name], lanes(parse)

    def order(event: Event) -> tuple[str, str, float]:
        return plain(name, event.label), event.modality, event.start

    pairs = list(zip(sorted(found, key=order), sorted(expected, key=order), strict=True))
    for event, wanted in pairs:
        assert order(event)[:2] == order(wanted)[:2]
        # Half a tick, and what a float of ten hours cannot tell apart.
        slack = owed.tick / 2 + (1e-9 if owed.tick else 0)
        assert abs(event.start - wanted.start) <= slack
        assert abs(event.end - wanted.end) <= slack
        if owed.confidence is None:
            assert event.confidence == 1
        else:
            assert abs(event.confidence - wanted.confidence) <= owed.confidence


def test_every_format_owes_something():
    assert set(OWED) == set(event_formats())


@each_format
@given(data=st.data())
def test_events_come_back(name: str, data: st.DataObject) -> None:
    parse = data.draw(parses())
    text = load_format(name).dumps(parse)
    assert_same(name, read(name, text, parse), parse)
    of_windows = text.replace("\n", "\r\n")
    assert_same(name, read(name, of_windows, parse), parse)


@pytest.mark.parametrize("name", [name for name in sorted(OWED) if load_format(name).MANY])
@given(data=st.data())
def test_many_clips_of_a_file_come_back(name: str, data: st.DataObject) -> None:
    made = data.draw(st.lists(parses(), min_size=2, max_size=3, unique_by=lambda each: each.name))
    names = [expected_name(name, parse) for parse in made]
    assume(len(set(names)) == len(made))
    found = load_format(name).loads(load_format(name).dumps(*made), "all")
    assert isinstance(found, dict)
    silent = {called for called, parse in zip(names, made, strict=True) if not parse.events}
    assert set(found) | silent == set(names)
    for called, parse in zip(names, made, strict=True):
        assert_same(name, lanes(replace(parse, events=found.get(called, ()))), parse)


@each_format
def test_the_shortest_event_lasts_a_tick(name: str) -> None:
    event = Event("Dog", "audio", 1.0, 1.0 + 1e-12, 0.5)
    parse = Parse("clip.mp4", 2.0, 1.0, ("Dog",), (event,), (), ((0.0,), (0.0,)))
    (found,) = read(name, load_format(name).dumps(parse), parse)
    assert found.start == 1.0 and found.end > 1.0


@pytest.mark.parametrize(
    ("text", "lane"),
    [
        ("audio: Dog", ("audio", "Dog")),
        ("audio:Dog", ("audio", "Dog")),
        ("Heard: a: b", ("audio", "a: b")),
        ("[visible] Dog", ("visual", "Dog")),
        ("both: Dog", ("audio_visual", "Dog")),
        ("visual: audio: Dog", ("visual", "audio: Dog")),
    ],
)
def test_lanes_as_people_write_them(text, lane):
    assert lane_of(text, "x.txt", "x.txt:1") == lane


def test_the_name_of_a_file_may_say_the_modality():
    assert lane_of("Dog: barking", "dogs_visual.txt", "x") == ("visual", "Dog: barking")
    assert lane_of("audio: Dog", "visual.txt", "x") == ("audio", "Dog")
    with pytest.raises(RlldError, match="x:1: 'Dog' says neither audio nor visual"):
        lane_of("Dog", "x.txt", "x:1")
    with pytest.raises(RlldError, match="'audio: ' names no class"):
        lane_of("audio: ", "x.txt", "x:1")


def test_what_is_no_number_is_refused():
    assert number(" 2.5 ", "x") == 2.5
    for text, words in (("1,5", "write a point for the comma"), ("nan", "no number; correct")):
        with pytest.raises(RlldError, match=words):
            number(text, "x:1")


def test_modalities_have_many_names():
    assert modality_of(" Audible ") == "audio" and modality_of("Seen") == "visual"
    assert modality_of("dog") is None
    assert lane_name(Event("Dog", "visual", 0, 1, 1)) == "visual: Dog"
