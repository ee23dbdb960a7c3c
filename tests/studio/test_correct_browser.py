"""The view that corrects a clip, in a real browser: mouse, keys, history, conflicts."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from browser_kit import FILM_DRAWN
from correct_kit import FIRST, Clip, at, drag, event, stored
from studio_page_kit import STRANGE

pytestmark = pytest.mark.browser

FAILED = "Failed to load resource"


def test_everything_by_keyboard_alone(clip, visit) -> None:
    page = visit(clip)
    page.locator("#scroller").focus()
    first = "Dog bark, audible, 0 to 2 seconds, confidence 0.75"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.getAttribute('aria-label')") == first:
            break
    focused = "() => document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == first
    page.keyboard.press("Alt+Shift+ArrowRight")  # its end
    assert page.evaluate(focused) == "Dog bark, audible, 0 to 3 seconds"
    page.keyboard.press("Alt+Period")  # its start, and back
    assert page.evaluate(focused) == "Dog bark, audible, 1 to 3 seconds"
    page.keyboard.press("Alt+Comma")
    page.keyboard.press("Alt+ArrowRight")  # all of it
    assert page.evaluate(focused) == "Dog bark, audible, 1 to 4 seconds"
    for _ in range(2):
        page.keyboard.press("ArrowRight")  # the play head
    page.keyboard.press("s")
    assert page.evaluate(focused) == "Dog bark, audible, 2 to 4 seconds"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("[")  # its start, at 3 s
    assert page.evaluate(focused) == "Dog bark, audible, 3 to 4 seconds"
    page.keyboard.press("m")  # joins the one from 6 s
    assert page.evaluate(focused) == "Dog bark, audible, 3 to 8 seconds"
    page.keyboard.press("2")
    assert page.evaluate(focused) == "Dog bark, visible, 1 to 8 seconds"
    stored(page)
    assert clip.events == [(0, "audio", 1, 2), (0, "visual", 1, 8)]
    page.keyboard.press("Delete")
    assert page.locator(".track.visual .event").count() == 0
    page.keyboard.press("Control+z")
    assert page.evaluate(focused) == "Dog bark, visible, 1 to 8 seconds"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    page.keyboard.press("c")
    page.keyboard.press("r")  # Rain, as in any list
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "Rain, visible, 1 to 8 seconds"
    page.keyboard.press("Home")
    page.keyboard.press("1")
    page.keyboard.press("n")  # joins what it touches
    assert page.evaluate(focused) == "Rain, audible, 0 to 8 seconds"
    stored(page)
    assert clip.events == [(0, "audio", 1, 2), (1, "audio", 0, 8)]


def test_everything_by_mouse(clip, visit) -> None:
    page = visit(clip)
    drag(page, "audio", 1.97, 3)  # an edge
    event(page, "Dog bark, audible, 0 to 3 seconds").wait_for()
    drag(page, "audio", 7, 8.1)  # all of it
    event(page, "Dog bark, audible, 7 to 9 seconds").wait_for()
    drag(page, "audio", 4.2, 5.6)  # a new one on the empty lane
    event(page, "Dog bark, audible, 4 to 6 seconds").wait_for()
    drag(page, "audio", 4.03, 1)  # stops at the neighbour
    event(page, "Dog bark, audible, 3 to 6 seconds").wait_for()
    x, y = at(page, "visual", 3)
    page.mouse.click(x, y)
    assert page.locator(".event.chosen").get_attribute("aria-label").startswith("Dog bark, visible")
    page.get_by_role("button", name="Delete").click()
    stored(page)
    assert clip.events == [(0, "audio", 0, 3), (0, "audio", 3, 6), (0, "audio", 7, 9)]
    page.get_by_role("button", name="Undo").click()
    event(page, "Dog bark, visible, 1 to 5 seconds, confidence 0.50").wait_for()
    # What follows from both is shown, and sent with them.
    event(page, "Dog bark, audio-visual, 3 to 5 seconds").wait_for()
    stored(page)
    joint = [(e["s"], e["e"]) for e in clip.now["events"] if e["m"] == "audio_visual"]
    assert joint == [(1, 3), (3, 5)]


def test_a_class_and_a_track_are_changed(clip, visit) -> None:
    page = visit(clip)
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.get_by_role("combobox", name="Class").select_option(label="Rain")
    event(page, "Rain, audible, 6 to 8 seconds").wait_for()
    page.get_by_role("combobox", name="Track").select_option(label="visible")
    event(page, "Rain, visible, 6 to 8 seconds").wait_for()
    stored(page)
    assert (1, "visual", 6, 8) in clip.events
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Class").select_option(label=STRANGE)
    page.get_by_role("button", name="Add", exact=True).click()
    assert page.locator(".event.chosen").get_attribute("aria-label").startswith(STRANGE)
    assert page.locator("#lanes img").count() == 0


def test_what_a_list_passes_over_is_not_taken(clip, visit) -> None:
    """A letter or an arrow shows a class; events that meet there would be joined."""
    clip.save([(0, "audio", 0, 2, None), (1, "audio", 1, 4, None)], base=1)
    page = visit(clip)
    focused = "() => document.activeElement.getAttribute('aria-label')"
    first = "Dog bark, audible, 0 to 2 seconds"
    event(page, first).click()
    for key in ("c", "ArrowDown", "ArrowUp", "r", "a"):  # a alone accepts the clip
        page.keyboard.press(key)
        assert page.evaluate(focused) == "Class"
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == first
    page.keyboard.press("c")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("combobox", name="Class").evaluate("x => x.value") == "2"
    page.keyboard.press("Tab")  # goes on, which takes it, and stays where it went
    assert page.evaluate(focused) == "Track"
    stored(page)
    assert clip.events == [(1, "audio", 1, 4), (2, "audio", 0, 2)]
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")  # no event is chosen
    page.keyboard.press("c")
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "lanes"


def test_a_click_elsewhere_takes_what_a_list_shows(clip, visit) -> None:
    page = visit(clip)
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("c")
    page.keyboard.press("r")
    drag(page, "audio", 1.97, 3)  # the edge of another event
    stored(page)
    assert clip.events == [(0, "audio", 0, 3), (0, "visual", 1, 5), (1, "audio", 6, 8)]


def test_keys_edit_nothing_where_the_focus_is_on_what_follows(clip, visit) -> None:
    page = visit(clip)
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    event(page, "Dog bark, audio-visual, 1 to 2 seconds, confidence 0.50").focus()
    assert page.locator(".event.chosen").count() == 0
    page.keyboard.press("Delete")
    assert page.locator("#live").inner_text() == "Choose an audible or a visible event first"
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    event(page, "Dog bark, audio-visual, 1 to 2 seconds, confidence 0.50").click()
    page.keyboard.press("Delete")
    assert page.locator(".track.audio .event").count() == 2
    assert clip.now["revision"] == 1


def test_keys_look_closer_at_many_events(clip, visit) -> None:
    many = [(0, "audio", k / 10, k / 10 + 0.05, None) for k in range(10)]
    clip.save([*many, (0, "audio", 6, 8, None)], base=1)
    page = visit(clip, width=390)
    event(page, "Dog bark, audible, 6 to 8 seconds").click()
    cluster = page.locator(".event.cluster").first
    cluster.focus()
    page.keyboard.press("Delete")
    whole = page.get_by_role("button", name="Show the whole clip")
    assert whole.is_disabled()
    page.keyboard.press("Enter")
    assert whole.is_enabled()
    assert clip.now["revision"] == 2


def test_times_are_free_when_asked(clip, visit) -> None:
    page = visit(clip)
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("g")
    page.keyboard.press("Alt+ArrowRight")
    event(page, "Dog bark, audible, 6.1 to 8.1 seconds").wait_for()
    drag(page, "audio", 3.3, 4.4)
    stored(page)
    fresh = [e for e in clip.events if 3 < e[2] < 4]
    assert len(fresh) == 1
    assert fresh[0][2:] == pytest.approx((3.3, 4.4), abs=0.03)


def test_two_people_never_overwrite_each_other(clip, visit) -> None:
    page = visit(clip, expected=FAILED)
    theirs = [(1, "audio", 3, 4, None)]
    assert clip.save(theirs, "Grace", 1) == 2
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("Delete")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert "Grace stored this clip meanwhile" in dialog.inner_text()
    assert clip.events == [(1, "audio", 3, 4)]
    page.keyboard.press("Escape")  # one of the two
    for key in ("a", ".", "Delete"):  # nothing of the view behind it
        page.keyboard.press(key)
    assert dialog.count() == 1 and dialog.is_visible()
    assert page.locator(".event").count() == 3
    dialog.get_by_role("button", name="Take theirs").click()
    event(page, "Rain, audible, 3 to 4 seconds").wait_for()
    page.get_by_text("Stored by Grace, version 2").wait_for()
    assert page.evaluate("() => document.activeElement.id") == "lanes"
    assert clip.now["revision"] == 2
    # Mine are had back by Undo, and stored after theirs.
    page.keyboard.press("Control+z")
    page.get_by_text("Stored, version 3", exact=True).wait_for()
    assert clip.events == [(0, "audio", 0, 2), (0, "visual", 1, 5)]
    assert clip.save(theirs, "Grace", 3) == 4
    page.keyboard.press("Control+z")
    dialog.wait_for()
    dialog.get_by_role("button", name="Keep mine").click()
    page.get_by_text("Stored, version 5", exact=True).wait_for()
    assert len(clip.events) == 3
    assert [each["person"] for each in clip.ask("/history")] == [
        "Moe", "Grace", "Ada", "Grace", "Ada"]  # fmt: skip


def test_two_windows_of_one_person(clip, visit) -> None:
    page = visit(clip, expected=FAILED)
    mine = [FIRST[0], FIRST[1]]
    assert clip.save(mine, "Ada", 1) == 2
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("Delete")  # what the other window stored, too: nothing to be asked
    page.get_by_text("Stored by Ada, version 2").wait_for()
    assert not page.get_by_role("dialog").count()
    assert clip.save([FIRST[0]], "Ada", 2) == 3
    page.keyboard.press("Delete")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert "You stored this clip in another window" in dialog.inner_text()
    dialog.get_by_role("button", name="Keep this one").click()
    page.get_by_text("Stored, version 4", exact=True).wait_for()


def unstored(clip: Clip, visit: Callable[..., Any]) -> Any:
    """A page on which an event was deleted that the server does not store."""
    page = visit(clip, expected=FAILED)
    page.route("**/events", lambda route: route.abort())
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("Delete")
    page.get_by_text("Not stored: The studio does not answer").wait_for()
    return page


def test_what_could_not_be_stored_is_said_and_tried_again(clip, visit) -> None:
    page = unstored(clip, visit)
    assert clip.now["revision"] == 1
    page.unroute("**/events")
    page.get_by_role("button", name="Try again").click()
    stored(page)
    assert len(clip.events) == 2


def test_events_of_a_page_that_counts_other_classes_wait(clip, visit) -> None:
    """As where 'rlld data new' gave the data set other classes since the page was opened."""
    page = visit(clip, expected=FAILED)

    def before(route: Any) -> None:
        found = route.fetch().json()
        found["classes"] = ["Dog_bark", "Wind", STRANGE]
        route.fulfill(json=found)

    page.route("**/api/clips/a*?person=Ada", before)
    page.reload()
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("Delete")
    page.get_by_text("Not stored: classes: found others than those of the data set").wait_for()
    assert not page.get_by_role("dialog").count()
    assert clip.now["revision"] == 1
    page.get_by_role("link", name="Browse").click()
    page.get_by_text("Not left, for what you changed is not stored").wait_for()
    assert page.locator(".track.audio .event").count() == 1


def test_what_is_not_stored_is_not_left_behind(clip, visit) -> None:
    page = unstored(clip, visit)
    address = page.url
    page.get_by_role("link", name="Browse").click()
    page.get_by_text("Not left, for what you changed is not stored").wait_for()
    assert page.url == address
    assert page.locator(".track.audio .event").count() == 1
    page.unroute("**/events")
    page.get_by_role("link", name="Browse").click()
    page.wait_for_selector(".browse-view > *")
    assert len(clip.events) == 2


def test_history_goes_back(clip, visit) -> None:
    clip.save([(1, "audio", 3, 4, None)], "Grace", 1)
    page = visit(clip)
    page.get_by_text("History", exact=True).click()
    page.get_by_role("button", name="1: Moe").click()
    event(page, "Dog bark, visible, 1 to 5 seconds, confidence 0.50").wait_for()
    page.get_by_text("Back to version 1, stored as version 3").wait_for()
    assert page.evaluate("() => document.activeElement.id") == "lanes"
    assert clip.events == [event[:4] for event in sorted(FIRST)]
    page.get_by_text("History", exact=True).click()
    page.get_by_role("button", name="Before any correction").click()
    page.get_by_text("stored as version 4").wait_for()
    assert clip.events == []


def test_the_history_is_in_sight_on_a_narrow_page(clip, visit) -> None:
    page = visit(clip, width=390, height=844)
    page.get_by_text("History", exact=True).click()
    box = page.locator(".menu ul").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert page.get_by_role("button", name="1: Moe").inner_text().endswith("3 events")


def test_accepting_stores_and_goes_on(clip, visit) -> None:
    page = visit(clip)
    after = clip.now["next"]
    page.keyboard.press("a")
    page.locator("h1", has_text=after).wait_for()
    assert clip.now["revision"] == 2
    assert clip.events == [event[:4] for event in sorted(FIRST)]
    page.keyboard.press(",")
    page.locator("h1", has_text=clip.video).wait_for()


def test_leaving_at_once_loses_nothing(clip, visit) -> None:
    page = visit(clip)
    event(page, "Dog bark, audible, 6 to 8 seconds, confidence 0.75").click()
    page.keyboard.press("Delete")
    page.get_by_role("link", name="People").click()
    page.wait_for_selector(".people-view > *")
    page.wait_for_function(
        "async path => (await (await fetch(path)).json()).revision === 2", arg=clip.path
    )
    assert len(clip.events) == 2


def test_doubtful_places_are_visited(clip, visit, open_page) -> None:
    page = visit(clip)

    def doubtful(route: Any) -> None:
        found = route.fetch().json()
        found["doubts"] = [
            {"class": "Rain", "modality": "visual", "start": 4.0, "end": 6.0, "p": 0.52},
            {"class": "Dog_bark", "modality": "audio", "start": 6.0, "end": 7.0, "p": 0.45},
        ]
        route.fulfill(json=found)

    page.route("**/api/clips/a*?person=Ada", doubtful)
    page.reload()
    page.locator(".event").first.wait_for()
    assert page.locator(".track.visual .doubt").bounding_box()["width"] == pytest.approx(
        page.locator("#ticks").bounding_box()["width"] / 5, abs=1
    )
    time = "() => document.getElementById('bubble').textContent"
    page.keyboard.press("j")
    assert page.evaluate(time) == "4 s"
    assert "Doubtful: Rain, visible, 4 to 6" in page.locator("#live").inner_text()
    page.keyboard.press("n")
    event(page, "Rain, visible, 4 to 5 seconds").wait_for()
    page.keyboard.press("j")
    assert page.evaluate(time) == "6 s"
    chosen = page.locator(".event.chosen").get_attribute("aria-label")
    assert chosen == "Dog bark, audible, 6 to 8 seconds, confidence 0.75"
    page.keyboard.press("k")
    assert page.evaluate(time) == "4 s"


def test_strips_come_from_the_server(clip, visit) -> None:
    page = visit(clip)
    page.wait_for_function("() => document.querySelector('.wave path').getAttribute('d')")
    page.wait_for_function("() => document.querySelector('.spectrogram img').naturalWidth > 100")
    page.wait_for_function(FILM_DRAWN)


def test_newer_strips_end_the_wait_for_older_ones(clip, visit) -> None:
    page = visit(clip)
    page.wait_for_function("() => document.querySelector('.wave path').getAttribute('d')")
    page.wait_for_function(FILM_DRAWN)
    strips = re.compile(r"/(peaks|strip)/")
    waiting: list[Any] = []
    page.on("request", lambda request: strips.search(request.url) and waiting.append(request))
    page.on("requestfailed", lambda request: request in waiting and waiting.remove(request))
    held: list[Any] = []
    page.route(strips, lambda route: held.append(route))
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.wait_for_timeout(500)  # in which they are asked for
    first = list(waiting)
    page.evaluate("document.querySelector('#scroller').scrollLeft = 1e6")
    page.wait_for_timeout(500)
    assert (len(first), len(waiting), len(held)) == (2, 2, 4)
    assert not set(first) & set(waiting)
    page.evaluate("location.hash = '#/browse'")
    page.get_by_label("Show clips whose name or tags contain").wait_for()
    assert waiting == []


def test_a_late_answer_takes_no_newer_ones_place(clip, visit) -> None:
    from playwright.sync_api import Error

    page = visit(clip)
    wave = page.locator(".wave path")
    page.wait_for_function("() => document.querySelector('.wave path').getAttribute('d')")
    page.wait_for_timeout(500)
    whole = wave.get_attribute("d")
    held: list[Any] = []
    page.route(re.compile("/peaks/"), lambda route: held.append(route))
    page.keyboard.press("+")
    page.wait_for_timeout(500)
    (late,) = held
    page.keyboard.press("-")  # for which there is enough
    page.wait_for_timeout(500)
    with suppress(Error):  # the page has given it up
        late.fulfill(json={"from": 0, "to": 2, "peaks": [-127, 127] * 2000})
    page.wait_for_timeout(500)
    assert wave.get_attribute("d") == whole


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(clip, visit, scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(clip, scheme=scheme)
    event(page, "Dog bark, audible, 0 to 2 seconds, confidence 0.75").focus()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []
    for width in (320, 390, 1440, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
