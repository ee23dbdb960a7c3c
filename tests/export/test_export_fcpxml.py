"""Final Cut's XML: against its grammar, and exact to the rational second."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parse_kit import make_parse
from rlld.errors import RlldError
from rlld.export import fcpxml_events
from rlld.export.frames import frame_of
from rlld.parsing.result import Event, Parse

GRAMMAR = {
    "fcpxml": (("resources", "library"), {"version"}, set()),
    "resources": (("format", "asset"), set(), set()),
    "format": ((), {"id"}, {"frameDuration"}),
    "asset": (
        ("media-rep",),
        {"id"},
        {"name", "start", "duration", "hasVideo", "hasAudio", "format"},
    ),
    "media-rep": ((), {"src"}, set()),
    "library": (("event",), set(), set()),
    "event": (("asset-clip",), set(), {"name"}),
    "asset-clip": (("keyword",), {"ref"}, {"name", "start", "duration"}),
    "keyword": ((), {"value"}, {"start", "duration", "note"}),
}
"""What Apple's grammar of 1.9 allows here: children, attributes needed and allowed."""

FRAMES = {24: (1, 24), 25: (1, 25), 29.97: (1001, 30000), 59.94: (1001, 60000), 60: (1, 60)}


def seconds(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


@pytest.mark.parametrize("fps", FRAMES)
def test_it_follows_the_grammar(fps: float) -> None:
    text = fcpxml_events.dumps(make_parse("a b.mp4"), make_parse("c.mp4"), fps=fps)
    root = ElementTree.fromstring(text)  # noqa: S314  (ours)
    assert text.split("\n")[1] == "<!DOCTYPE fcpxml>"
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(set(ids)) == len(ids) == 3
    frame = Fraction(*FRAMES[fps])
    for node in root.iter():
        children, needed, allowed = GRAMMAR[node.tag]
        assert {child.tag for child in node} <= set(children)
        assert needed <= set(node.attrib) <= needed | allowed
        for name in ("start", "duration", "frameDuration"):
            if name in node.attrib:  # a whole number of frames
                assert (seconds(node.attrib[name]) / frame).denominator == 1
        for reference in filter(None, (node.get("ref"), node.get("format"))):
            assert reference in ids
    assert [rep.get("src") for rep in root.iter("media-rep")] == ["./a%20b.mp4", "./c.mp4"]


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(FRAMES)),
    st.lists(st.integers(1, 2_000_000), min_size=2, max_size=8, unique=True).map(sorted),
)
def test_whole_frames_come_back_exactly(fps: float, ticks: list[int]) -> None:
    frame = Fraction(*FRAMES[fps])
    events = tuple(
        Event("Dog", "audio", float(first * frame), float(stop * frame), 1.0)
        for first, stop in zip(ticks[::2], ticks[1::2], strict=False)
    )
    parse = Parse("x.mp4", events[-1].end, 1.0, ("Dog",), events, (), ((0.0,), (0.0,)))
    text = fcpxml_events.dumps(parse, fps=fps)
    assert fcpxml_events.loads(text, "x") == {"x.mp4": events}


def test_what_final_cut_gives_back() -> None:
    # A camera whose clock begins at an hour, a part of it used twice, keywords of a whole clip.
    text = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE fcpxml>
<fcpxml version="1.13"><resources>
  <format id="r1" frameDuration="1001/30000s"/>
  <asset id="r2" name="IMG_1" start="108108000/30000s" duration="300300/30000s" format="r1">
    <media-rep kind="original-media" src="file:///a/IMG_1.mov"/></asset>
</resources><library><event name="x">
  <asset-clip ref="r2" name="IMG_1" start="108108000/30000s" duration="300300/30000s">
    <keyword start="108138030/30000s" duration="60060/30000s" value="heard: Dog,visual: Rain"/>
    <marker start="108138030/30000s" duration="1001/30000s" value="call Ada"/>
  </asset-clip>
  <project name="cut"><sequence format="r1"><spine>
    <asset-clip ref="r2" name="IMG_1" offset="0s" start="108138030/30000s" duration="30030/30000s">
      <keyword value="visible: Rain"/>
      <keyword start="108138030/30000s" duration="60060/30000s" value="heard: Dog"/>
    </asset-clip>
  </spine></sequence></project>
</event></library></fcpxml>"""
    second = 1.001
    dog = Event("Dog", "audio", second, pytest.approx(3 * second), 1.0)
    rain = [Event("Rain", "visual", second, pytest.approx(n * second), 1.0) for n in (3, 2)]
    assert fcpxml_events.loads(text, "x") == {"IMG_1": (dog, *rain)}


def test_rates_are_whole_or_of_ntsc() -> None:
    assert frame_of(23.976) == frame_of(23.98) == Fraction(1001, 24000)
    for fps in (12.5, 29.9):
        with pytest.raises(RlldError, match="is no rate of a sequence"):
            frame_of(fps)
