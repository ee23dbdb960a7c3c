"""The page in a real browser: what is seen, clicked, typed and heard by a screen reader."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from parse_kit import make_clip, make_parse
from rlld.parsing.events import events_from
from rlld.parsing.result import Event
from rlld.report.page import write_page
from rlld.synthetic.clips.encode import write_clip
from rlld.synthetic.clips.scene import Scene

pytestmark = pytest.mark.browser

READY = "() => document.getElementById('clip').readyState >= 2"
TIME = "() => document.getElementById('clip').currentTime"
TRUTH = (Event("Dog_bark", "audio", 2.0, 4.0, 1.0), Event("Rain", "visual", 0.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture
def page_file(clip, tmp_path) -> Path:
    write_page(make_parse(), tmp_path / "page.html", clip, TRUTH)
    return tmp_path / "page.html"


def clip_reaches(page, seconds: float) -> None:
    page.wait_for_function(
        """t => {
            const clip = document.getElementById('clip');
            return !clip.seeking && Math.abs(clip.currentTime - t) < 0.1;
        }""",
        arg=seconds,
    )


def event(page, name: str):
    return page.get_by_role("button", name=name, exact=True)


DOG = "Dog bark, audible, 2 to 5 seconds, confidence 0.75"
BELL = "Bell, audible, 6 to 10 seconds, confidence 0.75"


def goes_there(page) -> None:
    """Clicks events and checks that the clip's time moved there, and the play head with it."""
    page.wait_for_function(READY)
    assert page.evaluate(TIME) == 0
    event(page, BELL).click()
    clip_reaches(page, 6)
    event(page, DOG).click()
    clip_reaches(page, 2)
    head, box = page.locator("#head").bounding_box(), event(page, DOG).bounding_box()
    assert abs(head["x"] - box["x"]) < 4


def test_clicking_an_event_seeks_when_opened_as_a_file(page_file, open_page) -> None:
    goes_there(open_page(page_file.as_uri()))


def test_clicking_an_event_seeks_over_a_server(page_file, open_page, serve) -> None:
    with serve(page_file.parent) as (address, _):
        goes_there(open_page(f"{address}/page.html"))


def test_a_linked_clip_seeks_over_a_server_that_answers_ranges(
    clip, tmp_path, open_page, serve
) -> None:
    odd = tmp_path / "a #1 100% ü.mp4"
    shutil.copy(clip, odd)
    held = write_page(make_parse(), tmp_path / "page.html", odd, link=True)
    assert held.linked == odd
    with serve(tmp_path) as (address, ranges):
        goes_there(open_page(f"{address}/page.html"))
        assert ranges


def test_a_linked_clip_seeks_from_a_file(clip, tmp_path, open_page) -> None:
    shutil.copy(clip, tmp_path / "clip.mp4")
    write_page(make_parse(), tmp_path / "page.html", tmp_path / "clip.mp4", link=True)
    goes_there(open_page((tmp_path / "page.html").as_uri()))


def test_the_real_clip(shared_media, tmp_path, open_page, serve) -> None:
    real = shared_media / "BjCEufrlXm4.mp4"
    write_page(make_parse(duration=10.03), tmp_path / "page.html", real)
    page = open_page((tmp_path / "page.html").as_uri())
    page.wait_for_function(READY)
    page.get_by_role("button", name="Dog bark, visible").click()
    clip_reaches(page, 3)
    with serve(tmp_path) as (address, _):
        page = open_page(f"{address}/page.html")
        page.wait_for_function(READY)
        page.get_by_role("button", name="Dog bark, visible").click()
        clip_reaches(page, 3)


def test_a_rendered_clip(tmp_path, open_page, serve) -> None:
    events = np.zeros((10, 2, 2), dtype=bool)
    events[2:5, 0, 1] = events[3:8, 1, 1] = True
    write_clip(Scene(("Speech", "Dog"), events, 1.0, (7,)), tmp_path / "clip.mp4")
    write_page(make_parse(), tmp_path / "page.html", tmp_path / "clip.mp4")
    goes_there(open_page((tmp_path / "page.html").as_uri()))
    with serve(tmp_path) as (address, _):
        goes_there(open_page(f"{address}/page.html"))


def test_the_play_head_moves_with_the_clip(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    page.wait_for_function(READY)
    page.evaluate("() => { document.getElementById('clip').muted = true }")
    before = page.locator("#head").bounding_box()["x"]
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('clip').currentTime > 0.7")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('clip').paused")
    lane = page.locator(".track").first.bounding_box()
    page.wait_for_timeout(100)
    moved = page.locator("#head").bounding_box()["x"] - before
    assert abs(moved - lane["width"] * page.evaluate(TIME) / 10) < 4


def test_clicking_a_lane_seeks_to_that_time(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    page.wait_for_function(READY)
    box = page.locator(".track.visual").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.42, box["y"] + box["height"] / 2)
    clip_reaches(page, 4.2)


def test_hovering_shows_the_probabilities_of_the_segment(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    tip = page.get_by_role("tooltip")
    assert not tip.is_visible()
    box = page.locator("[aria-label='Dog bark'] .track.audio").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + box["height"] / 2)
    tip.wait_for(state="visible")
    text = tip.inner_text()
    assert "Dog bark, 3 to 4 s" in text
    for row in ("audible\t0.75", "visible\t0.94", "audio-visual\t0.75"):
        assert row in text
    assert "whole video: audible 0.88, visible 0.94" in text
    assert "event: 2 to 5 s, confidence 0.75" in text
    page.mouse.move(5, 5)
    tip.wait_for(state="hidden")


def test_what_is_told_of_a_moment_goes_where_it_scrolls_away(page_file, open_page) -> None:
    page = open_page(page_file.as_uri(), height=420)
    tip = page.get_by_role("tooltip")
    lane = page.locator("[aria-label='Bell'] .track.audio")
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
    tip.wait_for(state="visible")
    page.mouse.wheel(0, 300)
    tip.wait_for(state="hidden")
    # What has the focus is described wherever it goes.
    page.evaluate("() => scrollTo(0, 0)")
    page.locator("#in").focus()
    page.keyboard.press("Tab")
    while page.evaluate("() => document.activeElement.getAttribute('aria-label')") != DOG:
        page.keyboard.press("Tab")
    page.wait_for_timeout(300)
    assert tip.is_visible()
    assert abs(tip.bounding_box()["x"] - event(page, DOG).bounding_box()["x"]) < 20


def test_space_plays_after_a_button_was_pressed(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    page.wait_for_function(READY)
    page.evaluate("() => { document.getElementById('clip').muted = true }")
    page.get_by_role("button", name="All classes").click()
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.getElementById('clip').paused")
    assert page.locator("#all").get_attribute("aria-pressed") == "true"


def test_everything_works_from_the_keyboard(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    page.wait_for_function(READY)
    page.locator("#all").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.classList.contains('event')"):
            break
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == BELL
    page.keyboard.press("Tab")
    tip = page.get_by_role("tooltip")
    assert tip.is_visible()
    for row in ("2 s\t0.88", "3 s\t0.75", "4 s\t0.63"):
        assert row in tip.inner_text()
    assert page.evaluate("() => document.activeElement.getAttribute('aria-describedby')") == "tip"
    page.keyboard.press("Enter")
    clip_reaches(page, 2)
    assert page.locator("#live").inner_text() == "2 seconds: Dog bark audible"
    page.keyboard.press("ArrowRight")
    clip_reaches(page, 3)
    live = page.locator("#live").inner_text()
    assert live == "3 seconds: Dog bark audible, Dog bark visible, Dog bark audio-visual"
    page.keyboard.press("Shift+ArrowRight")
    clip_reaches(page, 8)
    page.keyboard.press("ArrowLeft")
    clip_reaches(page, 7)
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_space_on_an_event_plays_and_does_not_seek(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    page.wait_for_function(READY)
    page.evaluate("() => { document.getElementById('clip').muted = true }")
    event(page, DOG).click()
    page.wait_for_function("() => !document.getElementById('clip').seeking")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('clip').currentTime > 2.5")
    page.keyboard.press("Space")
    assert page.evaluate("() => document.getElementById('clip').paused")
    assert page.evaluate(TIME) > 2.4


def test_classes_are_shown_and_filtered(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    shown = page.locator("#lanes .name b")
    assert shown.all_inner_texts() == ["Bell", "Dog bark", "Rain"]  # Rain by its ground truth
    page.get_by_role("button", name="All classes").click()
    assert shown.all_inner_texts() == ["Bell", "Dog bark", "Rain", "Silence"]
    page.get_by_role("searchbox").fill("sil")
    assert shown.all_inner_texts() == ["Silence"]
    page.get_by_role("searchbox").fill("zebra")
    assert page.get_by_text("No class has this in its name.").is_visible()


def test_ground_truth_lies_under_the_parse(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    bar = page.locator("[aria-label='Dog bark'] .track.audio .truth-bar").bounding_box()
    lane = page.locator("[aria-label='Dog bark'] .track.audio").bounding_box()
    assert abs(bar["x"] - (lane["x"] + 0.2 * lane["width"])) < 1
    assert abs(bar["width"] - 0.2 * lane["width"]) < 1
    assert page.locator(".truth-bar").count() == 2


def luminance(page, selector: str) -> float:
    red, green, blue = page.evaluate(
        "s => getComputedStyle(document.querySelector(s)).backgroundColor"
        ".match(/\\d+/g).map(Number)",
        selector,
    )[:3]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_light_and_dark(page_file, open_page) -> None:
    assert luminance(open_page(page_file.as_uri(), scheme="light"), "body") > 200
    page = open_page(page_file.as_uri(), scheme="dark")
    assert luminance(page, "body") < 40
    button = page.get_by_role("button", name="Theme: system")
    button.click()
    assert page.locator("#theme").inner_text() == "Theme: light"
    assert luminance(page, "body") > 200
    page.locator("#theme").click()
    assert luminance(page, "body") < 40


def test_nothing_sticks_out_sideways(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    for width in (360, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert event(page, DOG).bounding_box()["width"] > width * 0.1


def test_a_long_video_zooms_and_follows(tmp_path, open_page) -> None:
    write_page(make_parse(duration=600.0), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    dog = event(page, DOG)
    before = dog.bounding_box()["width"]
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    assert dog.bounding_box()["width"] > 6 * before
    page.keyboard.press("End")
    view = "() => document.getElementById('scroller').scrollLeft"
    page.wait_for_function(f"() => ({view})() > 1000")
    head = page.locator("#head").bounding_box()
    assert 0 < head["x"] < 1280
    page.get_by_role("button", name="Show the whole clip").click()
    assert page.evaluate(view) == 0


def test_a_page_without_a_clip_keeps_its_own_time(tmp_path, open_page) -> None:
    write_page(make_parse(), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    event(page, DOG).click()
    assert page.locator("#time").inner_text() == "2 s"
    assert page.locator("#now").inner_text().split("\n")[0].startswith("Dog bark")


def test_sound_alone_gets_a_player(tmp_path, open_page) -> None:
    clip = make_clip(tmp_path / "clip.mp4", picture=None)
    write_page(make_parse(), tmp_path / "page.html", clip)
    page = open_page((tmp_path / "page.html").as_uri())
    assert page.evaluate("() => document.getElementById('clip').tagName") == "AUDIO"
    goes_there(page)


def test_a_converted_clip_plays(tmp_path, open_page) -> None:
    clip = make_clip(tmp_path / "clip.avi", sound="pcm_s16le", picture="mpeg4")
    held = write_page(make_parse(), tmp_path / "page.html", clip)
    assert held.url.startswith("data:video/mp4")
    goes_there(open_page((tmp_path / "page.html").as_uri()))


def test_names_cannot_break_out_of_the_page(tmp_path, open_page) -> None:
    bad = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"
    parsed = make_parse(
        bad, classes=(bad, "Dog_bark", "Rain", "Silence"), notes=(bad,), tags=(bad,), model=bad
    )
    named = tuple(
        Event(bad, e.modality, e.start, e.end, e.confidence) if e.label == "Bell" else e
        for e in parsed.events
    )
    from dataclasses import replace

    write_page(replace(parsed, events=named), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    assert page.title() != "broken"
    assert page.locator("img").count() == 0
    assert page.locator("h1").inner_text() == bad
    assert page.locator("#lanes .name b").first.inner_text() == bad.replace("_", " ")


PAYLOADS = (
    "<script>window.hurt = 1</script>",
    "</script><script>window.hurt = 1</script>",
    "</script ><svg onload=window.hurt=1>",
    "<!--<script>window.hurt = 1",
    "<img src=x onerror=window.hurt=1>",
    '"><img src=x onerror=window.hurt=1>',
    "' onmouseover='window.hurt=1' x='",
    '" autofocus onfocus="window.hurt=1',
    "javascript:window.hurt=1",
    "</style><style>body { display: none }",
    "</title></head><body onload=window.hurt=1>",
    "{{ 7 * 7 }} {% raw %} ${window.hurt = 1} `${window.hurt = 1}`",
    '\\u003cimg src=x onerror=window.hurt=1\\u003e \\"); window.hurt = 1; //',
    "&lt;img src=x onerror=window.hurt=1&gt;",
    "\u2028window.hurt = 1\u2029",
)


def test_no_payload_in_any_name_runs(tmp_path, open_page) -> None:
    probability = np.full((10, 2, len(PAYLOADS)), 0.75)
    parsed = make_parse(
        PAYLOADS[1],
        classes=PAYLOADS,
        events=events_from(probability >= 0.5, probability, PAYLOADS, 1.0, 10.0),
        probabilities=tuple(tuple(tuple(row) for row in s) for s in probability.tolist()),
        gates=tuple(tuple(row) for row in probability.max(0).tolist()),
        notes=PAYLOADS,
        tags=PAYLOADS,
        model=PAYLOADS[5],
    )
    truth = tuple(Event(name, "audio", 0.0, 1.0, 1.0) for name in PAYLOADS)
    write_page(parsed, tmp_path / "page.html", truth=truth)
    page = open_page((tmp_path / "page.html").as_uri())
    names = page.locator("#lanes .name b")
    shown = names.evaluate_all("found => found.map(each => each.textContent)")
    assert sorted(shown) == sorted(name.replace("_", " ") for name in PAYLOADS)
    for box in (names.first, page.locator(".truth-bar").first):
        box.hover()
    page.get_by_role("searchbox").fill(PAYLOADS[0])
    assert page.evaluate("() => window.hurt") is None
    assert page.locator("img, svg[onload], [onmouseover], [onfocus]").count() == 0
    assert page.locator("body").is_visible()


def test_it_prints_the_table_and_the_model_without_the_player(page_file, open_page) -> None:
    page = open_page(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.get_by_role("table").is_visible()
    assert page.get_by_text("Parsed by run-7").is_visible()
    assert not page.locator("#clip").is_visible()
