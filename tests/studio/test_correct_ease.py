"""What people who correct clips for hours expect: keys that go on, and nothing out of sight."""

from __future__ import annotations

import pytest

from correct_kit import at, drag, event, stored
from studio_page_kit import STRANGE

pytestmark = pytest.mark.browser

FOCUSED = "() => document.activeElement.getAttribute('aria-label')"
HELD = "() => document.activeElement.id"
LAST = "Dog bark, audible, 6 to 8 seconds, confidence 0.75"
HINT = "() => getComputedStyle(document.querySelector('[data-hint]'), '::after').content"
PLAYING = "() => !document.querySelector('video').paused"
PAUSED = "() => document.querySelector('video').paused"
TIME = "() => document.querySelector('video').currentTime"


def test_space_plays_whichever_button_was_pressed_last(clip, visit) -> None:
    page = visit(clip)
    for name in ("Zoom in", "Snap", "Add"):
        page.get_by_role("button", name=name, exact=True).click()
        events = page.locator(".event").count()
        width = page.locator("#sheet").bounding_box()["width"]
        page.keyboard.press("Space")
        page.wait_for_function(PLAYING)
        page.keyboard.press("Space")
        page.wait_for_function(PAUSED)
        assert page.locator(".event").count() == events
        assert page.locator("#sheet").bounding_box()["width"] == width
    page.keyboard.press("Control+z")
    page.locator(".event.visual").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    assert page.evaluate(HELD) == "lanes"
    page.keyboard.press("Space")
    page.wait_for_function(PLAYING)
    assert page.locator(".event").count() == 2


def test_a_button_takes_what_a_list_shows(clip, visit) -> None:
    page = visit(clip)
    event(page, LAST).click()
    page.keyboard.press("c")
    page.keyboard.press("r")
    page.get_by_role("button", name="Zoom in").click()
    event(page, "Rain, audible, 6 to 8 seconds").wait_for()


def test_tab_goes_to_the_first_event_of_every_clip(clip, visit) -> None:
    page = visit(clip, height=500)
    first = "Dog bark, audible, 0 to 2 seconds, confidence 0.75"
    assert page.evaluate(HELD) == "lanes"
    assert page.evaluate("() => scrollY") == 0
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == first
    page.get_by_role("button", name="All classes").click()
    assert page.evaluate(FOCUSED) == first  # lanes that stay are not made anew
    after = clip.now["next"]
    page.keyboard.press(".")
    page.locator("h1", has_text=after).wait_for()
    assert page.evaluate(HELD) == "lanes"
    page.keyboard.press(",")
    page.locator("h1", has_text=clip.video).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == first


def test_one_event_is_played(clip, visit) -> None:
    clip.save([(0, "audio", 3, 4, None)], base=1)
    page = visit(clip)
    page.keyboard.press("p")
    assert page.locator("#live").inner_text() == "Choose an event first"
    page.keyboard.press("Tab")
    page.keyboard.press("p")
    page.wait_for_function("() => document.querySelector('video').currentTime > 3.5")
    page.wait_for_function(PAUSED)
    assert page.evaluate(TIME) == pytest.approx(4, abs=0.01)
    # Again, and then from elsewhere: it goes on.
    page.keyboard.press("p")
    page.wait_for_function(f"() => ({PLAYING})() && ({TIME})() < 3.5")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("() => document.querySelector('video').currentTime > 5.3")
    page.keyboard.press("Space")
    # Paused within, it goes on as ever.
    page.keyboard.press("p")
    page.keyboard.press("Space")
    page.wait_for_function(PAUSED)
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').currentTime > 4.3")
    assert not page.locator(".stage .notes").is_visible()  # nothing is broken


def test_axis_and_toolbar_stay_where_lanes_scroll(clip, visit) -> None:
    page = visit(clip, width=1366, height=600)
    assert page.get_by_role("button", name="Next doubt").count() == 0  # there is none
    page.get_by_role("button", name="All classes").click()
    page.mouse.move(*at(page, "audio", 5))
    page.mouse.wheel(0, 2000)
    page.wait_for_function("() => document.getElementById('scroller').scrollTop > 50")
    for seen in (".editing", "#ticks", "#bubble"):
        box = page.locator(seen).bounding_box()
        assert 0 < box["y"] < 600 - box["height"], seen
    top = page.locator("#ticks").bounding_box()
    assert top["y"] + top["height"] <= page.locator("#lanes .group").last.bounding_box()["y"]
    assert top["y"] == pytest.approx(page.locator("#scroller").bounding_box()["y"], abs=1)
    page.locator("[aria-label='Dog bark'] .event").first.focus()  # not below the axis
    box = page.locator("[aria-label='Dog bark'] .event").first.bounding_box()
    assert box["y"] >= top["y"] + top["height"]


def test_long_names_can_be_told_apart(clip, visit) -> None:
    page = visit(clip)
    box = page.get_by_role("combobox", name="Class").bounding_box()
    assert box["width"] > 7 * len(STRANGE)
    for width in (320, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_a_list_says_what_is_not_taken_yet(clip, visit) -> None:
    page = visit(clip)
    event(page, LAST).click()
    page.keyboard.press("c")
    page.keyboard.press("r")
    assert page.evaluate(HINT) == '"Enter takes it, Escape does not"'
    page.keyboard.press("Escape")
    assert page.evaluate(HINT) == "none"
    page.keyboard.press("Escape")  # no event is chosen
    page.get_by_role("combobox", name="Class").dispatch_event("pointerdown")  # by mouse
    page.get_by_role("combobox", name="Class").select_option(label="Rain")
    assert page.evaluate(HINT) == "none"
    page.keyboard.press("Home")
    page.keyboard.press("n")
    event(page, "Rain, audible, 0 to 1 seconds").wait_for()


def test_a_finger_finds_the_edge(clip, visit) -> None:
    page = visit(clip)
    event(page, LAST).click()  # what is dragged is chosen before
    finger = page.context.new_cdp_session(page)
    x, y = at(page, "audio", 8)
    to, _ = at(page, "audio", 9)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": place, "y": y} for place in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", x - 15)
    for step in range(1, 6):
        touch("touchMove", x - 15 + step * (to - x) / 5)
    touch("touchEnd")
    event(page, "Dog bark, audible, 6 to 9 seconds").wait_for()
    drag(page, "audio", 8.8, 9.8)  # as far from the edge a mouse moves all of it
    event(page, "Dog bark, audible, 7 to 10 seconds").wait_for()


def test_arrows_are_fine_where_times_are_free(clip, visit) -> None:
    page = visit(clip)
    event(page, LAST).click()
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("[")
    stored(page)
    assert (0, "audio", 6.6, 8) in clip.events
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(TIME) == pytest.approx(7.6)


def test_keys_are_the_views_after_a_click_on_the_video(clip, visit) -> None:
    page = visit(clip)
    # A click starts what can be played, and its place is known when its size is.
    page.wait_for_function("() => document.querySelector('video').readyState >= 3")
    box = page.locator("video").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.wait_for_function(PLAYING)
    page.wait_for_function("() => document.activeElement.tagName !== 'VIDEO'")
    page.keyboard.press("Space")
    page.wait_for_function(PAUSED)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => Math.abs(({TIME})() - 1) < 0.01")
    page.wait_for_function("() => !document.querySelector('video').seeking")
    # Who came by Tab keeps the keys of the player.
    page.get_by_role("button", name="Accept all").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_function(PLAYING)
    assert page.evaluate("() => document.activeElement.tagName") == "VIDEO"


def test_the_history_closes(clip, visit) -> None:
    page = visit(clip)
    versions = page.get_by_role("button", name="1: Moe")
    page.get_by_text("History", exact=True).click()
    versions.wait_for()
    page.locator("h1").click()
    versions.wait_for(state="hidden")
    page.get_by_text("History", exact=True).click()
    versions.wait_for()
    page.keyboard.press("Escape")
    versions.wait_for(state="hidden")
