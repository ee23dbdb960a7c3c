from __future__ import annotations

import json
import platform
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from parse_kit import CLASSES, make_clip, make_parse
from rlld.data.annotations import union
from rlld.data.spec import AnnotationFiles
from rlld.errors import RlldError
from rlld.media.playable import PageClip, inspect, page_clip
from rlld.parsing.result import Event, notebook_html
from rlld.parsing.text import dumps
from rlld.parsing.words import clock, length_text, seconds
from rlld.report.page import page_data, render_page, write_page
from rlld.report.truth import known_events, overlap


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text of the data script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag == "script" and dict(attrs).get("id") == "data"

    def handle_data(self, data):
        if self._inside:
            self.data += data
            self._inside = False


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = render_page(make_parse(), PageClip("data:video/mp4;base64,AAAA", "video/mp4", True))
    for tag, attributes in Reader(page).tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert "@import" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_the_data_of_the_page_are_those_of_the_parse() -> None:
    parse = make_parse()
    truth = (Event("Rain", "visual", 1.0, 2.0, 1.0),)
    data = json.loads(Reader(render_page(parse, None, truth)).data)
    assert data["classes"] == ["Bell", "Dog bark", "Rain", "Silence"]
    assert data["probabilities"][0][1][:6] == [62, 62, 875, 750, 625, 62]
    assert data["probabilities"][1][1][3] == 938
    assert [(e["c"], e["m"], e["s"], e["e"], e["p"]) for e in data["events"]] == [
        (CLASSES.index(e.label), e.modality, e.start, e.end, e.confidence) for e in parse.events
    ]
    assert data["truth"] == [{"c": 2, "m": "visual", "s": 1.0, "e": 2.0, "p": 1.0}]


def test_data_cannot_end_their_script() -> None:
    classes = ("</script><script>x", "<!--", "&amp;", "\u2028")
    parse = replace(make_parse(), classes=classes, events=())
    text = page_data(parse, None)
    assert not set("<>&") & set(text)
    assert json.loads(text)["classes"] == list(classes)


def test_the_table_holds_every_event_without_javascript() -> None:
    page = render_page(make_parse())
    assert page.count("<tr data-start=") == len(make_parse().events) == 4
    assert "<title>clip.mp4 - audible and visible events</title>" in page
    assert "Parsed by run-7: han trained by recipe rlld" in page


def test_a_parse_without_events_says_so() -> None:
    empty = replace(make_parse(), events=(), tags=("Rain",), notes=("no audio track",))
    page = render_page(empty)
    assert "No event was found." in page
    assert "no audio track" in page
    assert '<span class="tag">Rain</span>' in page
    assert "no events found" in dumps(empty)
    assert "no events found" in notebook_html(empty)


def test_the_text_of_a_parse() -> None:
    lines = dumps(replace(make_parse(), notes=("x [y]",))).splitlines()
    assert lines[0] == "clip.mp4  10 s"
    assert lines[1] == "note: x [y]"
    assert lines[3].split() == ["Bell", "audible", "·" * 12 + "█" * 8, "6-10", "(0.75)"]
    assert lines[4].split() == ["Dog_bark", "audible", "····██████··········", "2-5", "(0.75)"]
    assert lines[6].split()[:2] == ["audio-visual", "······████··········"]


def test_the_notebook_draws_events_to_scale() -> None:
    html = notebook_html(make_parse())
    rects = [a for tag, a in Reader(html).tags if tag == "rect"]
    assert len(rects) == 4
    bell = rects[0]
    assert float(bell["x"]) == pytest.approx(230 + 560 * 0.6, abs=0.1)
    assert float(bell["width"]) == pytest.approx(560 * 0.4, abs=0.1)
    assert "<script" not in html


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (10, "10"), (100.0, "100"), (2.5, "2.5"), (10.027, "10.03")]
)
def test_seconds_have_no_needless_digits(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(10.027, "10.03 s"), (119.5, "119.5 s"), (899.5, "15 min 0 s"), (10_812, "3 h 0 min 12 s")],
)
def test_lengths_are_read_at_a_glance(value: float, text: str) -> None:
    assert length_text(value) == text


@pytest.mark.parametrize(
    ("value", "duration", "text"),
    [
        (7.25, 89.9, "7.25"),
        (7.0, 90.0, "00:07"),
        (1134.0, 1200.0, "18:54"),
        (59.996, 1200.0, "01:00"),
        (70.5, 1200.0, "01:10.5"),
        (3723.25, 9000.0, "1:02:03.25"),
    ],
)
def test_times_of_long_clips_are_read_as_on_a_clock(
    value: float, duration: float, text: str
) -> None:
    assert clock(value, duration) == text


def test_the_table_of_a_long_clip_tells_times_as_its_axis_does() -> None:
    long = replace(make_parse(), duration=1200.0)
    assert '<td class="n">00:0' in render_page(long)
    assert "Start (s)" not in render_page(long)
    assert "Start (s)" in render_page(make_parse())


# --- clips -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codecs", "mime"),
    [
        ("a.mp4", {}, "video/mp4"),
        ("a.mov", {}, "video/mp4"),
        ("a.webm", {"picture": "libvpx-vp9", "sound": "libopus"}, "video/webm"),
        ("a.mkv", {}, ""),
        ("a.mp4", {"picture": "mpeg4"}, ""),
        ("a.mp4", {"picture": None}, "video/mp4"),
        ("a.wav", {"picture": None, "sound": "pcm_s16le"}, ""),
    ],
)
def test_what_browsers_play_is_known(tmp_path, name, codecs, mime) -> None:
    clip = make_clip(tmp_path / name, 1.0, **codecs)
    assert inspect(clip) == (mime, codecs.get("picture", "libx264") is not None)


def test_a_small_clip_goes_inside_the_page_byte_by_byte(tmp_path) -> None:
    import base64

    clip = make_clip(tmp_path / "clip.mp4", 1.0)
    held = page_clip(clip, tmp_path / "page.html")
    assert held.linked is None
    assert base64.b64decode(held.url.removeprefix("data:video/mp4;base64,")) == clip.read_bytes()


def test_a_large_clip_is_linked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("rlld.media.playable.EMBED_LIMIT", 100)
    (tmp_path / "in").mkdir()
    clip = make_clip(tmp_path / "in" / "a b#.mp4", 1.0)
    held = page_clip(clip, tmp_path / "out" / "page.html")
    assert (held.url, held.linked) == ("../in/a%20b%23.mp4", clip)


def test_a_large_clip_that_browsers_do_not_play_is_converted_beside_the_page(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("rlld.media.playable.EMBED_LIMIT", 100)
    clip = make_clip(tmp_path / "page.avi", 1.0, picture="mpeg4", sound="pcm_s16le")
    held = page_clip(clip, tmp_path / "page.html")
    assert held.linked == tmp_path / "page.mp4"
    assert inspect(held.linked) == ("video/mp4", True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.avi", "page.mp4"]


def test_what_a_killed_conversion_left_is_found_again(tmp_path, monkeypatch) -> None:
    """Nobody looks for it among the temporary files of the system, which need not even be there."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    clip = make_clip(tmp_path / "clip.avi", 1.0, picture="mpeg4", sound="pcm_s16le")
    page = tmp_path / "out" / "page.html"
    page.parent.mkdir()
    (page.parent / f".page.mp4.{platform.node()}.{2**22 + 1}.part").write_text("half")
    held = page_clip(clip, page)
    assert (held.linked, list(page.parent.iterdir())) == (None, [])


def test_a_conversion_never_overwrites_its_clip(tmp_path) -> None:
    clip = make_clip(tmp_path / "page.mp4", 1.0, picture="mpeg4")
    before = clip.read_bytes()
    held = page_clip(clip, tmp_path / "page.html", link=True)
    assert held.linked == tmp_path / "page.page.mp4"
    assert clip.read_bytes() == before


def test_a_conversion_keeps_length_and_size(tmp_path) -> None:
    from rlld.media.decode import probe
    from rlld.media.playable import convert

    clip = make_clip(tmp_path / "clip.avi", 3.0, picture="mpeg4", sound="pcm_s16le")
    convert(clip, tmp_path / "clip.mp4")
    info = probe(tmp_path / "clip.mp4")
    assert (info.width, info.height, info.has_audio) == (160, 120, True)
    assert info.duration == pytest.approx(3.0, abs=0.15)


def test_a_failed_page_leaves_nothing_behind(tmp_path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_text("no clip")
    with pytest.raises(RlldError, match="no audio or video file"):
        write_page(make_parse(), tmp_path / "out" / "page.html", clip)
    assert not list(tmp_path.glob("out/*"))


# --- ground truth ------------------------------------------------------------------------------


def test_intervals() -> None:
    merged = union([(4, 6), (0, 3), (3, 4), (8, 9), (8.5, 8.7), (7, 7), (9.5, 9.2)])
    assert merged == [(0, 6), (8, 9)]
    assert overlap([(0, 3), (5, 9)], [(1, 2), (2.5, 6), (9, 10)]) == [(1, 2), (2.5, 3), (5, 6)]


def test_known_events_of_invented_annotations(invented_llp) -> None:
    from rlld.data.spec import LLP_SPEC

    found = known_events(invented_llp, "fTest000006_30_40", LLP_SPEC)
    assert [(e.label, e.modality, e.start, e.end) for e in found] == [
        ("Speech", "audio", 0.0, 4.0),
        ("Speech", "audio", 7.0, 10.0),
        ("Dog", "audio", 3.0, 8.0),
        ("Dog", "visual", 0.0, 10.0),
        ("Dog", "audio_visual", 3.0, 8.0),
    ]
    assert found == known_events(invented_llp, "fTest000006", LLP_SPEC)
    assert known_events(invented_llp, "eTrain00005", LLP_SPEC) is None
    (merged,) = known_events(invented_llp, "eTest000005", LLP_SPEC)[:1]
    assert (merged.label, merged.start, merged.end) == ("Speech", 0.0, 6.0)


def test_known_events_that_came_after_the_run(invented_llp, tmp_path) -> None:
    """A run that learnt from tags alone knows no names of files with events."""
    from rlld.data.spec import LLP_SPEC

    for kind in ("audio", "visual"):
        file = getattr(LLP_SPEC.annotations, kind)
        (tmp_path / f"{kind}.csv").write_bytes((invented_llp / file).read_bytes())
    tags = replace(
        LLP_SPEC, annotations=AnnotationFiles(validation="", test="", audio="", visual="")
    )
    found = known_events(tmp_path, "fTest000006_30_40", tags)
    assert found == known_events(invented_llp, "fTest000006_30_40", LLP_SPEC)
    with pytest.raises(RlldError, match=r"nowhere: no such folder; give one with audio\.csv$"):
        known_events(tmp_path / "nowhere", "x", tags)


def test_known_events_of_real_annotations(shared_llp) -> None:
    from rlld.data.spec import LLP_SPEC

    found = known_events(shared_llp, "JfZEqeLZqWk_30_40", LLP_SPEC)
    speech = [(e.start, e.end) for e in found if (e.label, e.modality) == ("Speech", "audio")]
    assert speech == [(0.0, 4.0), (7.0, 10.0)]  # the rows that the damaged file has lost
    assert found == known_events(shared_llp, "JfZEqeLZqWk", LLP_SPEC)
    assert known_events(shared_llp, "BjCEufrlXm4", LLP_SPEC) is None


def test_known_events_need_their_files(tmp_path) -> None:
    from rlld.data.spec import LLP_SPEC

    with pytest.raises(RlldError, match="no such folder"):
        known_events(tmp_path / "none", "v", LLP_SPEC)
    with pytest.raises(RlldError, match=r"AVVP_eval_audio\.csv: no such"):
        known_events(tmp_path, "v", LLP_SPEC)
